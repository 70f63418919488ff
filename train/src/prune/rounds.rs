//! The rounds of a pruning.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use striae_spaces::{TypedGraph, WeightStore};

use crate::{Splits, TrainConfig, TrainError, TrainEvent, Training, evaluate};

use super::{
    Blocks,
    state::{self, State},
};

/// Images per evaluation pass.
const EVAL_BATCH: usize = 128;

/// How to prune.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneConfig {
    /// Least accuracy on the validation images.
    pub accuracy_bound: f64,
    /// Share of the blocks left that the first round removes.
    pub first_share: f64,
    /// Pruning ends when a round would remove a smaller share than this.
    pub least_share: f64,
    /// Pruning ends when no larger share of all blocks is left.
    pub target: f64,
    /// How each round retrains; its seed is that of the first round.
    pub training: TrainConfig,
}

/// One round in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneRound {
    /// Round, from 1.
    pub round: usize,
    /// Blocks it removed.
    pub removed: usize,
    /// Blocks left with these removed.
    pub left: usize,
    /// Accuracy on the validation images, retrained.
    pub accuracy: f64,
    /// Whether that is at the bound or above; else the round was undone.
    pub accepted: bool,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum PruneEvent {
    /// A round is being retrained: its number from 1, the blocks that are left in it, and what its training did.
    Training(usize, usize, TrainEvent),
    /// A round is done. The time that the rounds to come will take at least, if all of them are accepted and as long.
    Round(PruneRound, Duration),
}

/// A pruned network.
#[derive(Clone, Debug)]
pub struct Pruned {
    /// Its weights; those of removed blocks are zero.
    pub weights: WeightStore,
    /// The removed blocks.
    pub removed: BTreeSet<u32>,
    /// Accuracy on the validation images before the first round.
    pub start_accuracy: f64,
    /// Every round, those before a resumed checkpoint included.
    pub rounds: Vec<PruneRound>,
    /// Whether the observer stopped it before its end.
    pub stopped: bool,
}

impl Pruned {
    /// Accuracy on the validation images after the last accepted round.
    pub fn accuracy(&self) -> f64 {
        self.rounds.iter().rfind(|round| round.accepted).map_or(self.start_accuracy, |round| round.accuracy)
    }
}

/// A pruning that has yet to begin.
#[derive(Clone, Copy, Debug)]
pub struct Pruning<'a> {
    /// The network.
    pub graph: &'a TypedGraph,
    /// Its data; the test images are not looked at.
    pub splits: &'a Splits,
    /// Its trained weights.
    pub weights: &'a WeightStore,
    /// Which weights are pruned together.
    pub blocks: &'a Blocks,
    /// How to prune.
    pub config: &'a PruneConfig,
    /// Folder where the state is saved after each epoch and round; what is there already is gone on from, bit for bit.
    pub folder: Option<&'a Path>,
}

