//! What a step of a program does, as far as its time depends on it.
//!
//! Operation counts say what is computed; a time also depends on how it is shared: a rotation key is read from memory once
//! for several inputs, rotations of one input share its decomposition, several ciphertexts are squared together. These
//! features are what the time of a step is linear in, at a given ring and level.

use std::ops::Index;

use crate::{HeProgram, LinearPlan, StepKind, ValueId};

/// Inputs of a linear step whose rotations by one amount share the reading of its key, rotations of partial sums that do,
/// and ciphertexts that are squared together.
const TOGETHER: usize = 8;

/// Operands of a linear step that are not counted as [`Feature::ManyOperands`].
const MANY: u32 = 24;

/// Something a step does, a number of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Feature {
    /// The step itself.
    Step,
    /// Ciphertexts a linear step reads.
    Input,
    /// Inputs that are decomposed.
    Hoist,
    /// Rotations of inputs.
    Rotation,
    /// Rotation keys read from memory for them.
    RotationKey,
    /// Inputs used as they are.
    Unrotated,
    /// Diagonals of rotated inputs.
    RotatedTerm,
    /// Diagonals of inputs as they are.
    PlainTerm,
    /// Partial sums of a step with rotated inputs.
    ExtendedSum,
    /// Partial sums of a step without.
    PlainSum,
    /// Outputs that are summed from several partial sums, or from rotated ones.
    Accumulator,
    /// Partial sums in QP that are rotated.
    ExtendedGiant,
    /// Partial sums in Q that are rotated.
    PlainGiant,
    /// Rotation keys read from memory for them.
    GiantKey,
    /// Outputs divided by P and a prime.
    ExtendedOutput,
    /// Outputs divided by a prime.
    PlainOutput,
    /// Vectors added to ciphertexts.
    PlainAdd,
    /// Squares.
    Square,
    /// Relinearisation keys read from memory.
    SquareKey,
    /// Sums of a ciphertext and its rotations.
    WindowSum,
    /// Rotations in them, each with its key.
    WindowRotation,
    /// Ciphertexts that are copied.
    Copy,
    /// Operands of a linear step beyond 24: they fall out of the faster caches between being made and being used.
    ManyOperands,
    /// Diagonals that are encoded.
    Encode,
    /// Vectors that are encrypted.
    Encrypt,
    /// Ciphertexts that are decrypted.
    Decrypt,
}

/// Number of features.
pub const FEATURES: usize = Feature::Decrypt as usize + 1;

/// How often a step does each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StepWork([u32; FEATURES]);

impl Index<Feature> for StepWork {
    type Output = u32;

    fn index(&self, feature: Feature) -> &u32 {
        &self.0[feature as usize]
    }
}

impl StepWork {
    /// By feature, in their order.
    pub const fn counts(&self) -> &[u32; FEATURES] {
        &self.0
    }

    /// One of a feature.
    pub(crate) fn of(feature: Feature) -> Self {
        let mut work = Self::default();
        work.add(feature, 1);
        work
    }

    fn add(&mut self, feature: Feature, count: usize) {
        self.0[feature as usize] += count as u32;
    }

    /// Squares of `ciphertexts`, shifted before where that is asked for.
    pub fn squares(ciphertexts: usize, shift: bool) -> Self {
        let mut work = Self::default();
        work.add(Feature::Step, 1);
        work.add(Feature::Square, ciphertexts);
        work.add(Feature::SquareKey, ciphertexts.div_ceil(TOGETHER));
        work.add(Feature::PlainAdd, if shift { ciphertexts } else { 0 });
        work
    }

    /// Window sums of `ciphertexts` with so many rotations in each stage.
    pub fn windows(ciphertexts: usize, stages: impl IntoIterator<Item = usize>) -> Self {
        let mut work = Self::default();
        work.add(Feature::Step, 1);
        work.add(Feature::Copy, ciphertexts);
        for rotations in stages {
            work.add(Feature::WindowSum, ciphertexts);
            work.add(Feature::WindowRotation, ciphertexts * rotations);
        }
        work
    }

