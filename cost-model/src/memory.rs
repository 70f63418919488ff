//! Peak memory of an evaluation: encoded weights and keys to the byte, and the buffers of its steps.
//!
//! The evaluator keeps buffers for the next use, each size on its own, so what it holds in the end is for every size the most
//! that any step had in use at once. Steps are followed through their phases with the buffers each has; see `pool.rs` and
//! `linear/` of the evaluator.

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
        Self::with(program, &program.works(), params, threads)
    }

    /// The same where what the steps do is known.
    pub(crate) fn with(
        program: &HeProgram,
        works: &[(StepWork, StepWork)],
        params: &CkksParams,
        threads: usize,
    ) -> Self {
        let weights: Bytes =
            works.iter().enumerate().map(|(step, (work, _))| weights(program, step, work, params)).sum();
        let plan = program.keys();
        let keys: u64 = plan.levels().map(|level| params.key_bytes(level)).sum();
        let primes = (params.log_q().len() + params.log_p().len()) as u64;
        let n = 1u64 << params.log_n();
        let permutations = plan.rotations.len() as u64 * n / 2;
        let tables = 8 * n * (TABLE_WORDS * primes + ENCODING) + permutations;
        let working = tables + 8 * Buffers::of(program, works, params, threads as u64).kept();
        let used = working + weights.0 + keys;
        let kept = (ALLOCATOR.0 * used as f64) as u64 + ALLOCATOR.1.min(2 * used);
        Self { weights, keys: Bytes(keys), ciphertexts: Bytes(PROCESS + working + kept) }
    }

    /// All of it.
    pub fn total(&self) -> Bytes {
        self.weights + self.keys + self.ciphertexts
    }
}

/// Bytes of the encoded diagonals of a step; none unless it is linear.
pub fn diagonal_memory(program: &HeProgram, step: usize, params: &CkksParams) -> Bytes {
    let StepKind::Linear(LinearStep { level, .. }) = &program.steps[step].kind else { return Bytes(0) };
    Bytes(diagonal_bytes(&program.step_work(step).0, *level, params))
}

/// Bytes of the encoded diagonals and biases of a step.
pub(crate) fn step_weights(program: &HeProgram, step: usize, params: &CkksParams) -> Bytes {
    weights(program, step, &program.step_work(step).0, params)
}

/// The same where what the step does is known.
fn weights(program: &HeProgram, step: usize, work: &StepWork, params: &CkksParams) -> Bytes {
    let StepKind::Linear(LinearStep { plan, level, .. }) = &program.steps[step].kind else { return Bytes(0) };
    let biases = plan.outputs as u64 * params.ciphertext_bytes(program.output_of(step).level) / 2;
    Bytes(diagonal_bytes(work, *level, params) + biases)
}

/// Bytes of the encoded diagonals of a linear step at `level` that does `work`. Those of rotated inputs are multiplied in QP.
fn diagonal_bytes(work: &StepWork, level: usize, params: &CkksParams) -> u64 {
    u64::from(work[Feature::RotatedTerm]) * params.diagonal_bytes(level, true)
        + u64::from(work[Feature::PlainTerm]) * params.diagonal_bytes(level, false)
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
struct Buffers {
    /// By size of the pool: most words asked of one, and most that were in use at once.
    sizes: [(u64, u64); SIZES],
    /// The same of what is in use now, and the sizes in it.
    now: [(u64, u64); SIZES],
    in_use: Vec<usize>,
    /// Most words in use at once.
    peak: u64,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { sizes: [(0, 0); SIZES], now: [(0, 0); SIZES], in_use: Vec::new(), peak: 0 }
    }
}

impl Buffers {
    fn of(program: &HeProgram, works: &[(StepWork, StepWork)], params: &CkksParams, threads: u64) -> Self {
        let mut buffers = Self::default();
        let (last_use, n) = (last_uses(program), 1u64 << params.log_n());
        let mut held = Vec::new();
        for (i, (work, _)) in works.iter().enumerate() {
            let alive = (0..=i).filter(|&value| value == i || last_use[value] >= i).map(|value| &program.values[value]);
            held.clear();
            held.extend(alive.map(|v| ((v.level as u64 + 1) * n, 2 * v.layout.ciphertexts() as u64)));
            for phase in phases(program, i, work, params, threads) {
                buffers.meet(&held, &phase);
            }
        }
        buffers
    }

    /// Notes what is in use at once: what is held, and what is used beside it.
    fn meet(&mut self, held: &Sizes, beside: &Sizes) {
        for &(words, count) in held.iter().chain(beside).filter(|(words, count)| words * count > 0) {
            let size = size_index(words);
            let (largest, number) = &mut self.now[size];
            if *number == 0 {
                self.in_use.push(size);
            }
            (*largest, *number) = (words.max(*largest), *number + count);
        }
        self.peak = self.peak.max(self.in_use.iter().map(|&size| size_words(size) * self.now[size].1).sum());
        for size in self.in_use.drain(..) {
            let (words, count) = std::mem::take(&mut self.now[size]);
            let (largest, number) = &mut self.sizes[size];
            (*largest, *number) = (words.max(*largest), count.max(*number));
        }
    }

    /// Words that are held in the end.
    fn kept(&self) -> u64 {
        let all: u64 = self.sizes.iter().map(|(words, count)| words * count).sum();
        all.min((1 + KEPT) * self.peak)
    }
}

/// Sizes of the pool's buffers: up to 512 words every 64, then four to an octave.
const SIZES: usize = 256;

/// Which size holds so many words.
fn size_index(words: u64) -> usize {
    if words <= 512 {
        return words.div_ceil(64) as usize;
    }
    let octave = (words - 1).ilog2();
    let quarter = (words - 1) >> (octave - 2) & 3;
    9 + 4 * (octave as usize - 9) + quarter as usize
}

/// Words of a size.
fn size_words(index: usize) -> u64 {
    match index {
        0..=8 => 64 * index as u64,
        _ => (5 + (index as u64 - 9) % 4) << ((index - 9) / 4 + 7),
    }
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

/// What a step that does `work` has in use in each of its phases, beside the values that are alive.
fn phases(
    program: &HeProgram,
    step: usize,
    work: &StepWork,
    params: &CkksParams,
    threads: u64,
) -> Vec<Vec<(u64, u64)>> {
    let (n, k) = (1u64 << params.log_n(), params.log_p().len() as u64);
    let kept = program.output_of(step).level as u64 + 1;
    let level = match &program.steps[step].kind {
        StepKind::Linear(linear) => linear.level,
        StepKind::Square { input, .. } | StepKind::WindowSum { input, .. } => program.value(*input).level,
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
        let sizes = [(1, 64), (512, 512), (513, 640), (1000, 1024), (1024, 1024), (1025, 1280), (1700, 1792)];
        for (words, size) in sizes.into_iter().chain([(1 << 20, 1 << 20), (u64::MAX >> 1, 1 << 63)]) {
            assert_eq!(size_words(size_index(words)), size, "{words}");
        }
    }

    #[test]
    fn each_size_is_kept_as_often_as_it_was_in_use_at_once() {
        let mut buffers = Buffers::default();
        buffers.meet(&[(1000, 3)], &[(3000, 1)]);
        assert_eq!((buffers.kept(), buffers.peak), (3 * 1000 + 3000, 3 * 1024 + 3072));
        buffers.meet(&[(1010, 2)], &[(900, 1)]);
        // All three fit the size of 1024 words, of which at most 1010 are touched.
        assert_eq!(buffers.kept(), 3 * 1010 + 3000);
    }
}