impl Pruning<'_> {
    /// Prunes. The observer sees every step of every retraining and every round, and may stop.
    pub fn run(&self, observer: &mut dyn FnMut(&PruneEvent) -> ControlFlow<()>) -> Result<Pruned, TrainError> {
        self.check()?;
        let mut state = self.start()?;
        let mut stopped = false;
        while !stopped && let Some(candidates) = self.candidates(&state)? {
            let started = Instant::now();
            let round = state.rounds.len() + 1;
            let mut removed = state.removed.clone();
            removed.extend(&candidates);
            let left = self.blocks.count() - removed.len();
            let Some((weights, accuracy)) = self.retrain(&state, round, &removed, left, observer)? else {
                stopped = true;
                break;
            };
            let accepted = accuracy >= self.config.accuracy_bound;
            let stats = PruneRound { round, removed: candidates.len(), left, accuracy, accepted };
            state.rounds.push(stats);
            if accepted {
                (state.weights, state.removed) = (weights, removed);
            } else {
                state.share /= 2.0;
            }
            if let Some(folder) = self.folder {
                state::save(folder, &state, self.config, self.blocks)?;
            }
            let time_left = started.elapsed().mul_f64(self.rounds_left(&state));
            stopped = observer(&PruneEvent::Round(stats, time_left)).is_break();
        }
        stopped &= self.candidates(&state)?.is_some();
        let State { weights, removed, start_accuracy, rounds, .. } = state;
        Ok(Pruned { weights, removed, start_accuracy, rounds, stopped })
    }

    fn check(&self) -> Result<(), TrainError> {
        let PruneConfig { accuracy_bound, first_share, least_share, target, .. } = *self.config;
        let share = |v: f64| v > 0.0 && v < 1.0;
        let rules = [
            ("accuracy_bound", accuracy_bound, (0.0..=1.0).contains(&accuracy_bound), "0 to 1"),
            ("first_share", first_share, share(first_share), "above 0, below 1"),
            (
                "least_share",
                least_share,
                share(least_share) && least_share <= first_share,
                "above 0, up to first_share",
            ),
            ("target", target, (0.0..1.0).contains(&target), "0 or more, below 1"),
        ];
        match rules.into_iter().find(|rule| !rule.2) {
            Some((field, value, _, expected)) => Err(TrainError::Config { field, value, expected }),
            None => Ok(()),
        }
    }

    fn start(&self) -> Result<State, TrainError> {
        let begun = self.folder.map(|folder| state::load(folder, self.graph, self.config, self.blocks));
        if let Some(state) = begun.transpose()?.flatten() {
            return Ok(state);
        }
        let start_accuracy = evaluate(self.graph, self.weights, &self.splits.validation, EVAL_BATCH)?.accuracy;
        if start_accuracy < self.config.accuracy_bound {
            return Err(TrainError::BelowBound { accuracy: start_accuracy, bound: self.config.accuracy_bound });
        }
        let (weights, share) = (self.weights.clone(), self.config.first_share);
        Ok(State { weights, removed: BTreeSet::new(), share, start_accuracy, rounds: Vec::new() })
    }

    /// The blocks that the next round removes: those of the smallest score, but never the last of a parameter, without which no
    /// image would tell from another; `None` at the end.
    fn candidates(&self, state: &State) -> Result<Option<Vec<u32>>, TrainError> {
        let left = self.blocks.count() - state.removed.len();
        // Of few blocks each is a larger share than asked for; one at a time is the paper's own algorithm.
        let wanted = (state.share * left as f64).round().max(1.0) as usize;
        let room = left.saturating_sub((self.config.target * self.blocks.count() as f64).floor() as usize);
        if state.share < self.config.least_share || room == 0 {
            return Ok(None);
        }
        let scores = self.blocks.scores(&state.weights)?;
        let mut order: Vec<u32> =
            (0..self.blocks.count() as u32).filter(|block| !state.removed.contains(block)).collect();
        order.sort_by(|a, b| scores[*a as usize].total_cmp(&scores[*b as usize]).then(a.cmp(b)));
        let parameters = self.blocks.parameters();
        let mut left_of: BTreeMap<usize, usize> = BTreeMap::new();
        for block in &order {
            parameters[*block as usize].iter().for_each(|p| *left_of.entry(*p).or_default() += 1);
        }
        let mut chosen = Vec::new();
        for block in order {
            let own = &parameters[block as usize];
            if chosen.len() < wanted.min(room) && own.iter().all(|p| left_of[p] > 1) {
                own.iter().for_each(|p| *left_of.entry(*p).or_default() -= 1);
                chosen.push(block);
            }
        }
        Ok((!chosen.is_empty()).then_some(chosen))
    }

    /// The weights after a round, and their accuracy; `None` if the observer stopped.
    fn retrain(
        &self,
        state: &State,
        round: usize,
        removed: &BTreeSet<u32>,
        left: usize,
        observer: &mut dyn FnMut(&PruneEvent) -> ControlFlow<()>,
    ) -> Result<Option<(WeightStore, f64)>, TrainError> {
        let mask = self.blocks.mask(removed);
        let seed = self.config.training.seed.wrapping_add(round as u64 - 1);
        let config = TrainConfig { seed, ..self.config.training.clone() };
        let checkpoint = self.folder.map(|folder| folder.join(format!("round-{round}.json")));
        let training = Training {
            weights: Some(&state.weights),
            mask: Some(&mask),
            checkpoint: checkpoint.as_deref(),
            ..Training::new(self.graph, self.splits, &config)
        };
        let mut tell = |event: &TrainEvent| observer(&PruneEvent::Training(round, left, event.clone()));
        let trained = match training.run(&mut tell) {
            Ok(trained) if trained.stopped => return Ok(None),
            Ok(trained) => trained,
            // What was removed was too much; the round is undone like any other.
            Err(TrainError::Diverged { .. }) => return Ok(Some((state.weights.clone(), 0.0))),
            Err(error) => return Err(error),
        };
        let accuracy = trained.validation_accuracy();
        Ok(Some((trained.weights, accuracy)))
    }

    /// Rounds to come if all of them are accepted, or, where only the share ends it, if none is.
    fn rounds_left(&self, state: &State) -> f64 {
        let left = (self.blocks.count() - state.removed.len()) as f64;
        let goal = (self.config.target * self.blocks.count() as f64).max(1.0);
        let accepted = ((left / goal).ln() / -(1.0 - state.share).ln()).ceil();
        let undone = (state.share / self.config.least_share).log2().floor() + 1.0;
        (if self.config.target > 0.0 { accepted } else { accepted.min(undone) }).max(0.0)
    }
}
