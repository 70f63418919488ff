//! The encrypted check: a trained network on encrypted images, against the clear and against the prediction.

use std::{
    ops::{ControlFlow, Not},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use striae_cost_model::{Bytes, Calibration, CkksParams, HeProgram, Plan, estimate};
use striae_he_eval::{
    ClearBackend, HeError, Inference, RnsBackend, Seed as KeySeed, Session, SessionError, WeightSpace, reference,
};
use striae_spaces::{TypedGraph, WeightError, WeightStore};
use thiserror::Error;

/// Images whose errors are estimated: it takes longer than running them encrypted, and they differ little.
const ESTIMATED_IMAGES: usize = 4;
/// Share of the logits' range above which an estimated error is worth a warning.
const COARSE: f64 = 1e-2;

/// What the encrypted check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// Images that were encrypted.
    pub images: usize,
    /// Images whose largest logit is the same encrypted and in the clear.
    pub agreeing: usize,
    /// Images classified correctly under encryption.
    pub correct: usize,
    /// Largest difference of a logit from the clear.
    pub max_error: f64,
    /// Largest minus smallest logit in the clear, over all images.
    pub logit_range: f64,
    /// `-log2(max_error / logit_range)`.
    pub precision_bits: f64,
    /// What the clear circuit said of the error beforehand; checks of earlier versions have none.
    #[serde(default)]
    pub estimate: Option<ErrorBound>,
    /// Whether every image executed exactly the predicted operations.
    pub counts_equal: bool,
    /// Predicted latency.
    pub predicted_ms: f64,
    /// Bounds of the prediction.
    pub interval_ms: [f64; 2],
    /// Median latency.
    pub measured_ms: f64,
    /// Fastest and slowest image.
    pub measured_range_ms: [f64; 2],
    /// Medians of what the client does: encryption, decryption.
    pub client_ms: [f64; 2],
    /// Key generation and weight encoding.
    pub setup_ms: [f64; 2],
    /// Threads.
    pub threads: usize,
    /// Every step: name, predicted and median measured milliseconds.
    pub steps: Vec<StepComparison>,
}

/// The error that the noise of CKKS can cause, from the clear circuit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorBound {
    /// No logit should be further off.
    pub error: f64,
    /// `-log2(error / logit_range)`.
    pub precision_bits: f64,
    /// Whether no measured error is larger.
    pub holds: bool,
    /// Images whose two largest logits are closer than twice the bound, so that noise alone could change the class.
    pub undecided: usize,
}

/// One step's prediction and measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepComparison {
    /// Node the step computes.
    pub node: String,
    /// Predicted.
    pub predicted_ms: f64,
    /// Median.
    pub measured_ms: f64,
}

impl Verification {
    /// Whether the encrypted network is the network: same classes, logits within a hundredth of their range and within the
    /// estimated error, and the predicted operations.
    pub fn passed(&self) -> bool {
        let close = self.max_error <= 1e-2 * self.logit_range && self.estimate.as_ref().is_none_or(|e| e.holds);
        self.agreeing == self.images && close && self.counts_equal
    }

    /// The estimated error as a share of the logits' range, where it is large enough to change classes.
    pub fn coarse(&self) -> Option<f64> {
        let share = self.estimate.as_ref()?.error / self.logit_range;
        // Not a number counts as too large.
        (share <= COARSE).not().then_some(share)
    }

    /// Relative error of the latency prediction.
    pub fn prediction_error(&self) -> f64 {
        self.predicted_ms / self.measured_ms - 1.0
    }
}

/// A check that cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Keys, circuit or evaluation.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// No image was asked for, or the user stopped before the first.
    #[error("no image was evaluated")]
    NoImage,
    /// Threads could not be started.
    #[error("cannot start {threads} thread(s): {cause}")]
    Threads {
        /// Wanted.
        threads: usize,
        /// Cause.
        cause: String,
    },
}

/// What the evaluation may hold in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// Bytes of keys, ciphertexts and encoded weights.
    pub budget: Bytes,
    /// Folder for the temporary file of weights beyond it.
    pub folder: PathBuf,
}

impl MemoryLimit {
    /// Where the encoded weights of a program go: in memory if there is no limit.
    pub fn space(limit: Option<&Self>, program: &HeProgram, params: &CkksParams) -> Result<WeightSpace, HeError> {
        let within = |limit: &Self| WeightSpace::within(limit.budget, &limit.folder, program, params);
        limit.map_or_else(|| Ok(WeightSpace::memory()), within)
    }
}

/// What to check.
pub struct VerifyInput<'a> {
    /// Parameters and lowering.
    pub plan: &'a Plan,
    /// The folded network.
    pub graph: &'a TypedGraph,
    /// Its weights.
    pub weights: &'a WeightStore,
    /// Normalised images with their labels.
    pub images: &'a [(Vec<f32>, u8)],
    /// Threads of the evaluation.
    pub threads: usize,
    /// Limit on memory, if there is one.
    pub memory: Option<&'a MemoryLimit>,
}

/// Runs the images under encryption; `observer` hears of every finished image and may stop the check.
pub fn verify(
    input: &VerifyInput<'_>,
    calibration: &Calibration,
    observer: &mut (dyn FnMut(usize) -> ControlFlow<()> + Send),
) -> Result<Verification, VerifyError> {
    let threads = input.threads;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|e| VerifyError::Threads { threads, cause: e.to_string() })?;
    pool.install(|| verify_here(input, calibration, observer))
}

