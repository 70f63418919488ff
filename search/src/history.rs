//! The trials of a study by proposal.
//!
//! A proposal whose process was killed has several trials: the dead ones and the one that repeats them. Only the last
//! counts, and while it waits or runs the proposal is not finished, although its dead trials are. A sampler that saw those
//! would propose something else than in a search that was never killed.

use std::collections::BTreeMap;

use crate::sampler::TrialView;
use crate::{Direction, Trial, TrialState, pareto};

/// The last trial of each proposal.
#[derive(Clone, Debug)]
pub struct History<'a> {
    last: BTreeMap<u64, &'a Trial>,
}

impl<'a> History<'a> {
    /// From the trials of a study, in any order.
    pub fn new(trials: &'a [Trial]) -> Self {
        let mut last: BTreeMap<u64, &Trial> = BTreeMap::new();
        for trial in trials {
            let held = last.entry(trial.proposal).or_insert(trial);
            if held.number < trial.number {
                *held = trial;
            }
        }
        Self { last }
    }

    /// The number of the next proposal to ask for.
    pub fn next_proposal(&self) -> u64 {
        self.last.last_key_value().map_or(0, |(proposal, _)| proposal + 1)
    }

    /// The first proposal that is not finished: all below it are. To compare with
    /// [`Sampler::needs`](crate::sampler::Sampler::needs).
    pub fn first_unfinished(&self) -> u64 {
        (0..).zip(self.finished()).take_while(|(n, trial)| *n == trial.proposal).count() as u64
    }

    /// Finished proposals, in order.
    pub fn finished(&self) -> impl Iterator<Item = &'a Trial> + use<'a, '_> {
        self.last.values().copied().filter(|trial| trial.state.is_finished())
    }

    /// Finished proposals as a sampler sees them; `genotype` reads a trial's parameters.
    pub fn views<G, E>(
        &self,
        directions: &[Direction],
        genotype: impl Fn(&Trial) -> Result<G, E>,
    ) -> Result<Vec<TrialView<G>>, E> {
        self.finished().map(|trial| Ok(TrialView::new(trial, genotype(trial)?, directions))).collect()
    }

    /// The complete, feasible trials that no other dominates, by proposal.
    pub fn front(&self, directions: &[Direction]) -> Vec<&'a Trial> {
        let good: Vec<&Trial> =
            self.finished().filter(|t| t.state == TrialState::Complete && t.violation() <= 0.0).collect();
        let losses = |t: &&Trial| directions.iter().zip(&t.values).map(|(d, &value)| d.loss(value)).collect();
        let rows: Vec<Vec<f64>> = good.iter().map(losses).collect();
        pareto::front(&rows).into_iter().map(|i| good[i]).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Outcome;
    use crate::storage::{NewTrial, Store};

    const BOTH: [Direction; 2] = [Direction::Maximize, Direction::Minimize];

    #[test]
    fn only_the_last_trial_of_a_proposal_counts() {
        let store = Store::in_memory().expect("memory");
        let study = store.create_or_load_study("s", &BOTH, &BTreeMap::new()).expect("new").id;
        let finish = |id, a, b| store.finish(id, &Outcome::Complete(vec![a, b])).expect("running");
        let add = |proposal| store.add_trial(study, &NewTrial { proposal, ..NewTrial::default() }).expect("added").id;
        let trials = || store.trials(study).expect("readable");
        assert_eq!((History::new(&[]).next_proposal(), History::new(&[]).first_unfinished()), (0, 0));

        let (first, _dead, third, broken) = (add(0), add(1), add(2), add(3));
        finish(first, 0.5, 10.0);
        finish(third, 0.4, 20.0);
        store.set_constraints(broken, &[1.0]).expect("running");
        finish(broken, 0.9, 1.0);
        assert_eq!(History::new(&trials()).first_unfinished(), 1, "proposal 1 runs");
        store.requeue_stale(study, Duration::ZERO, 3).expect("written");
        let waiting = trials();
        let history = History::new(&waiting);
        assert_eq!((history.first_unfinished(), history.next_proposal()), (1, 4), "its repetition waits");

        let again = store.claim_waiting(study).expect("written").expect("one waits");
        finish(again.id, 0.6, 15.0);
        let all = trials();
        let history = History::new(&all);
        assert_eq!((all.len(), history.first_unfinished(), history.next_proposal()), (5, 4, 4));
        assert_eq!(history.front(&BOTH).iter().map(|t| t.number).collect::<Vec<_>>(), [0, again.number]);
        let views = history.views(&BOTH, |trial| Ok::<_, ()>(trial.number)).expect("infallible");
        let seen: Vec<_> = views.iter().map(|v| (v.proposal, v.genotype, v.losses.clone())).collect();
        assert_eq!(seen[1], (1, again.number, Some(vec![-0.6, 15.0])));
        assert_eq!(views[3].violation, 1.0);
    }
}
