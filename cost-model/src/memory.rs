//! Peak memory of an evaluation: encoded weights and keys to the byte, and the buffers of its steps.
//!
//! The evaluator keeps buffers for the next use, each size on its own, so what it holds in the end is for every size the most
//! that any step had in use at once. Steps are followed through their phases with the buffers each has; see `pool.rs` and
//! `linear/` of the evaluator.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Bytes, CkksParams, Feature, HeProgram, LinearStep, OpCounts, StepKind, StepWork};

/// What a process takes before it evaluates anything, but for pages of mapped files.
const PROCESS: u64 = 14 << 20;
/// What the allocator keeps beside what is in use: a part of it, and pieces of segments for each thread, at most so many bytes
/// and at most twice what is in use. Fitted to runs of random networks that are part of no report.
const ALLOCATOR: (f64, u64) = (0.07, 38 << 20);
/// Polynomials of coefficients that are held while diagonals are encoded.
const ENCODING: u64 = 40;
/// Words of tables for each word of a limb: twiddles both ways with their quotients, and their first levels by lane.
const TABLE_WORDS: u64 = 6;
/// Ciphertexts that are squared together, giant steps that are decomposed together, inputs whose digits are held at a time.
const TOGETHER: u64 = 8;
/// The pool keeps at most so many times what was in use at once, beside what is in use.
const KEPT: u64 = 2;

/// Peak memory on the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryEstimate {
    /// Encoded diagonals and biases.
    pub weights: Bytes,
    /// Evaluation keys.
    pub keys: Bytes,
    /// Ciphertexts and buffers of all steps, tables, and what a process takes anyway, but for pages of mapped files.
    pub ciphertexts: Bytes,
}

impl MemoryEstimate {
    /// That of `program` under `params` on one thread.
    pub fn of(program: &HeProgram, params: &CkksParams) -> Self {
        Self::on_threads(program, params, 1)
    }

