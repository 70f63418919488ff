//! What a program will take: latency with an interval, memory, traffic.

use serde::Serialize;

use crate::{Bytes, Calibration, CkksParams, HeProgram, LinearStep, OpCounts, Seconds, StepKind, calibration::OpTimes};

/// Bytes of the seed that stands for a polynomial of a fresh ciphertext.
const MASK_SEED: u64 = 32;
/// Relative half-width an interval has at least: the spread of repeated runs on a quiet machine.
const LEAST_SPREAD: f64 = 0.05;

/// Predicted cost of a program on one thread.
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

/// Peak memory on the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryEstimate {
    /// Encoded diagonals and biases.
    pub weights: Bytes,
    /// Evaluation keys.
    pub keys: Bytes,
    /// Ciphertexts of the largest step: inputs, rotated inputs, partial sums, outputs.
    pub ciphertexts: Bytes,
}

impl MemoryEstimate {
    /// That of `program` under `params`.
    pub fn of(program: &HeProgram, params: &CkksParams) -> Self {
        let counts: Vec<OpCounts> = (0..program.steps.len()).map(|i| program.step_counts(i)).collect();
        memory(program, &counts, params)
    }

    /// All of it.
    pub fn total(&self) -> Bytes {
        self.weights + self.keys + self.ciphertexts
    }
}

/// Bytes of the encoded diagonals of a step; none unless it is linear. Those of rotated inputs are multiplied in QP.
pub fn diagonal_memory(program: &HeProgram, step: usize, params: &CkksParams) -> Bytes {
    let StepKind::Linear(LinearStep { plan, level, .. }) = &program.steps[step].kind else { return Bytes(0) };
    let rotated = plan.terms.iter().filter(|t| plan.babies[t.input as usize][t.baby as usize] != 0).count();
    let bytes = |extended| params.diagonal_bytes(*level, extended);
    Bytes(rotated as u64 * bytes(true) + (plan.terms.len() - rotated) as u64 * bytes(false))
}

/// Estimates `program` under `params` from calibrated times.
pub fn estimate(program: &HeProgram, params: &CkksParams, calibration: &Calibration) -> Estimate {
    let times: Vec<OpTimes> = (0..=program.depth()).map(|level| calibration.times(params, level)).collect();
    estimate_with(program, params, &times, calibration.spread())
}

/// The same from the times of each level, for callers that estimate many programs with the same parameters.
pub fn estimate_with(program: &HeProgram, params: &CkksParams, times: &[OpTimes], spread: f64) -> Estimate {
    let counts: Vec<OpCounts> = (0..program.steps.len()).map(|i| program.step_counts(i)).collect();
    estimate_counted(program, &counts, params, times, spread)
}

/// The same where the operations of each step are known.
pub(crate) fn estimate_counted(
    program: &HeProgram,
    counts: &[OpCounts],
    params: &CkksParams,
    times: &[OpTimes],
    spread: f64,
) -> Estimate {
    let step = |(i, counts): (usize, &OpCounts)| {
        let parts = step_parts(program, i, counts, times).to_vec();
        StepEstimate { latency: parts.iter().map(|p| p.1).sum(), parts }
    };
    let steps: Vec<StepEstimate> = counts.iter().enumerate().map(step).collect();
    let latency: Seconds = steps.iter().map(|s| s.latency).sum();
    let spread = spread.max(LEAST_SPREAD);
    let interval = (Seconds(latency.0 * (1.0 - spread).max(0.0)), Seconds(latency.0 * (1.0 + spread)));
    let (first, last) = (&program.values[0], program.result());
    // One polynomial of a fresh ciphertext comes from a seed.
    let upload = Bytes(first.layout.ciphertexts() as u64 * (params.filed_poly_bytes(first.level) + MASK_SEED));
    let download = Bytes(last.layout.ciphertexts() as u64 * 2 * params.filed_poly_bytes(last.level));
    let memory = memory(program, counts, params);
    Estimate { latency, interval, calibrated: !params.has_wide_primes(), steps, memory, upload, download }
}

fn step_parts(program: &HeProgram, step: usize, counts: &OpCounts, times: &[OpTimes]) -> [(&'static str, Seconds); 5] {
    let level = program.output_of(step).level;
    match &program.steps[step].kind {
        StepKind::Linear(linear) => linear_parts(counts, &times[linear.level], &times[level]),
        StepKind::Square { input, .. } => times[program.value(*input).level].parts(counts),
        StepKind::WindowSum { .. } => times[level].parts(counts),
    }
}

/// Time of a linear step. Its folds and biases run one level below its multiplications, behind the rescaling.
pub(crate) fn linear_parts(counts: &OpCounts, before: &OpTimes, after: &OpTimes) -> [(&'static str, Seconds); 5] {
    let folds = OpCounts {
        rotations_full: counts.rotations_full,
        adds: counts.adds,
        plain_adds: counts.plain_adds,
        ..OpCounts::default()
    };
    let products = OpCounts { rotations_full: 0, adds: 0, plain_adds: 0, ..*counts };
    let (mut parts, later) = (before.parts(&products), after.parts(&folds));
    parts.iter_mut().zip(later).for_each(|(part, more)| part.1 = part.1 + more.1);
    parts
}

fn memory(program: &HeProgram, counts: &[OpCounts], params: &CkksParams) -> MemoryEstimate {
    let (mut weights, mut ciphertexts) = (Bytes(0), 0);
    for (i, (step, counts)) in program.steps.iter().zip(counts).enumerate() {
        let output = program.output_of(i);
        let results = output.layout.ciphertexts() as u64 * params.ciphertext_bytes(output.level);
        let inputs = match &step.kind {
            StepKind::Linear(linear) => {
                program.runs(i) * linear.plan.inputs as u64 * params.ciphertext_bytes(linear.level)
            }
            StepKind::Square { .. } | StepKind::WindowSum { .. } => 0,
        };
        weights = weights + step_weights(program, i, params);
        ciphertexts = ciphertexts.max(step_working(program, i, counts, params) + inputs + results);
    }
    let keys = program.keys().levels().map(|level| params.key_bytes(level)).sum();
    MemoryEstimate { weights, keys: Bytes(keys), ciphertexts: Bytes(ciphertexts) }
}

/// Bytes of the encoded diagonals and biases of a step.
pub(crate) fn step_weights(program: &HeProgram, step: usize, params: &CkksParams) -> Bytes {
    let StepKind::Linear(linear) = &program.steps[step].kind else { return Bytes(0) };
    let biases = linear.plan.outputs as u64 * params.ciphertext_bytes(program.output_of(step).level) / 2;
    diagonal_memory(program, step, params) + Bytes(biases)
}

/// Bytes that one run of a step, with these operations in all runs, works on besides its inputs and results.
pub(crate) fn step_working(program: &HeProgram, step: usize, counts: &OpCounts, params: &CkksParams) -> u64 {
    let output = program.output_of(step);
    match &program.steps[step].kind {
        StepKind::Linear(linear) => {
            // Rotated inputs are held one limb at a time, partial sums in all limbs.
            let limbs = linear.level as u64 + 1 + params.log_p().len() as u64;
            let runs = program.runs(step);
            let sums = linear.plan.outputs as u64 + counts.giant_steps / runs;
            let rotated = linear.plan.inputs as u64 + counts.rotations_hoisted / runs;
            2 * (8u64 << params.log_n()) * (rotated + limbs * sums)
        }
        StepKind::Square { .. } | StepKind::WindowSum { .. } => 3 * params.ciphertext_bytes(output.level + 1),
    }
}
