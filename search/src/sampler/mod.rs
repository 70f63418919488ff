//! Samplers: what to try next.
//!
//! A proposal depends on three things only: the seed of the study, the number of the proposal, and the results of the
//! proposals below [`Sampler::needs`]. Whoever calls [`Sampler::ask`] waits until those are finished. So one seed gives
//! the same trials at any number of threads and after any interruption, however long each trial takes.

mod nsga2;
mod random;

#[cfg(test)]
mod tests;

use rand_chacha::ChaCha8Rng;
use thiserror::Error;

pub use nsga2::{Nsga2, Nsga2Config};
pub use random::Random;

use crate::{Direction, Trial, TrialState};

/// What a sampler needs to know about the things it samples.
pub trait GenotypeOps {
    /// The thing.
    type Genotype: Clone + PartialEq;

    /// A new one.
    fn sample(&self, rng: &mut ChaCha8Rng) -> Self::Genotype;

    /// One that is like `parent`.
    fn mutate(&self, parent: &Self::Genotype, rng: &mut ChaCha8Rng) -> Self::Genotype;

    /// One that takes after both.
    fn crossover(&self, a: &Self::Genotype, b: &Self::Genotype, rng: &mut ChaCha8Rng) -> Self::Genotype;
}

impl<T: GenotypeOps> GenotypeOps for &T {
    type Genotype = T::Genotype;

    fn sample(&self, rng: &mut ChaCha8Rng) -> T::Genotype {
        (**self).sample(rng)
    }

    fn mutate(&self, parent: &T::Genotype, rng: &mut ChaCha8Rng) -> T::Genotype {
        (**self).mutate(parent, rng)
    }

    fn crossover(&self, a: &T::Genotype, b: &T::Genotype, rng: &mut ChaCha8Rng) -> T::Genotype {
        (**self).crossover(a, b, rng)
    }
}

/// A finished proposal as a sampler sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialView<G> {
    /// Number of the proposal.
    pub proposal: u64,
    /// What was tried.
    pub genotype: G,
    /// One loss per objective, smaller is better; none if the trial failed or was pruned.
    pub losses: Option<Vec<f64>>,
    /// By how much it breaks its constraints; 0 is feasible.
    pub violation: f64,
}

impl<G> TrialView<G> {
    /// A finished trial; a failed one breaks its constraints beyond all measure, so that it never becomes a parent while
    /// there are others.
    pub fn new(trial: &Trial, genotype: G, directions: &[Direction]) -> Self {
        let losses = directions.iter().zip(&trial.values).map(|(d, &value)| d.loss(value)).collect();
        Self {
            proposal: trial.proposal,
            genotype,
            losses: (trial.state == TrialState::Complete).then_some(losses),
            violation: if trial.state == TrialState::Fail { f64::INFINITY } else { trial.violation() },
        }
    }
}

/// Decides what to try next.
pub trait Sampler<G> {
    /// The proposals below this number must be finished before proposal `number` can be asked for.
    fn needs(&self, number: u64) -> u64;

    /// Proposal `number`. `history` holds each finished proposal once, in any order ([`History::views`](crate::History)
    /// makes it); those at or above [`Sampler::needs`] are not looked at.
    fn ask(&mut self, history: &[TrialView<G>], number: u64) -> Result<G, SamplerError>;
}

/// A proposal that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SamplerError {
    /// An earlier proposal is not finished.
    #[error("proposal {number} depends on proposal {missing}, which is not finished")]
    NotFinished {
        /// The proposal asked for.
        number: u64,
        /// The first it waits for.
        missing: u64,
    },
    /// The history holds a proposal twice, as with the dead trial of one that was run again.
    #[error("proposal {proposal} is in the history twice")]
    Repeated {
        /// The proposal.
        proposal: u64,
    },
    /// A population that cannot evolve.
    #[error("sampler.population is {0}, it must be at least 2")]
    Population(usize),
    /// A probability that is none.
    #[error("sampler.{field} is {value}, it must lie between 0 and 1")]
    Probability {
        /// Field.
        field: &'static str,
        /// Its value, as text.
        value: String,
    },
}
