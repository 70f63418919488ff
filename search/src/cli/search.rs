//! `striae search`: run a study, or go on with it.

use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use clap::Args;
use striae_cost_model::{Calibration, Lowerer};
use striae_reports::format::{percent, seconds};
use striae_reports::table::headline;
use striae_reports::view::StudyView;
use striae_search::run::{StudyRun, StudyRunOptions};
use striae_search::verify::MemoryLimit;
use striae_search::{Costing, Objective, SearchEvent, Stage, StopReason, TrialState, view};

use super::calibration::CalibrationArgs;
use super::exit::Exit;
use super::failure::{Failure, Outcome};
use super::interrupt::Interrupt;
use super::memory::MemoryArgs;
use super::output::Output;
use super::progress::{Progress, rough};
use super::study_files::{StudyArgs, StudyFiles, shown};

#[derive(Args, Debug)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    study: StudyArgs,
    #[command(flatten)]
    calibration: CalibrationArgs,
    #[command(flatten)]
    memory: MemoryArgs,
}

/// Runs `striae search`.
pub(crate) fn run(args: &SearchArgs, threads: usize, output: Output) -> Outcome {
    let files = args.study.open()?;
    let memory = args.memory.limit();
    if let (Costing::Hybrid { protocol, .. }, Some(_)) = (files.study.costing(), &memory) {
        let message = format!("--memory: it limits encrypted runs, and networks are not run under {protocol}");
        return Err(Failure::bad_input(message, "leave --memory out, or give the study `protocol = \"ckks\"`"));
    }
    let chosen = args.calibration.load(output)?;
    let Searched { view, stopped, .. } = search(&files, &chosen.calibration, memory, threads, output)?;
    print(&view, output)?;
    if stopped == Some(StopReason::Interrupted) {
        output.note("stopped; the same command goes on");
        return Ok(Exit::Interrupted);
    }
    output.note(format_args!("make the report with `striae report {}`", shown(files.study.path())));
    Ok(verdict(&view))
}

/// A study that was run.
pub(crate) struct Searched {
    /// What it found.
    pub(crate) view: StudyView,
    /// Why it ended early.
    pub(crate) stopped: Option<StopReason>,
}

/// Runs or resumes the study.
pub(crate) fn search(
    files: &StudyFiles,
    calibration: &Calibration,
    memory: Option<MemoryLimit>,
    threads: usize,
    output: Output,
) -> Result<Searched, Failure> {
    let interrupt = Interrupt::listen()?;
    let watcher = Mutex::new(Watcher::new(files, output));
    let listener = |event: &SearchEvent| watcher.lock().unwrap_or_else(PoisonError::into_inner).hear(event);
    let stop = interrupt.flag();
    let options = StudyRunOptions {
        store: files.store.clone(),
        folder: files.folder.clone(),
        threads,
        calibration: calibration.clone(),
        memory,
    };
    let stopped = StudyRun::open(&files.study, options, &listener, &stop)?.run()?;
    drop(watcher);
    let view = view::study(&files.study, &files.open_store()?, &mut Lowerer::new(calibration))?;
    Ok(Searched { view, stopped })
}

/// The table a search ends with.
pub(crate) fn print(view: &StudyView, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.value(view);
    }
    output.table(&headline(&view.networks))?;
    print_caveat(view, output)
}

/// What must be said beside latencies that nobody measured.
pub(crate) fn print_caveat(view: &StudyView, output: Output) -> Result<(), Failure> {
    view.caveat().map_or(Ok(()), |caveat| output.line(caveat))
}

/// Whether every network that was run encrypted gave the classes it gives in the clear.
pub(crate) fn verdict(view: &StudyView) -> Exit {
    let disagrees = |v: &striae_reports::view::VerificationView| {
        v.argmax_agrees != v.images || v.logit_error.is_none_or(|e| e.is_nan() || e > 1e-2)
    };
    let checks = view.networks.iter().filter_map(|n| n.verification.as_ref());
    if checks.into_iter().any(disagrees) { Exit::VerificationFailed } else { Exit::Success }
}

/// Turns events into progress.
struct Watcher {
    progress: Option<Progress>,
    output: Output,
    /// Name of the study itself; others are its random baseline.
    study: String,
    /// Which of a trial's values is its accuracy.
    accuracy: Option<usize>,
    finished: u64,
    finished_before: u64,
    total: u64,
    best: f64,
    started: Instant,
}

