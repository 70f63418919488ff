//! The trials of a study: constraints, estimate, short training, on several threads.

use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use striae_spaces::TypedGraph;
use striae_train::{TrainEvent, train};

use super::{RunError, StudyRun};
use crate::{
    History, Objective, Outcome, Progress, SamplerConfig, SamplerKind, SearchEvent, Stage, StopReason, Trial,
    assess::{Assessed, Rejected, assess},
    candidate::Candidate,
    coster::Coster,
    sampler::Sampler,
    storage::{NewTrial, StoredStudy},
    summary::CostSummary,
};

/// Trial attribute: the network in notation.
pub const NETWORK_KEY: &str = "network";
/// Trial attribute: its id.
pub const ARCH_KEY: &str = "arch_id";
/// Trial attribute: its [`CostSummary`].
pub const PLAN_KEY: &str = "plan";
/// Trial attribute: validation accuracy after the short training.
pub const ACCURACY_KEY: &str = "short_accuracy";

/// Study attribute: seconds that all runs of its trials took.
const ELAPSED_KEY: &str = "striae:elapsed_seconds";
/// Trials that died this often are not tried again.
const MAX_RETRIES: usize = 3;
/// How long a thread waits before it looks again whether it can go on.
const PATIENCE: Duration = Duration::from_millis(200);

/// Name of the random search beside a study.
pub fn baseline_name(study: &str) -> String {
    format!("{study}-random")
}

/// What the threads share, under one lock.
struct Dispatcher<'s> {
    sampler: Box<dyn Sampler<Candidate> + Send + 's>,
    coster: Coster<'s>,
    /// Time of earlier runs.
    before: Duration,
    started: Instant,
    error: Option<RunError>,
    done: bool,
}

/// A candidate to train.
struct Job {
    trial: Trial,
    graph: TypedGraph,
    arch_id: String,
    cost: CostSummary,
}