    /// A linear step up to its rescaling.
    pub fn linear(plan: &LinearPlan) -> Self {
        let mut work = Self::default();
        work.add(Feature::Step, 1);
        work.add(Feature::Input, plan.inputs);
        let rotations = |babies: &Vec<u32>| babies.iter().filter(|&&r| r != 0).count();
        work.add(Feature::Hoist, plan.babies.iter().filter(|b| rotations(b) > 0).count());
        work.add(Feature::Rotation, plan.babies.iter().map(rotations).sum());
        work.add(Feature::RotationKey, plan.babies.chunks(TOGETHER).map(distinct_rotations).sum());
        let rotated = plan.terms.iter().filter(|t| plan.babies[t.input as usize][t.baby as usize] != 0).count();
        work.add(Feature::RotatedTerm, rotated);
        work.add(Feature::PlainTerm, plan.terms.len() - rotated);
        work.sums(plan, rotated > 0);
        work
    }

    fn sums(&mut self, plan: &LinearPlan, extended: bool) {
        let sums: Vec<_> = plan.partial_sums().collect();
        self.add(if extended { Feature::ExtendedSum } else { Feature::PlainSum }, sums.len());
        for own in sums.chunk_by(|a, b| a.output == b.output) {
            let accumulated = own.len() > 1 || own[0].giant != 0;
            self.add(
                Feature::Accumulator,
                if accumulated { own.iter().filter(|s| s.giant == 0).count().max(1) } else { 0 },
            );
            let in_qp = accumulated || own.iter().any(|s| s.extended);
            self.add(if in_qp { Feature::ExtendedOutput } else { Feature::PlainOutput }, 1);
        }
        let empty = plan.outputs - self[Feature::ExtendedOutput] as usize - self[Feature::PlainOutput] as usize;
        self.add(Feature::PlainOutput, empty);
        let mut giants: Vec<(u32, usize)> = Vec::new();
        for sum in sums.iter().filter(|s| s.giant != 0) {
            self.add(if sum.extended { Feature::ExtendedGiant } else { Feature::PlainGiant }, 1);
            giants.push((sum.giant, sum.output));
        }
        giants.sort_unstable();
        let keys = giants.chunks(TOGETHER).map(|chunk| chunk.chunk_by(|a, b| a.0 == b.0).count());
        self.add(Feature::GiantKey, keys.sum());
        // An unrotated input is an operand of its own in Q and in QP.
        let mut unrotated: Vec<(u16, bool)> = (sums.iter())
            .flat_map(|s| plan.terms[s.terms.clone()].iter().map(move |t| (t, s.extended)))
            .filter(|(t, _)| plan.babies[t.input as usize][t.baby as usize] == 0)
            .map(|(t, extended)| (t.input, extended))
            .collect();
        unrotated.sort_unstable();
        unrotated.dedup();
        self.add(Feature::Unrotated, unrotated.len());
        let operands = self[Feature::Rotation] + self[Feature::Unrotated];
        self.add(Feature::ManyOperands, operands.saturating_sub(MANY) as usize);
    }

    /// What runs behind the rescaling of a linear step: folds and biases.
    pub fn behind(plan: &LinearPlan) -> Self {
        let mut work = Self::default();
        work.add(Feature::WindowSum, plan.outputs * plan.folds.len());
        work.add(Feature::WindowRotation, plan.outputs * plan.folds.len());
        work.add(Feature::PlainAdd, plan.outputs);
        work
    }
}

/// Distinct rotations of inputs that share keys.
fn distinct_rotations(babies: &[Vec<u32>]) -> usize {
    let mut all: Vec<u32> = babies.iter().flatten().copied().filter(|&r| r != 0).collect();
    all.sort_unstable();
    all.dedup();
    all.len()
}

impl HeProgram {
    /// What each step does.
    pub(crate) fn works(&self) -> Vec<(StepWork, StepWork)> {
        (0..self.steps.len()).map(|step| self.step_work(step)).collect()
    }

    /// What a step does at the level of its operands, and, of a linear step, behind its rescaling one level lower. A window
    /// sum stays at its level.
    pub fn step_work(&self, step: usize) -> (StepWork, StepWork) {
        let ciphertexts = |id: &ValueId| self.value(*id).layout.ciphertexts();
        match &self.steps[step].kind {
            StepKind::Linear(linear) => (StepWork::linear(&linear.plan), StepWork::behind(&linear.plan)),
            StepKind::Square { input, shift } => (StepWork::squares(ciphertexts(input), *shift), StepWork::default()),
            StepKind::WindowSum { input, stages } => {
                (StepWork::windows(ciphertexts(input), stages.iter().map(Vec::len)), StepWork::default())
            }
        }
    }
}
