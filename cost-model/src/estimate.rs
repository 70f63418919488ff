//! What a program will take: latency with an interval, memory, traffic.

use serde::Serialize;

use crate::{
    Bytes, Calibration, CkksParams, HeProgram, MemoryEstimate, Seconds, StepKind, StepWork, calibration::OpTimes,
};

/// Bytes of the seed that stands for a polynomial of a fresh ciphertext.
const MASK_SEED: u64 = 32;
/// Relative difference between a network and its prediction that nine in ten stay below beside what the fit misses: memory lies
/// elsewhere in each process, and a shared machine is faster in some hours than in others. Of the size that networks of several
/// seeds show.
const PROCESS_SPREAD: f64 = 0.12;

/// Predicted cost of a program.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Time from encrypted input to encrypted result, without key generation and weight encoding.
    pub latency: Seconds,
    /// Bounds of about 90 %.
    pub interval: (Seconds, Seconds),
    /// Whether the calibration covers the parameters: its times are those of primes of at most 50 bits.
    pub calibrated: bool,
    /// Time of each step, by part.
    pub steps: Vec<StepEstimate>,
    /// Peak memory by what it holds.
    pub memory: MemoryEstimate,
    /// Bytes the client sends for one image.
    pub upload: Bytes,
    /// Bytes the client receives for one image.
    pub download: Bytes,
}

/// Predicted cost of one step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepEstimate {
    /// Its time.
    pub latency: Seconds,
    /// By part: rotations, multiplications, squares, rescaling, additions.
    pub parts: Vec<(&'static str, Seconds)>,
}

/// Estimates `program` under `params` from calibrated times, on the threads these are for.
pub fn estimate(program: &HeProgram, params: &CkksParams, calibration: &Calibration) -> Estimate {
    let times: Vec<OpTimes> = (0..=program.depth()).map(|level| calibration.times(params, level)).collect();
    estimate_of(program, params, calibration, &program.works(), &times)
}

/// The same where what the steps do and the times of each level are known.
pub(crate) fn estimate_of(
    program: &HeProgram,
    params: &CkksParams,
    calibration: &Calibration,
    works: &[(StepWork, StepWork)],
    times: &[OpTimes],
) -> Estimate {
    let memory = MemoryEstimate::with(program, works, params, calibration.threads());
    let step = |i| {
        let parts = step_parts(program, i, &works[i], times).to_vec();
        StepEstimate { latency: parts.iter().map(|p| p.1).sum(), parts }
    };
    let steps: Vec<StepEstimate> = (0..program.steps.len()).map(step).collect();
    let latency: Seconds = steps.iter().map(|s| s.latency).sum();
    let spread = calibration.spread(params).hypot(PROCESS_SPREAD);
    let interval = (Seconds(latency.0 * (1.0 - spread).max(0.0)), Seconds(latency.0 * (1.0 + spread)));
    let (first, last) = (&program.values[0], program.result());
    // One polynomial of a fresh ciphertext comes from a seed.
    let upload = Bytes(first.layout.ciphertexts() as u64 * (params.filed_poly_bytes(first.level) + MASK_SEED));
    let download = Bytes(last.layout.ciphertexts() as u64 * 2 * params.filed_poly_bytes(last.level));
    Estimate { latency, interval, calibrated: !params.has_wide_primes(), steps, memory, upload, download }
}

fn step_parts(
    program: &HeProgram,
    step: usize,
    work: &(StepWork, StepWork),
    times: &[OpTimes],
) -> [(&'static str, Seconds); 5] {
    let level = program.output_of(step).level;
    match &program.steps[step].kind {
        StepKind::Linear(linear) => linear_parts(work, program.runs(step), &times[linear.level], &times[level]),
        StepKind::Square { input, .. } => times[program.value(*input).level].parts(&work.0),
        StepKind::WindowSum { .. } => times[level].parts(&work.0),
    }
}

/// Time of a linear step in all its runs. Its folds and biases run one level below its multiplications, behind the rescaling.
pub(crate) fn linear_parts(
    (work, behind): &(StepWork, StepWork),
    runs: u64,
    before: &OpTimes,
    after: &OpTimes,
) -> [(&'static str, Seconds); 5] {
    let (mut parts, later) = (before.parts(work), after.parts(behind));
    parts.iter_mut().zip(later).for_each(|(part, more)| part.1 = Seconds(runs as f64 * (part.1.0 + more.1.0)));
    parts
}
