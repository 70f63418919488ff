//! The rows of the reference table: what evaluators are compared by, on one thread and on several.

use std::ops::ControlFlow;

use rayon::ThreadPool;
use serde::{Deserialize, Serialize};
use striae_cost_model::{CkksParams, Security};

use crate::HeError;
use crate::rns::{RowProbe, Unit};

use super::bound::{Bound, OperandBytes, UnitCosts, Work, last_level_cache};
use super::chain::Chain;
use super::rounds::{MeasureEvent, Spread, interleave};

/// Rotations that share a decomposition in the hoisted row.
pub(crate) const HOISTED: u32 = 7;
/// Cache size that is assumed where the operating system names none.
const CACHE: u64 = 32 << 20;

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowOp {
    /// Rotation of a ciphertext on its own.
    Rotation,
    /// One of seven rotations that share a decomposition, each with its own division by P.
    RotationHoisted,
    /// Matrix-vector product of the chain's diagonals by baby-step giant-step, as the linear operator runs it.
    Matvec,
    /// Square, relinearisation, rescaling.
    Square,
    /// Multiplication by an encoded diagonal that comes from memory, accumulated, not rescaled.
    PlainMult,
    /// Forward transform of one limb in cache.
    ForwardNtt,
    /// Encoding of a vector.
    Encode,
    /// Encryption, encoding included.
    Encrypt,
    /// Decryption, decoding included.
    Decrypt,
}

impl RowOp {
    /// All rows in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::Rotation,
        Self::RotationHoisted,
        Self::Matvec,
        Self::Square,
        Self::PlainMult,
        Self::ForwardNtt,
        Self::Encode,
        Self::Encrypt,
        Self::Decrypt,
    ];

    /// Name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rotation => "rotation",
            Self::RotationHoisted => "rotation, hoisted",
            Self::Matvec => "matvec",
            Self::Square => "square, relinearise, rescale",
            Self::PlainMult => "plain multiplication",
            Self::ForwardNtt => "forward NTT, one limb",
            Self::Encode => "encode",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
        }
    }

    /// Whether several threads can share it.
    const fn is_divisible(self) -> bool {
        !matches!(self, Self::ForwardNtt)
    }
}

/// A row's time on some threads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowTime {
    /// Threads.
    pub threads: usize,
    /// Seconds.
    pub time: Spread,
    /// The least it could take on these threads.
    pub bound: Bound,
}

impl RowTime {
    /// Measured over bound.
    pub fn over_bound(&self) -> f64 {
        self.time.median / self.bound.seconds
    }
}

/// A measured row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowReport {
    /// What.
    pub op: RowOp,
    /// What it has to do.
    pub work: Work,
    /// On each number of threads, one first.
    pub times: Vec<RowTime>,
}

impl RowReport {
    /// How many times faster the most threads are than one; `None` if only one was measured.
    pub fn scaling(&self) -> Option<f64> {
        match &self.times[..] {
            [one, .., all] => Some(one.time.median / all.time.median),
            _ => None,
        }
    }
}

/// The rows of one chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainReport {
    /// The chain.
    pub chain: Chain,
    /// Its parameters.
    pub params: String,
    /// Whether they have 128 bits of security.
    pub secure: bool,
    /// Bytes of the operands.
    pub operands: OperandBytes,
    /// Bytes of a fresh ciphertext.
    pub ciphertext_bytes: u64,
    /// Bytes of the last cache that the bounds allow for.
    pub cache_bytes: u64,
    /// What the bounds are made of, for each number of threads.
    pub units: Vec<UnitCosts>,
    /// Rows.
    pub rows: Vec<RowReport>,
}

/// Something that is timed.
#[derive(Clone, Copy, PartialEq)]
enum Item {
    Row(RowOp),
    Unit(Unit),
}