    /// The same on more.
    pub fn on_threads(program: &HeProgram, params: &CkksParams, threads: usize) -> Self {
        let n = 1u64 << params.log_n();
        let weights: Bytes = (0..program.steps.len()).map(|step| step_weights(program, step, params)).sum();
        let plan = program.keys();
        let keys: u64 = plan.levels().map(|level| params.key_bytes(level)).sum();
        let primes = (params.log_q().len() + params.log_p().len()) as u64;
        let permutations = plan.rotations.len() as u64 * n / 2;
        let tables = 8 * n * (TABLE_WORDS * primes + ENCODING) + permutations;
        let working = tables + 8 * Buffers::of(program, params, threads as u64).kept();
        let used = working + weights.0 + keys;
        let kept = (ALLOCATOR.0 * used as f64) as u64 + ALLOCATOR.1.min(2 * used);
        Self { weights, keys: Bytes(keys), ciphertexts: Bytes(PROCESS + working + kept) }
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

/// Words and number of buffers of one size.
type Sizes = [(u64, u64)];

/// Buffers by size.
#[derive(Default)]
struct Buffers {
    /// By size of the pool: most words asked of one, and most that were in use at once.
    sizes: BTreeMap<u64, (u64, u64)>,
    /// Most words in use at once.
    peak: u64,
}

impl Buffers {
    fn of(program: &HeProgram, params: &CkksParams, threads: u64) -> Self {
        let mut buffers = Self::default();
        let (last_use, n) = (last_uses(program), 1u64 << params.log_n());
        for i in 0..program.steps.len() {
            let alive = (0..=i).filter(|&value| value == i || last_use[value] >= i);
            let held: Vec<(u64, u64)> = alive
                .map(|value| &program.values[value])
                .map(|v| ((v.level as u64 + 1) * n, 2 * v.layout.ciphertexts() as u64))
                .collect();
            for phase in phases(program, i, params, threads) {
                buffers.meet(&[held.clone(), phase].concat());
            }
        }
        buffers
    }

    /// Notes what is in use at once.
    fn meet(&mut self, in_use: &Sizes) {
        let mut counts: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for &(words, count) in in_use.iter().filter(|(words, count)| words * count > 0) {
            let (largest, number) = counts.entry(pooled(words)).or_default();
            *largest = words.max(*largest);
            *number += count;
        }
        self.peak = self.peak.max(counts.iter().map(|(size, (_, count))| size * count).sum());
        for (size, (words, count)) in counts {
            let (largest, number) = self.sizes.entry(size).or_default();
            (*largest, *number) = (words.max(*largest), count.max(*number));
        }
    }

    /// Words that are held in the end.
    fn kept(&self) -> u64 {
        let all: u64 = self.sizes.values().map(|(words, count)| words * count).sum();
        all.min((1 + KEPT) * self.peak)
    }
}

/// Size of the pool's buffers for so many words: four sizes to an octave.
fn pooled(words: u64) -> u64 {
    let quarter = 1 << (words.max(512) - 1).ilog2().saturating_sub(2);
    words.div_ceil(quarter) * quarter
}

/// For each value the last step that reads it.
fn last_uses(program: &HeProgram) -> Vec<usize> {
    let mut last = vec![0; program.values.len()];
    for (i, step) in program.steps.iter().enumerate() {
        match &step.kind {
            StepKind::Linear(linear) => linear.inputs.iter().for_each(|v| last[v.index()] = i),
            StepKind::Square { input, .. } | StepKind::WindowSum { input, .. } => last[input.index()] = i,
        }
    }
    last
}

/// What a step has in use in each of its phases, beside the values that are alive.
fn phases(program: &HeProgram, step: usize, params: &CkksParams, threads: u64) -> Vec<Vec<(u64, u64)>> {
    let (n, k) = (1u64 << params.log_n(), params.log_p().len() as u64);
    let kept = program.output_of(step).level as u64 + 1;
    let (level, work) = match &program.steps[step].kind {
        StepKind::Linear(linear) => (linear.level, StepWork::linear(&linear.plan)),
        StepKind::Square { input, .. } | StepKind::WindowSum { input, .. } => {
            (program.value(*input).level, program.step_work(step).0)
        }
    };
    let limbs = level as u64 + 1;
    let (w, d) = (limbs + k, params.digits(level) as u64);
    let of = |feature: Feature| u64::from(work[feature]);
    let digits = |count: u64| (d * (k + 1) * n, count);
    let division = (2 * (k + 2) * n, threads);
    match &program.steps[step].kind {
        StepKind::Linear(linear) => {
            let outputs = linear.plan.outputs as u64;
            let sums = of(Feature::ExtendedSum) + of(Feature::PlainSum);
            let stored = if of(Feature::ExtendedSum) > 0 { w } else { limbs };
            let operands = of(Feature::Rotation) + of(Feature::Unrotated);
            let shared = of(Feature::Hoist).min(TOGETHER);
            let giants = (of(Feature::ExtendedGiant) + of(Feature::PlainGiant)).min(TOGETHER);
            let base =
                vec![(limbs * n, 2 * of(Feature::Input)), digits(of(Feature::Hoist)), (stored * 2 * sums * n, 1)];
            let accumulated = if of(Feature::GiantKey) > 0 { outputs } else { 0 };
            let accumulators = (w * 2 * accumulated * n, 1);
            let with = |more: &Sizes| [base.clone(), more.to_vec()].concat();
            vec![
                with(&[(2 * n * operands, threads), (2 * n * sums, threads), (shared * (d + 2) * n + n, threads)]),
                with(&[
                    accumulators,
                    (limbs * n, of(Feature::ExtendedGiant).min(TOGETHER)),
                    digits(giants),
                    (giants * (d + 2) * n, threads),
                ]),
                with(&[accumulators, (kept * n, 2 * outputs), division]),
                vec![(limbs * n, 2 * of(Feature::Input)), (kept * n, 4 * outputs)],
            ]
        }
        StepKind::Square { shift, .. } => {
            let all = of(Feature::Square);
            let together = all.min(TOGETHER);
            let shifted = if *shift { 2 * all } else { 0 };
            vec![vec![
                (limbs * n, shifted + 3 * together),
                digits(together),
                (w * 2 * together * n, 1),
                (together * d * n, threads),
                (kept * n, 2 * all),
                division,
            ]]
        }
        StepKind::WindowSum { .. } => {
            let (all, running) = (of(Feature::Copy), of(Feature::Copy).min(threads));
            vec![vec![
                (limbs * n, 2 * all + 4 * running),
                digits(running),
                (w * n, 2 * running),
                ((d + 2) * n, threads),
                division,
            ]]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_pool() {
        for (words, size) in [(513, 640), (1000, 1024), (1024, 1024), (1025, 1280), (1700, 1792), (1 << 20, 1 << 20)] {
            assert_eq!(pooled(words), size, "{words}");
        }
    }

    #[test]
    fn each_size_is_kept_as_often_as_it_was_in_use_at_once() {
        let mut buffers = Buffers::default();
        buffers.meet(&[(1000, 3), (3000, 1)]);
        assert_eq!((buffers.kept(), buffers.peak), (3 * 1000 + 3000, 3 * 1024 + 3072));
        buffers.meet(&[(1010, 2), (900, 1)]);
        // All three fit the size of 1024 words, of which at most 1010 are touched.
        assert_eq!(buffers.kept(), 3 * 1010 + 3000);
    }
}
