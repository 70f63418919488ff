//! Lower bounds of the reference rows, from counts and from what this machine does per unit.
//!
//! With N the ring degree, l limbs of Q, k of P, w = l + k, and d = ceil(l / k) digits D of at most k limbs:
//!
//! | part | inverse NTTs | forward NTTs | products of N words |
//! |---|---|---|---|
//! | decomposition | l | d w - l | sum over digits of \|D\| (w - \|D\|): the conversion |
//! | key | | | 2 d w |
//! | division of a pair by P | 2 k | 2 l | 2 k l + 2 l |
//! | the same with the rescaling | 2 (k + 1) | 2 (l - 1) | 2 (k + 1) (l - 1) + 2 (l - 1) |
//!
//! - rotation = decomposition + key + l (P c0) + division. Hoisted, `HOISTED` rotations share the decomposition.
//! - matvec with b babies, g giants, D diagonals = decomposition + (b - 1) key + l + 2 (w (D - g) + l g), as the g diagonals
//!   of the unrotated input need no limbs of P, + (g - 1) (half a division + decomposition + key) + division with rescaling.
//! - square = 3 l (products) + decomposition + key + 2 l (P c0, P c1) + division with rescaling.
//! - plain multiplication: 2 l. Encoding: l forward NTTs. Encryption: l forward NTTs, l. Decryption: l inverse NTTs, l.
//!   The floating-point transforms and the sampling of these three are not counted.
//!
//! Not counted either, so that the bound stays one: permutations, additions, reductions, layouts, and the second pass over
//! a buffer that fits no cache.
//!
//! Bytes: every key and diagonal read once, as large as the evaluator stores them, every input read and every output written
//! once, at 8 bytes a word. Of them a cache of C bytes may hold C from the last execution; only the rest must come from memory.
//!
//! ```text
//! compute = (forward t_f + inverse t_i + products N t_m) / threads,   memory = bytes / bandwidth
//! bound   = max(compute, max(0, bytes - C) / bandwidth)
//! ```

use std::ops::{Add, Mul};

use serde::{Deserialize, Serialize};

use super::chain::Chain;
use super::rows::{HOISTED, RowOp};

/// Bytes of a word.
const WORD: f64 = 8.0;

/// Ring degree and limbs of a chain at its highest level.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shape {
    /// N.
    n: f64,
    /// Limbs of Q.
    l: f64,
    /// Limbs of P.
    k: f64,
}

/// What the evaluator's operands take in memory, besides ciphertexts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperandBytes {
    /// One key.
    pub key: f64,
    /// All diagonals of the matrix-vector product.
    pub matrix: f64,
    /// One diagonal of the plain multiplications.
    pub diagonal: f64,
}

/// What an operation has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// Forward transforms of one limb.
    pub forward: f64,
    /// Inverse transforms of one limb.
    pub inverse: f64,
    /// Pointwise multiply-adds of one limb, N words each.
    pub products: f64,
    /// Bytes read and written, each once.
    pub bytes: f64,
    /// Those of them that no cache holds from the last execution.
    pub from_memory: f64,
}

impl Add for Work {
    type Output = Self;

    fn add(self, o: Self) -> Self {
        Self {
            forward: self.forward + o.forward,
            inverse: self.inverse + o.inverse,
            products: self.products + o.products,
            bytes: self.bytes + o.bytes,
            from_memory: self.from_memory + o.from_memory,
        }
    }
}

impl Mul<f64> for Work {
    type Output = Self;

    fn mul(self, f: f64) -> Self {
        let Self { forward, inverse, products, bytes, from_memory } = self;
        Self {
            forward: forward * f,
            inverse: inverse * f,
            products: products * f,
            bytes: bytes * f,
            from_memory: from_memory * f,
        }
    }
}

impl Shape {
    /// Of a chain.
    fn of(chain: &Chain) -> Self {
        Self { n: f64::from(1u32 << chain.log_n), l: chain.levels as f64 + 1.0, k: chain.special as f64 }
    }

    fn w(self) -> f64 {
        self.l + self.k
    }

    fn d(self) -> f64 {
        (self.l / self.k).ceil()
    }

    /// Polynomials of so many limbs.
    fn limbs(self, limbs: f64) -> Work {
        Self::bytes(limbs * self.n * WORD)
    }

    fn bytes(bytes: f64) -> Work {
        Work { bytes, ..Work::default() }
    }

    fn products(products: f64) -> Work {
        Work { products, ..Work::default() }
    }

    fn decomposition(self) -> Work {
        let last = self.l - (self.d() - 1.0) * self.k;
        let squares = (self.d() - 1.0) * self.k * self.k + last * last;
        let (forward, products) = (self.d() * self.w() - self.l, self.l * self.w() - squares);
        Work { forward, inverse: self.l, products, ..Work::default() }
    }

    fn key(self, bytes: f64) -> Work {
        Self::products(2.0 * self.d() * self.w()) + Self::bytes(bytes)
    }

    fn division(self) -> Work {
        let Self { l, k, .. } = self;
        Work { forward: 2.0 * l, inverse: 2.0 * k, products: 2.0 * k * l + 2.0 * l, ..Work::default() }
    }

    fn division_rescaling(self) -> Work {
        Self { l: self.l - 1.0, k: self.k + 1.0, ..self }.division()
    }

    fn matvec(self, diagonals: f64, babies: f64, operands: &OperandBytes) -> Work {
        let Self { l, .. } = self;
        let key = self.key(operands.key);
        let giants = diagonals / babies;
        let limbs = self.w() * (diagonals - giants) + l * giants;
        self.decomposition()
            + key * (babies - 1.0)
            + Self::products(l + 2.0 * limbs)
            + Self::bytes(operands.matrix)
            + (self.division() * 0.5 + self.decomposition() + key) * (giants - 1.0)
            + self.division_rescaling()
            + self.limbs(2.0 * l + 2.0 * (l - 1.0))
    }
}

