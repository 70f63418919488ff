//! Seconds of known steps in one ring, by level.

use crate::{CkksParams, MAX_SPECIAL, RingType, cache::LeastFootprint, calibration::WordBytes};

use super::super::layers::StepPrice;

/// Seconds by number of special primes, one to [`MAX_SPECIAL`].
pub(super) type Lanes = [f64; MAX_SPECIAL];

/// The lane of a chain. Chains that the planner compares with each other have different ones; a given chain may have more
/// special primes than it would choose, and is alone.
pub(super) fn lane_of(params: &CkksParams) -> usize {
    params.log_p().len().min(MAX_SPECIAL) - 1
}

/// What one step takes whose result is at one level; one line of a cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Price {
    /// Seconds where keys and weights come from memory.
    pub(super) cold: Lanes,
    /// Which candidate of a linear step each is of.
    pub(super) chosen: [u8; MAX_SPECIAL],
    /// One bit for each lane that is known.
    known: u8,
    /// What the step reads at least in any lane.
    pub(super) least: LeastFootprint,
}

/// Nothing is known: no sum with it is finite.
const UNKNOWN: Price =
    Price { cold: [f64::INFINITY; MAX_SPECIAL], chosen: [0; MAX_SPECIAL], known: 0, least: LeastFootprint::UNKNOWN };

/// What some steps take together: seconds where keys and weights come from memory, and what they read at least.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    pub(super) cold: Lanes,
    pub(super) least: LeastFootprint,
}

impl Sum {
    /// Adds a step.
    pub(super) fn add(&mut self, price: &Price) {
        self.cold.iter_mut().zip(&price.cold).for_each(|(sum, seconds)| *sum += seconds);
        self.least = self.least.then(price.least);
    }

    /// The less of both in every respect.
    pub(super) fn lower(&mut self, other: &Self) {
        self.cold.iter_mut().zip(&other.cold).for_each(|(known, new)| *known = known.min(*new));
        self.least = self.least.or(other.least);
    }
}

/// The prices of all steps in one ring.
#[derive(Clone)]
pub(super) struct Prices {
    pub(super) ring: RingType,
    pub(super) log_n: u32,
    /// Word sizes of each chain that is compared.
    pub(super) bytes: Vec<WordBytes>,
    /// By step, then by level.
    rows: Vec<Vec<Price>>,
    /// Seconds where keys and weights are in the cache, likewise.
    warm: Vec<Vec<Lanes>>,
}

impl Prices {
    /// Nothing known yet.
    pub(super) fn new(ring: RingType, log_n: u32, bytes: Vec<WordBytes>) -> Self {
        Self { ring, log_n, bytes, rows: Vec::new(), warm: Vec::new() }
    }

    /// The price of a step, if it is known in all of `lanes`, a set of bits.
    pub(super) fn get(&self, step: u32, level: usize, lanes: u8) -> Option<&Price> {
        let price = self.rows.get(step as usize)?.get(level)?;
        (price.known & lanes == lanes).then_some(price)
    }

    /// Seconds of a known step where keys and weights are in the cache.
    pub(super) fn warm(&self, step: u32, level: usize, lane: usize) -> f64 {
        self.warm[step as usize][level][lane]
    }

    /// Notes a price under `params`.
    pub(super) fn note(&mut self, step: u32, level: usize, params: &CkksParams, price: StepPrice) {
        let (step, lane) = (step as usize, lane_of(params));
        if self.rows.len() <= step {
            self.rows.resize(step + 1, Vec::new());
            self.warm.resize(step + 1, Vec::new());
        }
        let (row, warm) = (&mut self.rows[step], &mut self.warm[step]);
        if row.len() <= level {
            row.resize(level + 1, UNKNOWN);
            warm.resize(level + 1, UNKNOWN.cold);
        }
        warm[level][lane] = price.warm;
        let known = &mut row[level];
        known.cold[lane] = price.cold;
        known.chosen[lane] = price.chosen as u8;
        known.known |= 1 << lane;
        known.least = known.least.or(price.least);
    }
}
