//! Seconds of known steps in one ring, by level.

use crate::{CkksParams, MAX_SPECIAL, RingType, calibration::WordBytes};

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
    pub(super) seconds: Lanes,
    /// Which candidate of a linear step each is of.
    pub(super) chosen: [u8; MAX_SPECIAL],
    /// One bit for each lane that is known.
    known: u8,
}

/// Nothing is known: no sum with it is finite.
const UNKNOWN: Price = Price { seconds: [f64::INFINITY; MAX_SPECIAL], chosen: [0; MAX_SPECIAL], known: 0 };

/// The prices of all steps in one ring.
#[derive(Clone)]
pub(super) struct Prices {
    pub(super) ring: RingType,
    pub(super) log_n: u32,
    /// Word sizes of each chain that is compared.
    pub(super) bytes: Vec<WordBytes>,
    /// By step, then by level.
    rows: Vec<Vec<Price>>,
}

impl Prices {
    /// Nothing known yet.
    pub(super) fn new(ring: RingType, log_n: u32, bytes: Vec<WordBytes>) -> Self {
        Self { ring, log_n, bytes, rows: Vec::new() }
    }

    /// The price of a step, if it is known in all of `lanes`, a set of bits.
    pub(super) fn get(&self, step: u32, level: usize, lanes: u8) -> Option<&Price> {
        let price = self.rows.get(step as usize)?.get(level)?;
        (price.known & lanes == lanes).then_some(price)
    }

    /// Notes a price under `params`.
    pub(super) fn note(&mut self, step: u32, level: usize, params: &CkksParams, price: StepPrice) {
        let (step, lane) = (step as usize, lane_of(params));
        if self.rows.len() <= step {
            self.rows.resize(step + 1, Vec::new());
        }
        let row = &mut self.rows[step];
        if row.len() <= level {
            row.resize(level + 1, UNKNOWN);
        }
        let known = &mut row[level];
        known.seconds[lane] = price.seconds;
        known.chosen[lane] = price.chosen as u8;
        known.known |= 1 << lane;
    }
}