/// Measures the rows of `chain` on each of the pools, which are few threads first. The observer may end it early; what has
/// been measured by then is reported, and `None` if that is nothing.
pub fn measure_rows(
    chain: &Chain,
    params: &CkksParams,
    pools: &[ThreadPool],
    rounds: u32,
    observer: &mut dyn FnMut(MeasureEvent) -> ControlFlow<()>,
) -> Result<Option<ChainReport>, HeError> {
    let Some(widest) = pools.last() else { return Ok(None) };
    let mut probe = widest.install(|| RowProbe::new(chain, params))?;
    let rows = RowOp::ALL.into_iter().map(Item::Row);
    let units = [Unit::InverseNtt, Unit::MultiplyAdd, Unit::Stream].map(Item::Unit);
    let all: Vec<Item> = rows.chain(units).collect();
    let items: Vec<(Item, usize)> = (0..pools.len())
        .flat_map(|p| all.iter().map(move |&item| (item, p)))
        .filter(|&(i, p)| is_timed(i, p))
        .collect();
    let mut time = |(item, pool): (Item, usize)| {
        pools[pool].install(|| match item {
            Item::Row(op) => probe.time(op),
            Item::Unit(unit) => Ok(probe.time_unit(unit)),
        })
    };
    let measured = interleave(&items, rounds, &mut time, observer)?;
    if measured.is_empty() {
        return Ok(None);
    }
    let spread = |item, pool| measured.iter().find(|(i, _)| *i == (item, pool)).map(|(_, spread)| *spread);
    let median = |item, pool| spread(item, pool).map_or(f64::NAN, |s: Spread| s.median);
    let units: Vec<UnitCosts> = pools
        .iter()
        .enumerate()
        .map(|(p, pool)| UnitCosts {
            threads: pool.current_num_threads(),
            forward: median(Item::Row(RowOp::ForwardNtt), 0),
            inverse: median(Item::Unit(Unit::InverseNtt), 0),
            multiply_add: median(Item::Unit(Unit::MultiplyAdd), 0),
            bandwidth: 1.0 / median(Item::Unit(Unit::Stream), p),
        })
        .collect();
    let operands = probe.operand_bytes();
    let cache_bytes = last_level_cache().unwrap_or(CACHE);
    let row = |op| {
        let work = Work::of(op, chain, &operands, cache_bytes as f64);
        let n = f64::from(1u32 << chain.log_n);
        let timed = |(p, units): (usize, &UnitCosts)| {
            let time = spread(Item::Row(op), p)?;
            Some(RowTime { threads: units.threads, time, bound: Bound::of(&work, n, units) })
        };
        RowReport { op, work, times: units.iter().enumerate().filter_map(timed).collect() }
    };
    Ok(Some(ChainReport {
        chain: *chain,
        params: params.to_string(),
        secure: params.security() == Security::Bits128,
        operands,
        ciphertext_bytes: params.ciphertext_bytes(params.max_level()),
        cache_bytes,
        rows: RowOp::ALL.into_iter().map(row).collect(),
        units,
    }))
}

/// What one thread does alone is timed on the first pool only.
fn is_timed(item: Item, pool: usize) -> bool {
    pool == 0
        || match item {
            Item::Row(op) => op.is_divisible(),
            Item::Unit(unit) => unit == Unit::Stream,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_measured_on_every_pool() {
        let chain = Chain { log_n: 11, log_scale: 30, levels: 2, special: 1, diagonals: 16 };
        let params = chain.params().unwrap();
        let pools = [1, 2].map(|t| rayon::ThreadPoolBuilder::new().num_threads(t).build().unwrap());
        let report = measure_rows(&chain, &params, &pools, 3, &mut |_| ControlFlow::Continue(())).unwrap().unwrap();
        assert!(!report.secure);
        assert_eq!(report.rows.len(), RowOp::ALL.len());
        for row in &report.rows {
            assert_eq!(row.times.len(), if row.op == RowOp::ForwardNtt { 1 } else { 2 }, "{:?}", row.op);
            assert!(row.times.iter().all(|t| t.time.p10 > 0.0 && t.bound.seconds > 0.0), "{row:?}");
            assert_eq!(row.scaling().is_some(), row.op.is_divisible());
        }
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<ChainReport>(&json).unwrap().params, report.params);
        let none = measure_rows(&chain, &params, &pools, 3, &mut |_| ControlFlow::Break(())).unwrap();
        assert_eq!(none, None);
    }
}
