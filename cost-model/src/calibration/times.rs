//! Times of what steps do at one level.

use crate::Seconds;
use crate::step_work::{FEATURES, Feature, StepWork};

use super::units::{Unit, Units};

/// Seconds of each feature of steps at one ring degree, level, number of special primes and word size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OpTimes([f64; FEATURES]);

/// Which part of a step's time a feature belongs to.
const fn part(feature: usize) -> usize {
    const ROTATIONS: usize = 0;
    const MULTIPLICATIONS: usize = 1;
    const SQUARES: usize = 2;
    const RESCALING: usize = 3;
    const OTHER: usize = 4;
    const fn is(feature: usize, any: &[Feature]) -> bool {
        let mut i = 0;
        while i < any.len() {
            if any[i] as usize == feature {
                return true;
            }
            i += 1;
        }
        false
    }
    use Feature as F;
    let rotations = [F::Hoist, F::Rotation, F::RotationKey, F::ExtendedGiant, F::PlainGiant, F::GiantKey];
    if is(feature, &rotations) || is(feature, &[F::WindowSum, F::WindowRotation, F::ManyOperands]) {
        ROTATIONS
    } else if is(feature, &[F::RotatedTerm, F::PlainTerm, F::ExtendedSum, F::PlainSum, F::Unrotated]) {
        MULTIPLICATIONS
    } else if is(feature, &[F::Square, F::SquareKey]) {
        SQUARES
    } else if is(feature, &[F::ExtendedOutput, F::PlainOutput]) {
        RESCALING
    } else {
        OTHER
    }
}

impl OpTimes {
    /// From the units of each feature and the seconds of each unit, of which a share of the bytes comes from memory.
    pub(super) fn new(units: &[Units; FEATURES], seconds: &Units, from_memory: f64) -> Self {
        let mut seconds = *seconds;
        for unit in [Unit::KeyBytes, Unit::DiagonalBytes] {
            seconds[unit as usize] *= from_memory;
        }
        let time = |units: &Units| units.iter().zip(seconds).map(|(u, s)| u * s).sum();
        Self(units.each_ref().map(time))
    }

    /// Seconds of one of a feature.
    pub const fn of(&self, feature: Feature) -> f64 {
        self.0[feature as usize]
    }

    /// Time of `work` at this level.
    pub fn seconds(&self, work: &StepWork) -> Seconds {
        self.parts(work).iter().map(|(_, s)| *s).sum()
    }

    /// The same by part: rotations, multiplications, squares, rescaling, additions with all that is moved about.
    pub fn parts(&self, work: &StepWork) -> [(&'static str, Seconds); 5] {
        let mut parts =
            ["rotations", "multiplications", "squares", "rescaling", "additions"].map(|n| (n, Seconds(0.0)));
        for (feature, (count, seconds)) in work.counts().iter().zip(&self.0).enumerate() {
            let sum = &mut parts[const { parts_of_features() }[feature]].1;
            *sum = Seconds(sum.0 + f64::from(*count) * seconds);
        }
        parts
    }
}

const fn parts_of_features() -> [usize; FEATURES] {
    let mut parts = [0; FEATURES];
    let mut feature = 0;
    while feature < FEATURES {
        parts[feature] = part(feature);
        feature += 1;
    }
    parts
}
