//! What a program will take: latency with an interval, memory, traffic.

use serde::Serialize;

use crate::{
    Bytes, Calibration, CkksParams, HeProgram, MemoryEstimate, Seconds, StepKind, StepWork, calibration::OpTimes,
};

/// Bytes of the seed that stands for a polynomial of a fresh ciphertext.
const MASK_SEED: u64 = 32;
/// Relative half-width an interval has at least: the spread of repeated runs on a quiet machine.
const LEAST_SPREAD: f64 = 0.05;

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
    estimate_with(program, params, calibration, &[])
}

/// The same where the times of each level are known for keys and weights that come from memory; none if they are not.
pub(crate) fn estimate_with(
    program: &HeProgram,
    params: &CkksParams,
    calibration: &Calibration,
    known: &[OpTimes],
) -> Estimate {
    let memory = MemoryEstimate::on_threads(program, params, calibration.threads());
    // What small networks read stays in the cache from one image to the next.
    let cold = !calibration.stays_cached(memory.weights.0 + memory.keys.0);
    let of_level = |level| calibration.times(params, level, cold);
    let met: Vec<OpTimes>;
    let times = if cold && known.len() > program.depth() {
        known
    } else {
        met = (0..=program.depth()).map(of_level).collect();
        &met
    };
    let step = |i| {
        let parts = step_parts(program, i, times).to_vec();
        StepEstimate { latency: parts.iter().map(|p| p.1).sum(), parts }
    };
    let steps: Vec<StepEstimate> = (0..program.steps.len()).map(step).collect();
    let latency: Seconds = steps.iter().map(|s| s.latency).sum();
    let spread = calibration.spread(params).max(LEAST_SPREAD);
    let interval = (Seconds(latency.0 * (1.0 - spread).max(0.0)), Seconds(latency.0 * (1.0 + spread)));
    let (first, last) = (&program.values[0], program.result());
    // One polynomial of a fresh ciphertext comes from a seed.
    let upload = Bytes(first.layout.ciphertexts() as u64 * (params.filed_poly_bytes(first.level) + MASK_SEED));
    let download = Bytes(last.layout.ciphertexts() as u64 * 2 * params.filed_poly_bytes(last.level));
    Estimate { latency, interval, calibrated: !params.has_wide_primes(), steps, memory, upload, download }
}

fn step_parts(program: &HeProgram, step: usize, times: &[OpTimes]) -> [(&'static str, Seconds); 5] {
    let level = program.output_of(step).level;
    let (work, behind) = program.step_work(step);
    match &program.steps[step].kind {
        StepKind::Linear(linear) => {
            let runs = program.runs(step) as f64;
            let parts = linear_parts(&(work, behind), &times[linear.level], &times[level]);
            parts.map(|(name, seconds)| (name, Seconds(runs * seconds.0)))
        }
        StepKind::Square { input, .. } => times[program.value(*input).level].parts(&work),
        StepKind::WindowSum { .. } => times[level].parts(&work),
    }
}

/// Time of a linear step. Its folds and biases run one level below its multiplications, behind the rescaling.
pub(crate) fn linear_parts(
    (work, behind): &(StepWork, StepWork),
    before: &OpTimes,
    after: &OpTimes,
) -> [(&'static str, Seconds); 5] {
    let (mut parts, later) = (before.parts(work), after.parts(behind));
    parts.iter_mut().zip(later).for_each(|(part, more)| part.1 = part.1 + more.1);
    parts
}