impl Watcher {
    fn new(files: &StudyFiles, output: Output) -> Self {
        let study = files.study.name().to_owned();
        let accuracy = files.study.objectives().iter().position(|o| *o == Objective::Accuracy);
        let (finished, finished_before, total, best) = (0, 0, 0, 0.0);
        let started = Instant::now();
        Self { progress: None, output, study, accuracy, finished, finished_before, total, best, started }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is non-exhaustive, and most events are no news here")]
    fn hear(&mut self, event: &SearchEvent) {
        match event {
            SearchEvent::Started { study, finished, budget } => self.start(study, *finished, *budget),
            SearchEvent::Requeued { proposal } => self.line(&format_args!("candidate {proposal} is tried again")),
            SearchEvent::TrialFinished { proposal, state, values, reason } => {
                self.finish(*proposal, *state, values, reason.as_deref());
            }
            SearchEvent::StageStarted { proposal, stage: stage @ Stage::FullTraining } => {
                self.progress = None;
                self.started = Instant::now();
                self.line(&format_args!("candidate {proposal}: {stage}"));
            }
            SearchEvent::Epoch { stage: Stage::FullTraining, epoch, epochs, loss, accuracy, .. } => {
                let accuracy =
                    accuracy.map_or_else(String::new, |a| format!(", validation accuracy {}", percent(a, 2)));
                let left = self.started.elapsed().mul_f64((epochs - epoch) as f64 / (*epoch).max(1) as f64);
                let left = rough(left);
                self.line(&format_args!("  epoch {epoch:2} of {epochs}: loss {loss:.4}{accuracy}, {left} left"));
            }
            SearchEvent::ImageVerified { arch_id, done, images } => {
                if *done == 1 {
                    self.line(&format_args!("{arch_id}: {images} encrypted images"));
                    self.progress = Some(Progress::new(self.output, *images as u64));
                    self.started = Instant::now();
                }
                let left = self.started.elapsed().mul_f64((images - done) as f64 / (*done).max(1) as f64);
                if let Some(progress) = &mut self.progress {
                    progress.set(*done as u64, Some(left), format_args!("{done} of {images} encrypted images"));
                }
                if done == images {
                    self.progress = None;
                }
            }
            SearchEvent::Stopped { reason } => {
                self.progress = None;
                self.line(&reason);
            }
            _ => {}
        }
    }

    fn start(&mut self, study: &str, finished: u64, budget: u64) {
        self.progress = None;
        let what = if study == self.study { "search" } else { "random baseline" };
        self.line(&format_args!("{what}: {finished} of {budget} candidates are done"));
        (self.finished, self.finished_before, self.total) = (finished, finished, budget);
        (self.started, self.best) = (Instant::now(), 0.0);
        self.progress = Some(Progress::new(self.output, budget));
    }

    fn finish(&mut self, proposal: u64, state: TrialState, values: &[f64], reason: Option<&str>) {
        self.finished += 1;
        if state == TrialState::Fail {
            self.line(&format_args!("candidate {proposal} failed: {}", reason.unwrap_or("unknown reason")));
        }
        if let Some(accuracy) = self.accuracy.and_then(|at| values.get(at)) {
            self.best = self.best.max(*accuracy);
        }
        let done = self.finished - self.finished_before;
        let left = self.total.saturating_sub(self.finished) as f64 / done as f64;
        let left = self.started.elapsed().mul_f64(left);
        let (finished, total, best) = (self.finished, self.total, percent(self.best, 1));
        if let Some(progress) = &mut self.progress {
            progress.set(finished, Some(left), format_args!("{finished} of {total} candidates, best accuracy {best}"));
        }
    }

    fn line(&self, text: &dyn std::fmt::Display) {
        match &self.progress {
            Some(progress) => progress.line(text),
            None => self.output.note(text),
        }
    }
}

/// One line about a check.
pub(crate) fn check_line(found: &striae_search::verify::Verification) -> String {
    let expected = found.estimate.as_ref().map(|e| format!(", at least {:.1} expected", e.precision_bits));
    format!(
        "{} of {} classes agree, logits within {} of their range ({:.1} bits{}), {} measured, {} predicted",
        found.agreeing,
        found.images,
        percent(found.max_error / found.logit_range, 4),
        found.precision_bits,
        expected.unwrap_or_default(),
        seconds(found.measured_ms / 1e3),
        seconds(found.predicted_ms / 1e3)
    )
}

/// Whether a path is a study's TOML file rather than a bundle.
pub(crate) fn is_study(path: &Path) -> bool {
    !path.is_dir()
}
