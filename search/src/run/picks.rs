//! The picks of a study: the best of the front, trained to the end, checked under encryption, tested once.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use striae_cost_model::{Lowerer, PlanOptions};
use striae_spaces::TypedGraph;
use striae_train::{ActivationRange, TrainEvent, evaluate, fold, ranges, train};

use super::{NETWORK_KEY, RunError, StudyRun, context::read_attr};
use crate::{
    Costing, History, Objective, SearchEvent, Stage, Trial,
    coster::{CosterError, plan_options},
    storage::{Store, StoredStudy},
    summary::CostSummary,
    verify::{Verification, VerifyInput, verify},
};

/// Study attribute that holds them.
const PICKS_KEY: &str = "striae:picks";
/// Images per pass when the test set is read.
const TEST_BATCH: usize = 128;

/// A network of the front that was trained to the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pick {
    /// Its trial.
    pub trial: u64,
    /// Its id, also the name of its folder.
    pub arch_id: String,
    /// In notation, as trained.
    pub network: String,
    /// Validation accuracy after the full training.
    pub validation_accuracy: f64,
    /// Test accuracy; read once, when everything else is decided.
    pub test_accuracy: Option<f64>,
    /// What it costs.
    #[serde(rename = "plan")]
    pub cost: CostSummary,
    /// Ranges of the activations' inputs on training images.
    pub ranges: Vec<ActivationRange>,
    /// Loss and validation accuracy of each epoch.
    pub curve: Vec<(f64, f64)>,
    /// The encrypted check; none under a protocol that is only estimated.
    pub verification: Option<Verification>,
}

impl Pick {
    /// File names inside the pick's folder.
    pub const WEIGHTS: &'static str = "weights.safetensors";

    /// Folder of the pick's files inside the study's.
    pub fn folder(&self, study: &Path) -> PathBuf {
        study.join(&self.arch_id)
    }
}

/// The picks a study has so far, the chosen one first: the most accurate on validation images, then the fastest.
pub fn picks_of(stored: &StoredStudy) -> Result<Vec<Pick>, RunError> {
    let mut picks: Vec<Pick> = read_attr(stored, PICKS_KEY)?.unwrap_or_default();
    picks.sort_by(|a, b| {
        let accuracy = b.validation_accuracy.total_cmp(&a.validation_accuracy);
        accuracy.then(a.cost.latency_ms().total_cmp(&b.cost.latency_ms()))
    });
    Ok(picks)
}

/// Replaces the encrypted check of a pick by a newer one. Fails while a search holds the store.
pub fn record_verification(
    store: &Store,
    study: &str,
    trial: u64,
    verification: &Verification,
) -> Result<(), RunError> {
    let _lock = store.lock()?;
    let stored = store.load_study(study)?;
    let mut picks: Vec<Pick> = read_attr(&stored, PICKS_KEY)?.unwrap_or_default();
    for pick in picks.iter_mut().filter(|p| p.trial == trial) {
        pick.verification = Some(verification.clone());
    }
    let value =
        serde_json::to_value(picks).map_err(|e| RunError::Attribute { key: PICKS_KEY, reason: e.to_string() })?;
    Ok(store.set_study_attr(stored.id, PICKS_KEY, &value)?)
}