impl Work {
    /// Of a row of `chain`, on a machine whose last cache holds `cache` bytes.
    pub fn of(op: RowOp, chain: &Chain, operands: &OperandBytes, cache: f64) -> Self {
        let shape = Shape::of(chain);
        let l = shape.l;
        let (pair, slots) = (shape.limbs(2.0 * l), shape.limbs(0.5));
        let key = shape.key(operands.key);
        let switched = key + Shape::products(l) + shape.division() + pair;
        let transforms = |forward, inverse| Self { forward, inverse, ..Self::default() };
        let work = match op {
            RowOp::Rotation => shape.decomposition() + switched + pair,
            RowOp::RotationHoisted => switched + (shape.decomposition() + pair) * (1.0 / f64::from(HOISTED)),
            RowOp::Matvec => shape.matvec(f64::from(chain.diagonals), f64::from(chain.babies()), operands),
            RowOp::Square => {
                let output = shape.limbs(2.0 * (l - 1.0));
                let own = Shape::products(5.0 * l) + shape.decomposition() + key;
                own + shape.division_rescaling() + pair + output
            }
            RowOp::PlainMult => Shape::products(2.0 * l) + Shape::bytes(operands.diagonal),
            RowOp::ForwardNtt => transforms(1.0, 0.0) + shape.limbs(2.0),
            RowOp::Encode => transforms(l, 0.0) + slots + shape.limbs(l),
            RowOp::Encrypt => transforms(l, 0.0) + Shape::products(l) + slots + pair,
            RowOp::Decrypt => transforms(0.0, l) + Shape::products(l) + pair + slots,
        };
        // The diagonals of the measured plain multiplications are streamed, many times a cache.
        let cached = if op == RowOp::PlainMult { 0.0 } else { cache };
        Self { from_memory: (work.bytes - cached).max(0.0), ..work }
    }
}

/// What this machine does per unit, measured in the same rounds as the rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitCosts {
    /// Threads the bandwidth is of.
    pub threads: usize,
    /// Seconds of a forward transform of one limb in cache, one thread.
    pub forward: f64,
    /// Seconds of an inverse transform of one limb in cache, one thread.
    pub inverse: f64,
    /// Seconds of one multiply-add of two words in the innermost cache, one thread.
    pub multiply_add: f64,
    /// Bytes per second read from memory by all threads together.
    pub bandwidth: f64,
}

/// The least time an operation can take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// Seconds of arithmetic, spread evenly over the threads.
    pub compute: f64,
    /// Seconds to move all bytes, were none of them cached.
    pub memory: f64,
    /// The bound: arithmetic, or the bytes that cannot be cached, whichever takes longer.
    pub seconds: f64,
}

impl Bound {
    /// Of `work` over ring degree `n`.
    pub fn of(work: &Work, n: f64, units: &UnitCosts) -> Self {
        let all = work.forward * units.forward + work.inverse * units.inverse + work.products * n * units.multiply_add;
        let compute = all / units.threads as f64;
        let seconds = compute.max(work.from_memory / units.bandwidth);
        Self { compute, memory: work.bytes / units.bandwidth, seconds }
    }
}

/// Bytes of the last cache as the operating system tells them; `None` where it does not.
pub fn last_level_cache() -> Option<u64> {
    let cache = |i: u32| format!("/sys/devices/system/cpu/cpu0/cache/index{i}/size");
    let text = (0..=4).rev().find_map(|i| std::fs::read_to_string(cache(i)).ok())?;
    let text = text.trim();
    let (digits, unit) = match text.strip_suffix('K') {
        Some(digits) => (digits, 1 << 10),
        None => (text.strip_suffix('M')?, 1 << 20),
    };
    digits.parse::<u64>().ok().map(|size| size * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_counted_by_hand() {
        // 2^13 with 4 limbs, one special prime: 4 digits of one limb, each converted to the 4 other primes.
        let operands = OperandBytes { key: 8192.0 * 8.0 * 40.0, ..OperandBytes::default() };
        let work = Work::of(RowOp::Rotation, &Chain::REFERENCE[0], &operands, 0.0);
        assert_eq!((work.inverse, work.forward), (4.0 + 2.0, 16.0 + 8.0));
        // Conversion 4 * 4, key 2 * 4 * 5, P c0 4, division 2 * 4 + 2 * 4.
        assert_eq!(work.products, 16.0 + 40.0 + 4.0 + 16.0);
        // A key of 2.6 MB, two ciphertexts of 0.52 MB: the prototype's sizes.
        assert_eq!(work.bytes, 8192.0 * 8.0 * (40.0 + 16.0));
        assert_eq!(work.from_memory, work.bytes);
        assert_eq!(Work::of(RowOp::Rotation, &Chain::REFERENCE[0], &operands, 1e9).from_memory, 0.0);
    }

    #[test]
    fn the_longer_of_arithmetic_and_memory_is_the_bound() {
        let work = Work { forward: 2.0, inverse: 1.0, products: 3.0, bytes: 100.0, from_memory: 60.0 };
        let units = UnitCosts { threads: 2, forward: 1.0, inverse: 2.0, multiply_add: 0.5, bandwidth: 100.0 };
        let bound = Bound::of(&work, 8.0, &units);
        assert_eq!(bound, Bound { compute: 8.0, memory: 1.0, seconds: 8.0 });
        let slow = UnitCosts { bandwidth: 2.0, ..units };
        assert_eq!(Bound::of(&work, 8.0, &slow).seconds, 30.0);
    }
}
