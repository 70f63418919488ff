//! Random search: the baseline.

use super::{GenotypeOps, Sampler, SamplerError, TrialView};
use crate::Seed;

/// Independent samples of the space. Repeats are not avoided, so that a proposal depends on nothing but its number.
#[derive(Clone, Debug)]
pub struct Random<O> {
    ops: O,
    seed: Seed,
}

impl<O: GenotypeOps> Random<O> {
    /// Samples from `ops`.
    pub fn new(ops: O, seed: Seed) -> Self {
        Self { ops, seed }
    }
}

impl<O: GenotypeOps> Sampler<O::Genotype> for Random<O> {
    fn needs(&self, _number: u64) -> u64 {
        0
    }

    fn ask(&mut self, _: &[TrialView<O::Genotype>], number: u64) -> Result<O::Genotype, SamplerError> {
        Ok(self.ops.sample(&mut self.seed.child(number).rng()))
    }
}
