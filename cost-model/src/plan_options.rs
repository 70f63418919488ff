//! What the planner may choose from.

use std::ops::RangeInclusive;

use crate::{
    CkksParams, Diagonals, MAX_LOG_N, RingType, SecurityLevel, StrategyChoice, lower::stages::Staging, packing::Packing,
};

/// Which of the ring degrees is taken that hold a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DegreeChoice {
    /// The smallest: keys, ciphertexts and memory are smallest too, and mostly the latency.
    #[default]
    Smallest,
    /// That of the least latency. A larger ring has room for more special primes, so for fewer digits of key switching, and a
    /// network that fills several ciphertexts needs fewer.
    Cheapest,
}

/// What the planner may choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Parameters to use instead of chosen ones.
    pub params: Option<CkksParams>,
    /// Security that chosen parameters have.
    pub security: SecurityLevel,
    /// Smallest log2 N to try.
    pub min_log_n: u32,
    /// Largest log2 N to try.
    pub max_log_n: u32,
    /// Which of them.
    pub degree: DegreeChoice,
    /// Smallest acceptable log2 of the scale: the precision.
    pub min_log_scale: u32,
    /// Largest useful log2 of the scale.
    pub max_log_scale: u32,
    /// The ring; the cheaper of both where absent.
    pub ring: Option<RingType>,
    /// How maps are packed; the default packing where absent.
    pub packing: Option<Packing>,
    /// Images of one run, a power of two.
    pub batch: usize,
    /// How rotations are split.
    pub strategy: StrategyChoice,
    /// Whether convolutions with nothing between them become one; the cheaper of both where absent.
    pub fuse: Option<bool>,
    /// Which diagonals there are.
    pub diagonals: Diagonals,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            params: None,
            security: SecurityLevel::default(),
            min_log_n: 12,
            max_log_n: MAX_LOG_N,
            degree: DegreeChoice::Smallest,
            min_log_scale: 26,
            max_log_scale: 36,
            ring: None,
            packing: None,
            batch: 1,
            strategy: StrategyChoice::Cheapest,
            fuse: None,
            diagonals: Diagonals::All,
        }
    }
}

impl PlanOptions {
    /// log2 of the ring degrees to try, in order; those of a range are compared with each other.
    pub(crate) fn rounds(&self) -> impl Iterator<Item = RangeInclusive<u32>> + use<> {
        let all = self.params.as_ref().map_or(self.min_log_n..=self.max_log_n, |p| p.log_n()..=p.log_n());
        let step = match self.degree {
            DegreeChoice::Smallest => 1,
            DegreeChoice::Cheapest => all.clone().count().max(1),
        };
        all.clone().step_by(step).map(move |first| first..=(first + step as u32 - 1).min(*all.end()))
    }

    /// How networks are split into stages.
    pub(crate) fn staging(&self, fuse: bool) -> Staging {
        Staging::of(fuse, self.packing.unwrap_or_default(), self.batch)
    }

    /// The rings to try.
    pub(crate) fn rings(&self) -> impl Iterator<Item = RingType> {
        let only = self.params.as_ref().map(CkksParams::ring).or(self.ring);
        RingType::ALL.into_iter().filter(move |r| only.is_none_or(|ring| ring == *r))
    }
}