fn verify_here(
    input: &VerifyInput<'_>,
    calibration: &Calibration,
    observer: &mut (dyn FnMut(usize) -> ControlFlow<()> + Send),
) -> Result<Verification, VerifyError> {
    let (params, graph) = (&input.plan.params, input.graph);
    let program = Arc::new(input.plan.program.clone());
    let predicted = estimate(&program, params, calibration);
    let bound = error_bound(input, &program)?;
    let space = MemoryLimit::space(input.memory, &program, params).map_err(SessionError::He)?;
    let session: Session<RnsBackend> =
        Session::new_in(space, params, Arc::clone(&program), graph, input.weights, KeySeed::Entropy)?;
    let mut runs: Vec<Inference> = Vec::with_capacity(input.images.len());
    let mut comparison = Comparison { bound, ..Comparison::default() };
    for (i, (image, label)) in input.images.iter().enumerate() {
        let run = session.infer(image)?;
        comparison.add(&run.logits, &reference::logits(graph, input.weights, image)?, *label);
        runs.push(run);
        if observer(i + 1).is_break() {
            break;
        }
    }
    if runs.is_empty() {
        return Err(VerifyError::NoImage);
    }
    let counts = program.counts();
    let latency = |run: &Inference| run.latency;
    let bounds = |pick: fn(f64, f64) -> f64, start| runs.iter().map(|r| ms(r.latency)).fold(start, pick);
    let steps = (0..program.steps.len())
        .map(|i| StepComparison {
            node: program.steps[i].node.to_string(),
            predicted_ms: predicted.steps[i].latency.0 * 1e3,
            measured_ms: median(&runs, |run| run.steps[i].time),
        })
        .collect();
    let range = comparison.range();
    Ok(Verification {
        images: runs.len(),
        agreeing: comparison.agreeing,
        correct: comparison.correct,
        max_error: comparison.max_error,
        logit_range: range,
        precision_bits: -(comparison.max_error / range).log2(),
        estimate: Some(comparison.estimate()),
        counts_equal: runs.iter().all(|r| r.counts == counts),
        predicted_ms: predicted.latency.0 * 1e3,
        interval_ms: [predicted.interval.0.0 * 1e3, predicted.interval.1.0 * 1e3],
        measured_ms: median(&runs, latency),
        measured_range_ms: [bounds(f64::min, f64::INFINITY), bounds(f64::max, 0.0)],
        client_ms: [median(&runs, |r| r.encrypt), median(&runs, |r| r.decrypt)],
        setup_ms: [ms(session.setup().keys), ms(session.setup().encoding)],
        threads: input.threads,
        steps,
    })
}

/// The largest error a logit of the first images may have.
fn error_bound(input: &VerifyInput<'_>, program: &Arc<HeProgram>) -> Result<f64, VerifyError> {
    let params = &input.plan.params;
    let session: Session<ClearBackend> = Session::with_errors(params, Arc::clone(program), input.graph, input.weights)?;
    let mut bound = 0f64;
    for (image, _) in input.images.iter().take(ESTIMATED_IMAGES) {
        bound = bound.max(session.expect(image)?.error.bound());
    }
    Ok(bound)
}

/// Logits under encryption against those in the clear.
#[derive(Default)]
struct Comparison {
    /// Estimated error of a logit.
    bound: f64,
    undecided: usize,
    agreeing: usize,
    correct: usize,
    max_error: f64,
    low: f64,
    high: f64,
}

impl Comparison {
    fn add(&mut self, encrypted: &[f64], clear: &[f64], label: u8) {
        let class = argmax(encrypted);
        self.agreeing += usize::from(class == argmax(clear));
        self.correct += usize::from(class == label as usize);
        let best = clear.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let contenders = clear.iter().filter(|c| best - **c <= 2.0 * self.bound).count();
        self.undecided += usize::from(contenders > 1);
        let errors = encrypted.iter().zip(clear).map(|(e, c)| (e - c).abs());
        self.max_error = errors.fold(self.max_error, f64::max);
        self.low = clear.iter().copied().fold(self.low, f64::min);
        self.high = clear.iter().copied().fold(self.high, f64::max);
    }

    fn range(&self) -> f64 {
        self.high - self.low
    }

    fn estimate(&self) -> ErrorBound {
        ErrorBound {
            error: self.bound,
            precision_bits: -(self.bound / self.range()).log2(),
            holds: self.max_error <= self.bound,
            undecided: self.undecided,
        }
    }
}

/// Index of the largest value; NaN is never the largest.
pub fn argmax(values: &[f64]) -> usize {
    let best = values.iter().enumerate().filter(|(_, v)| !v.is_nan()).max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(usize::MAX, |(i, _)| i)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(runs: &[Inference], of: impl Fn(&Inference) -> Duration) -> f64 {
    let mut times: Vec<f64> = runs.iter().map(|r| ms(of(r))).collect();
    times.sort_by(f64::total_cmp);
    let middle = times.len() / 2;
    if times.len() % 2 == 1 { times[middle] } else { f64::midpoint(times[middle - 1], times[middle]) }
}
