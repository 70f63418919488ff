//! Keys and encoded weights that are still in the cache when the next image is evaluated.
//!
//! An evaluation reads each key and each diagonal once or more, in the same order for every image. Where all of them together
//! take no more of the last-level cache than [`Calibration::stays_cached`] allows, they are still there at the next image, and
//! every step takes the time without their bytes; else all of them come from memory. That is the one rule of the planner, of
//! [`estimate`](crate::estimate()) and of [`SpaceEstimator`](crate::SpaceEstimator).
//!
//! It is about a whole network, while strategies are chosen step by step: these are always the cheapest with keys and weights
//! from memory.

use crate::{Calibration, CkksParams, LinearPlan, StepWork, calibration::OpTimes, step_work::Feature};

/// Times at one level.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LevelTimes {
    /// Where keys and weights come from memory.
    pub(crate) cold: OpTimes,
    /// Where they are in the cache.
    pub(crate) warm: OpTimes,
}

impl LevelTimes {
    /// Those of `calibration` under `params`.
    pub(crate) fn of(calibration: &Calibration, params: &CkksParams, level: usize) -> Self {
        Self { cold: calibration.times(params, level, true), warm: calibration.times(params, level, false) }
    }

    /// The one or the other.
    pub(crate) fn get(&self, cached: bool) -> &OpTimes {
        if cached { &self.warm } else { &self.cold }
    }
}

/// Bytes of the encoded diagonals of a linear step at `level` that does `work`. Those of rotated inputs are multiplied in QP.
pub(crate) fn diagonal_bytes(work: &StepWork, level: usize, params: &CkksParams) -> u64 {
    u64::from(work[Feature::RotatedTerm]) * params.diagonal_bytes(level, true)
        + u64::from(work[Feature::PlainTerm]) * params.diagonal_bytes(level, false)
}

/// Bytes of the encoded biases of as many outputs at `level`.
pub(crate) fn bias_bytes(outputs: usize, level: usize, params: &CkksParams) -> u64 {
    outputs as u64 * params.ciphertext_bytes(level) / 2
}

/// Bytes of the keys and weights that an evaluation reads, collected step by step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Footprint {
    /// Changes with the network.
    round: u32,
    /// By rotation: the last round it was met in, and its highest level there.
    met: Vec<(u32, usize)>,
    /// Highest level of a square.
    square: Option<usize>,
    bytes: u64,
}

impl Footprint {
    /// Begins another network.
    pub(crate) fn clear(&mut self) {
        self.round += 1;
        (self.square, self.bytes) = (None, 0);
    }

    /// All bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A linear step that does `work` on operands at `level`.
    pub(crate) fn linear(&mut self, plan: &LinearPlan, work: &StepWork, level: usize, params: &CkksParams) {
        self.bytes += diagonal_bytes(work, level, params) + bias_bytes(plan.outputs, level - 1, params);
        for &rotation in plan.babies.iter().flatten().chain(&plan.giants) {
            self.rotation(rotation, level, params);
        }
        // Folds run behind the rescaling.
        plan.folds.iter().for_each(|&fold| self.rotation(fold, level - 1, params));
    }

    /// Squares at `level`.
    pub(crate) fn squares(&mut self, level: usize, params: &CkksParams) {
        if self.square < Some(level) {
            let before = self.square.replace(level);
            self.bytes += params.key_bytes(level) - before.map_or(0, |level| params.key_bytes(level));
        }
    }

    /// A rotation at `level`.
    pub(crate) fn rotation(&mut self, rotation: u32, level: usize, params: &CkksParams) {
        let rotation = rotation as usize;
        if rotation == 0 {
            return;
        }
        if self.met.len() <= rotation {
            self.met.resize(rotation + 1, (0, 0));
        }
        let met = &mut self.met[rotation];
        if met.0 != self.round {
            *met = (self.round, level);
            self.bytes += params.key_bytes(level);
        } else if met.1 < level {
            self.bytes += params.key_bytes(level) - params.key_bytes(met.1);
            met.1 = level;
        }
    }
}

/// Special primes, and bytes at least of one limb of a diagonal and of a key.
pub(crate) struct LimbSizes {
    pub(crate) special: usize,
    pub(crate) diagonal: u64,
    pub(crate) key: u64,
}

/// Lower bounds of a footprint that add up over steps, in KiB: most networks are told to be too large by these alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeastFootprint {
    /// Of the diagonals of all steps.
    weights: u32,
    /// Of the keys of the step that has most.
    keys: u32,
}

impl LeastFootprint {
    /// More than any.
    pub(crate) const UNKNOWN: Self = Self { weights: u32::MAX, keys: u32::MAX };

    /// Of a linear step with `rotations` different ones that does `work` on operands of `limbs` limbs.
    pub(crate) fn linear(work: &StepWork, rotations: usize, limbs: usize, sizes: &LimbSizes) -> Self {
        let &LimbSizes { special, diagonal, key } = sizes;
        let (limbs, extended) = (limbs as u64, (limbs + special) as u64);
        let weights = u64::from(work[Feature::RotatedTerm]) * extended + u64::from(work[Feature::PlainTerm]) * limbs;
        let keys = rotations as u64 * 2 * limbs.div_ceil(special as u64) * extended;
        let kib = |bytes: u64| u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
        Self { weights: kib(weights * diagonal), keys: kib(keys * key) }
    }

    /// Of some steps and what follows them.
    pub(crate) fn then(self, next: Self) -> Self {
        Self { weights: self.weights.saturating_add(next.weights), keys: self.keys.max(next.keys) }
    }

    /// Of the one or the other.
    pub(crate) fn or(self, other: Self) -> Self {
        Self { weights: self.weights.min(other.weights), keys: self.keys.min(other.keys) }
    }

    /// Bytes at least.
    pub(crate) fn bytes(self) -> u64 {
        (u64::from(self.weights) + u64::from(self.keys)) << 10
    }
}