impl StudyRun<'_> {
    pub(super) fn picks(&self, stored: &StoredStudy) -> Result<(), RunError> {
        let trials = self.store.trials(stored.id)?;
        let chosen = self.choose(&trials);
        if chosen.is_empty() {
            return Err(RunError::NothingFound { study: stored.name.clone(), trials: trials.len() });
        }
        let mut picks: Vec<Pick> = self.read_attr(self.study.name(), PICKS_KEY)?.unwrap_or_default();
        for trial in chosen {
            if picks.iter().any(|p| p.trial == trial.number) {
                continue;
            }
            match self.train_fully(trial)? {
                Some(pick) => picks.push(pick),
                None => return Ok(()),
            }
            self.write_attr(stored, PICKS_KEY, &picks)?;
        }
        if !self.check_all(stored, &mut picks)? {
            return Ok(());
        }
        for pick in &mut picks {
            if pick.test_accuracy.is_none() {
                let (graph, weights) = self.load(pick)?;
                pick.test_accuracy = Some(evaluate(&graph, &weights, &self.splits.test, TEST_BATCH)?.accuracy);
            }
        }
        self.write_attr(stored, PICKS_KEY, &picks)
    }

    /// The most accurate networks of the front, of equally accurate ones the cheaper.
    fn choose<'t>(&self, trials: &'t [Trial]) -> Vec<&'t Trial> {
        let directions = self.study.directions();
        let mut front = History::new(trials).front(&directions);
        let loss = |t: &Trial, objective: Objective| {
            let at = self.study.objectives().iter().position(|o| *o == objective);
            at.map_or(0.0, |i| objective.direction().loss(t.values[i]))
        };
        front.sort_by(|a, b| {
            let by = Objective::ALL.map(|objective| loss(a, objective).total_cmp(&loss(b, objective)));
            by.into_iter().fold(Ordering::Equal, Ordering::then)
        });
        front.truncate(self.study.verify().top);
        front
    }

    /// Trains a trial's network to the end; `None` if the user stopped it. Its checkpoint lets the next run go on.
    fn train_fully(&self, trial: &Trial) -> Result<Option<Pick>, RunError> {
        let foreign = |reason: String| RunError::ForeignTrial { number: trial.number, reason };
        let notation = trial.user_attrs.get(NETWORK_KEY).and_then(|v| v.as_str()).unwrap_or_default();
        let graph: TypedGraph = notation.parse().map_err(|e| foreign(format!("{NETWORK_KEY}: {e}")))?;
        let arch_id = graph.arch_id().to_string();
        let folder = self.network_folder(&arch_id)?;
        let config = self.study.training().full_config(self.study.seed().named("full").named(&arch_id));
        let (proposal, stage) = (trial.proposal, Stage::FullTraining);
        self.emit(&SearchEvent::StageStarted { proposal, stage });
        let start = std::time::Instant::now();
        let checkpoint = folder.join("checkpoint.json");
        let trained = train(&graph, &self.splits, &config, Some(&checkpoint), &mut |event| {
            if let TrainEvent::Epoch(s) = event {
                let (epoch, epochs, loss) = (s.epoch, config.epochs, s.train_loss);
                let accuracy = Some(s.validation_accuracy);
                self.emit(&SearchEvent::Epoch { proposal, stage, epoch, epochs, loss, accuracy });
            }
            self.flow()
        })?;
        if trained.stopped {
            return Ok(None);
        }
        let seconds = start.elapsed().as_secs_f64();
        self.emit(&SearchEvent::StageFinished { proposal, stage, seconds });
        trained.weights.save(&folder.join(Pick::WEIGHTS))?;
        let ranges = ranges(&graph, &trained.weights, &self.splits.train)?;
        let packing = self.candidates.packing_of(trial).map_err(|e| foreign(e.to_string()))?;
        let cost = self.coster().cost(&graph, packing)?;
        Ok(Some(Pick {
            trial: trial.number,
            arch_id,
            network: notation.to_owned(),
            validation_accuracy: trained.validation_accuracy(),
            test_accuracy: None,
            cost,
            curve: trained.history.iter().map(|e| (e.train_loss, e.validation_accuracy)).collect(),
            ranges,
            verification: None,
        }))
    }

    /// The pick's network and weights as trained.
    fn load(&self, pick: &Pick) -> Result<(TypedGraph, striae_spaces::WeightStore), RunError> {
        let foreign = |e: String| RunError::ForeignTrial { number: pick.trial, reason: e };
        let graph: TypedGraph = pick.network.parse().map_err(|e| foreign(format!("{NETWORK_KEY}: {e}")))?;
        let path = pick.folder(&self.options.folder).join(Pick::WEIGHTS);
        let weights = striae_spaces::WeightStore::load(&path)?;
        weights.check(&graph)?;
        Ok((graph, weights))
    }

    /// Runs the picks that have not been under encryption, which no hybrid protocol can be; false if the user stopped it.
    fn check_all(&self, stored: &StoredStudy, picks: &mut [Pick]) -> Result<bool, RunError> {
        let Costing::Ckks { max_log_n, .. } = *self.study.costing() else { return Ok(true) };
        for i in 0..picks.len() {
            let Some(plan) = picks[i].cost.ckks().filter(|_| picks[i].verification.is_none()) else { continue };
            let options = plan_options(max_log_n, plan.packing);
            let Some(found) = self.check(&picks[i], &options)? else { return Ok(false) };
            picks[i].verification = Some(found);
            self.write_attr(stored, PICKS_KEY, &picks)?;
        }
        Ok(true)
    }

    /// Runs test images under encryption; `None` if the user stopped it.
    fn check(&self, pick: &Pick, options: &PlanOptions) -> Result<Option<Verification>, RunError> {
        let (graph, weights) = self.load(pick)?;
        let (graph, weights) = fold(&graph, &weights)?;
        let plan = Lowerer::new(&self.options.calibration).plan(&graph, options).map_err(CosterError::from)?;
        let count = self.study.verify().images().min(self.splits.test.len());
        let images: Vec<(Vec<f32>, u8)> =
            (0..count).map(|i| (self.splits.test.image(i), self.splits.test.labels()[i])).collect();
        let memory = self.options.memory.as_ref();
        let input = VerifyInput { plan: &plan, graph: &graph, weights: &weights, images: &images, threads: 1, memory };
        let arch_id = pick.arch_id.clone();
        let verification = verify(&input, &self.options.calibration, &mut |done| {
            self.emit(&SearchEvent::ImageVerified { arch_id: arch_id.clone(), done, images: count });
            self.flow()
        })?;
        Ok((verification.images == count).then_some(verification))
    }
}
