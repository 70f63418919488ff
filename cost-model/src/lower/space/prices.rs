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
    /// By step.
    rows: Vec<Row>,
    /// All prices together, so that those which are read lie in few pages.
    all: Vec<Price>,
}

/// Where the prices of a step stand: those of `len` levels from `first` on.
#[derive(Clone, Copy, Default)]
struct Row {
    start: u32,
    first: u16,
    len: u16,
}

impl Row {
    /// Index of the price at a level, if there is one.
    fn at(self, level: usize) -> Option<usize> {
        let above = level.wrapping_sub(self.first.into());
        (above < self.len.into()).then(|| self.start as usize + above)
    }
}

impl Prices {
    /// Nothing known yet.
    pub(super) fn new(ring: RingType, log_n: u32, bytes: Vec<WordBytes>) -> Self {
        Self { ring, log_n, bytes, rows: Vec::new(), all: Vec::new() }
    }

    /// The price of a step, if it is known in all of `lanes`, a set of bits.
    pub(super) fn get(&self, step: u32, level: usize, lanes: u8) -> Option<&Price> {
        let price = self.all.get(self.rows.get(step as usize)?.at(level)?)?;
        (price.known & lanes == lanes).then_some(price)
    }

    /// Notes a price under `params`.
    pub(super) fn note(&mut self, step: u32, level: usize, params: &CkksParams, price: StepPrice) {
        let (index, lane) = (self.room(step as usize, level), lane_of(params));
        let known = &mut self.all[index];
        known.seconds[lane] = price.seconds;
        known.chosen[lane] = price.chosen as u8;
        known.known |= 1 << lane;
    }

    /// Index of the price of a step at a level. A row that grows moves to the end, which happens a few times at most.
    fn room(&mut self, step: usize, level: usize) -> usize {
        if self.rows.len() <= step {
            self.rows.resize(step + 1, Row::default());
        }
        let row = self.rows[step];
        if let Some(index) = row.at(level) {
            return index;
        }
        let (start, first, len) = (row.start as usize, usize::from(row.first), usize::from(row.len));
        let lowest = if len == 0 { level } else { level.min(first) };
        let end = (first + len).max(level + 1);
        let moved = self.all.len();
        self.all.resize(moved + end - lowest, UNKNOWN);
        if len > 0 {
            self.all.copy_within(start..start + len, moved + first - lowest);
        }
        self.rows[step] = Row { start: moved as u32, first: lowest as u16, len: (end - lowest) as u16 };
        moved + level - lowest
    }
}