impl StudyRun<'_> {
    /// The random search that the plots compare with.
    pub(super) fn baseline(&self) -> Result<(), RunError> {
        let Some(trials) = self.study.config().baseline_trials else { return Ok(()) };
        let stored = self.stored(&baseline_name(self.study.name()))?;
        self.trials(&stored, SamplerKind::Random, trials)
    }

    /// Evaluates proposals until the budget is reached or the user stops.
    pub(super) fn trials(&self, stored: &StoredStudy, kind: SamplerKind, budget: u64) -> Result<(), RunError> {
        for dead in self.store.requeue_stale(stored.id, Duration::ZERO, MAX_RETRIES)? {
            self.emit(&SearchEvent::Requeued { proposal: dead.proposal });
        }
        let config = SamplerConfig { kind, ..self.study.sampler().clone() };
        // The baseline's proposals must not repeat those of the search.
        let seed = self.study.seed().named(if stored.name == self.study.name() { "search" } else { "baseline" });
        let trials = self.store.trials(stored.id)?;
        let finished = History::new(&trials).finished().count() as u64;
        self.emit(&SearchEvent::Started { study: stored.name.clone(), finished, budget });
        let dispatcher = Mutex::new(Dispatcher {
            sampler: config.build(&self.candidates, seed)?,
            coster: self.coster(),
            before: Duration::from_secs_f64(self.read_attr(&stored.name, ELAPSED_KEY)?.unwrap_or(0.0)),
            started: Instant::now(),
            error: None,
            done: false,
        });
        let changed = Condvar::new();
        std::thread::scope(|scope| {
            for _ in 0..self.options.threads {
                scope.spawn(|| self.work(stored, budget, &dispatcher, &changed));
            }
        });
        match dispatcher.into_inner().unwrap_or_else(PoisonError::into_inner).error {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn work(&self, stored: &StoredStudy, budget: u64, dispatcher: &Mutex<Dispatcher<'_>>, changed: &Condvar) {
        // Candidates run side by side, so each trains on one thread.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let pool = pool.map_err(|e| RunError::Threads { threads: 1, cause: e.to_string() });
        let result = pool.and_then(|pool| {
            while let Some(job) = self.next_job(stored, budget, dispatcher, changed)? {
                pool.install(|| self.train_short(&job))?;
                changed.notify_all();
            }
            Ok(())
        });
        if let Err(error) = result {
            let mut shared = lock(dispatcher);
            shared.error.get_or_insert(error);
            shared.done = true;
        }
        changed.notify_all();
    }

    /// The next candidate that keeps the limits; those that do not end here. Proposals are made and assessed in order under
    /// the lock, so what is trained does not depend on which thread is faster.
    fn next_job(
        &self,
        stored: &StoredStudy,
        budget: u64,
        dispatcher: &Mutex<Dispatcher<'_>>,
        changed: &Condvar,
    ) -> Result<Option<Job>, RunError> {
        let mut shared = lock(dispatcher);
        loop {
            if shared.done || self.stopped() {
                return Ok(None);
            }
            if let Some(trial) = self.store.claim_waiting(stored.id)? {
                let candidate = self.candidate(&trial)?;
                if let Some(job) = self.begin(stored, trial, &candidate, &mut shared.coster)? {
                    return Ok(Some(job));
                }
                continue;
            }
            let elapsed = shared.before + shared.started.elapsed();
            self.write_attr(stored, ELAPSED_KEY, &elapsed.as_secs_f64())?;
            let trials = self.store.trials(stored.id)?;
            let history = History::new(&trials);
            let number = history.next_proposal();
            if let Some(reason) = self.reached(&trials, number, budget, elapsed) {
                // Trials of other threads go on; only new proposals end.
                shared.done = true;
                self.emit(&SearchEvent::Stopped { reason });
                return Ok(None);
            }
            if history.first_unfinished() < shared.sampler.needs(number) {
                shared = changed.wait_timeout(shared, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let views = history.views(&self.study.directions(), |t| self.candidate(t))?;
            let candidate = shared.sampler.ask(&views, number)?;
            let params = self.candidates.to_params(&candidate)?;
            let new = NewTrial { proposal: number, params, user_attrs: BTreeMap::new() };
            let trial = self.store.add_trial(stored.id, &new)?;
            if let Some(job) = self.begin(stored, trial, &candidate, &mut shared.coster)? {
                return Ok(Some(job));
            }
        }
    }

    fn candidate(&self, trial: &Trial) -> Result<Candidate, RunError> {
        self.candidates
            .from_trial(trial)
            .map_err(|e| RunError::ForeignTrial { number: trial.number, reason: e.to_string() })
    }

    fn reached(&self, trials: &[Trial], next: u64, budget: u64, elapsed: Duration) -> Option<StopReason> {
        // Those begun, not those finished: which are finished depends on the threads.
        let trained = trials.iter().filter(|t| t.user_attrs.contains_key(ARCH_KEY)).count() as u64;
        let limits = crate::Budget { trials: budget, ..self.study.budget().clone() };
        limits.reached(&Progress { trials: next, trained, elapsed })
    }

    /// Assesses a candidate; gives it back if it is to be trained.
    fn begin(
        &self,
        stored: &StoredStudy,
        trial: Trial,
        candidate: &Candidate,
        coster: &mut Coster<'_>,
    ) -> Result<Option<Job>, RunError> {
        match assess(self.candidates.space(), candidate, self.study.limits(), coster) {
            Ok(Assessed { graph, cost }) => {
                self.note(&trial, &graph.to_string(), Some(&cost))?;
                if let Some((reason, by)) = self.screened(stored, &trial, &graph)? {
                    self.store.set_constraints(trial.id, &[by])?;
                    self.finish(&trial, &Outcome::Pruned { reason })?;
                    return Ok(None);
                }
                let network = graph.to_string();
                let arch_id = graph.arch_id().to_string();
                self.emit(&SearchEvent::TrialStarted { proposal: trial.proposal, network });
                self.store.set_constraints(trial.id, &[0.0])?;
                self.store.set_trial_attr(trial.id, ARCH_KEY, &json!(arch_id))?;
                let job = Job { trial, graph, arch_id, cost };
                match self.known_accuracy(&job)? {
                    Some(accuracy) => self.complete(&job, accuracy).map(|()| None),
                    None => Ok(Some(job)),
                }
            }
            Err(rejected) => {
                let Rejected { network, cost, reason, excess } = *rejected;
                self.note(&trial, network.as_deref().unwrap_or_default(), cost.as_ref())?;
                self.store.set_constraints(trial.id, &[excess])?;
                self.finish(&trial, &Outcome::Pruned { reason })?;
                Ok(None)
            }
        }
    }

    /// The accuracy of the same network in an earlier trial of the study or its baseline; training it again would give the
    /// same.
    fn known_accuracy(&self, job: &Job) -> Result<Option<f64>, RunError> {
        let names = self.store.study_names()?;
        for name in [self.study.name().to_owned(), baseline_name(self.study.name())] {
            if !names.contains(&name) {
                continue;
            }
            let trials = self.store.trials(self.store.load_study(&name)?.id)?;
            let same = |t: &&Trial| t.user_attrs.get(ARCH_KEY).and_then(Value::as_str) == Some(&job.arch_id);
            let accuracy = |t: &Trial| t.user_attrs.get(ACCURACY_KEY).and_then(Value::as_f64);
            if let Some(accuracy) = trials.iter().filter(same).find_map(accuracy) {
                return Ok(Some(accuracy));
            }
        }
        Ok(None)
    }

    /// Notes a candidate's accuracy and ends its trial.
    fn complete(&self, job: &Job, accuracy: f64) -> Result<(), RunError> {
        self.store.set_trial_attr(job.trial.id, ACCURACY_KEY, &json!(accuracy))?;
        let value = |o: &Objective| match o {
            Objective::Accuracy => accuracy,
            Objective::Latency => job.cost.latency_ms(),
            Objective::Communication => job.cost.communication_mib(),
        };
        self.finish(&job.trial, &Outcome::Complete(self.study.objectives().iter().map(value).collect()))
    }

    fn note(&self, trial: &Trial, network: &str, cost: Option<&CostSummary>) -> Result<(), RunError> {
        self.store.set_trial_attr(trial.id, NETWORK_KEY, &json!(network))?;
        if let Some(cost) = cost {
            self.store.set_trial_attr(trial.id, PLAN_KEY, &Value::from(cost.clone()))?;
        }
        Ok(())
    }

    fn train_short(&self, job: &Job) -> Result<(), RunError> {
        let (trial, proposal) = (&job.trial, job.trial.proposal);
        // The same network trains the same way wherever it turns up.
        let config = self.study.training().short_config(self.study.seed().named("short").named(&job.arch_id));
        self.emit(&SearchEvent::StageStarted { proposal, stage: Stage::ShortTraining });
        let start = Instant::now();
        let result = train(&job.graph, &self.splits, &config, None, &mut |event| {
            if let TrainEvent::Epoch(stats) = event {
                self.emit(&SearchEvent::Epoch {
                    proposal,
                    stage: Stage::ShortTraining,
                    epoch: stats.epoch,
                    epochs: config.epochs,
                    loss: stats.train_loss,
                    accuracy: Some(stats.validation_accuracy),
                });
            }
            self.flow()
        });
        let seconds = start.elapsed().as_secs_f64();
        self.emit(&SearchEvent::StageFinished { proposal, stage: Stage::ShortTraining, seconds });
        match result {
            // Left running: the next run of the study does it again.
            Ok(trained) if trained.stopped => Ok(()),
            Ok(trained) => {
                for epoch in &trained.history {
                    self.store.report(trial.id, epoch.epoch as i64, epoch.validation_accuracy)?;
                }
                self.complete(job, trained.validation_accuracy())
            }
            Err(error) => self.finish(trial, &Outcome::Failed { error: error.to_string() }),
        }
    }

    fn finish(&self, trial: &Trial, outcome: &Outcome) -> Result<(), RunError> {
        let state = self.store.finish(trial.id, outcome)?;
        let (values, reason) = match outcome {
            Outcome::Complete(values) => (values.clone(), None),
            Outcome::Pruned { reason } => (Vec::new(), Some(reason.clone())),
            Outcome::Failed { error } => (Vec::new(), Some(error.clone())),
        };
        self.emit(&SearchEvent::TrialFinished { proposal: trial.proposal, state, values, reason });
        Ok(())
    }
}

fn lock<'m, 's>(dispatcher: &'m Mutex<Dispatcher<'s>>) -> MutexGuard<'m, Dispatcher<'s>> {
    dispatcher.lock().unwrap_or_else(PoisonError::into_inner)
}
