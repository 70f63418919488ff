//! CKKS parameters and their security.
//!
//! A literal names the bit sizes of the primes; [`CkksParams`] is the checked form. The security bound is the table of
//! the Homomorphic Encryption Standard (homomorphicencryption.org, 2018, table 1) for a uniform ternary secret,
//! classical attacks, 128 bits: the largest log2 of the whole modulus Q*P for each ring degree. The standard's table ends
//! at N = 2^15; the bound for 2^16 is the one used by later implementations of it.

mod ring;
mod text;

use serde::{Deserialize, Serialize};

use crate::ParamsError;

pub use ring::RingType;

/// Largest log2(QP) for 128-bit classical security with a uniform ternary secret, by log2(N).
const MAX_LOG_QP_128: [(u32, u32); 7] = [(10, 27), (11, 54), (12, 109), (13, 218), (14, 438), (15, 881), (16, 1772)];

/// Largest prime the evaluator accepts, in bits.
pub(crate) const MAX_PRIME_BITS: u32 = 61;
/// Largest prime of its fast kernels, in bits: calibrations measure those, and planned chains keep to them.
pub(crate) const NARROW_PRIME_BITS: u32 = 50;
/// Bytes that a packed word of a diagonal or key takes at least.
const LEAST_WORD_BYTES: u64 = 4;

/// Bits of log2(QP) that 128-bit security allows at ring degree `2^log_n`; `None` outside the table.
pub fn max_log_qp(log_n: u32) -> Option<u32> {
    MAX_LOG_QP_128.iter().find(|(n, _)| *n == log_n).map(|(_, bits)| *bits)
}

/// Unchecked parameters, as files and flags give them. All sizes are in bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CkksParamsLiteral {
    /// log2 of the ring degree.
    pub log_n: u32,
    /// Ciphertext primes: q0 first, then one per level.
    pub log_q: Vec<u32>,
    /// Special primes of key switching; their number is also the number of limbs of a digit.
    pub log_p: Vec<u32>,
    /// log2 of the scale of messages.
    pub log_scale: u32,
    /// The ring.
    #[serde(default, skip_serializing_if = "RingType::is_standard")]
    pub ring: RingType,
    /// Accept parameters below 128 bits of security; every report then says so.
    #[serde(default)]
    pub insecure: bool,
}

/// Whether a parameter set meets the security bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Security {
    /// At least 128 bits by the Homomorphic Encryption Standard.
    Bits128,
    /// Below, accepted on the user's explicit word.
    Insecure,
}

/// Checked parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "CkksParamsLiteral", into = "CkksParamsLiteral")]
pub struct CkksParams {
    literal: CkksParamsLiteral,
    security: Security,
}

impl CkksParams {
    /// log2 of the ring degree N.
    pub fn log_n(&self) -> u32 {
        self.literal.log_n
    }

    /// The ring.
    pub fn ring(&self) -> RingType {
        self.literal.ring
    }

    /// Slots of one ciphertext: N / 2, or N in the conjugate-invariant ring.
    pub fn slots(&self) -> usize {
        self.literal.ring.slots(1 << self.literal.log_n)
    }

    /// Bits of the ciphertext primes, q0 first.
    pub fn log_q(&self) -> &[u32] {
        &self.literal.log_q
    }

    /// Bits of the special primes.
    pub fn log_p(&self) -> &[u32] {
        &self.literal.log_p
    }

    /// log2 of the message scale.
    pub fn log_scale(&self) -> u32 {
        self.literal.log_scale
    }

    /// Rescalings a fresh ciphertext has left.
    pub fn max_level(&self) -> usize {
        self.literal.log_q.len() - 1
    }

    /// Bits of the whole modulus QP.
    pub fn log_qp(&self) -> u32 {
        self.literal.log_q.iter().chain(&self.literal.log_p).sum()
    }

    /// Whether a prime has more than 50 bits. The evaluator takes about twice as long modulo such a prime, and calibrated
    /// times, which are those of smaller ones, do not cover it.
    pub fn has_wide_primes(&self) -> bool {
        self.literal.log_q.iter().chain(&self.literal.log_p).any(|&bits| bits > NARROW_PRIME_BITS)
    }

    /// Whether the set is secure.
    pub fn security(&self) -> Security {
        self.security
    }

    /// Digits of key switching at `level`.
    pub fn digits(&self, level: usize) -> usize {
        (level + 1).div_ceil(self.literal.log_p.len())
    }

    /// Bytes of one ciphertext at `level`: two polynomials of `level + 1` limbs of 64-bit words.
    pub fn ciphertext_bytes(&self, level: usize) -> u64 {
        2 * (level as u64 + 1) * (8u64 << self.literal.log_n)
    }

    /// Bytes of one polynomial at `level` in a file, where a residue takes as many whole bytes as its prime. A prime just
    /// above a power of 256 takes one byte more.
    pub fn filed_poly_bytes(&self, level: usize) -> u64 {
        let per_coefficient: u32 = self.literal.log_q[..=level].iter().map(|bits| bits.div_ceil(8)).sum();
        u64::from(per_coefficient) << self.literal.log_n
    }

    /// Bytes of one encoded diagonal at `level`, over the limbs of Q and, if `extended`, of P. One word for each slot: in the
    /// standard ring the vectors are real, so half of the transformed polynomial repeats the other half and only one is
    /// kept. Each word has the whole bytes its prime needs.
    pub fn diagonal_bytes(&self, level: usize, extended: bool) -> u64 {
        let special = if extended { &self.literal.log_p[..] } else { &[] };
        packed_bytes(self.literal.log_q[..=level].iter().chain(special)) * self.slots() as u64
    }

    /// Bytes of one key-switching key for ciphertexts up to `level`.
    pub fn key_bytes(&self, level: usize) -> u64 {
        let pair = packed_bytes(self.literal.log_q[..=level].iter().chain(&self.literal.log_p)) << self.literal.log_n;
        2 * self.digits(level) as u64 * pair
    }
}

/// Bytes of one coefficient modulo primes of these sizes, each in the whole bytes it needs.
fn packed_bytes<'a>(log_primes: impl Iterator<Item = &'a u32>) -> u64 {
    log_primes.map(|bits| u64::from(bits.div_ceil(8)).max(LEAST_WORD_BYTES)).sum()
}

impl TryFrom<CkksParamsLiteral> for CkksParams {
    type Error = ParamsError;

    fn try_from(literal: CkksParamsLiteral) -> Result<Self, ParamsError> {
        let log_n = literal.log_n;
        let bound = max_log_qp(log_n).ok_or(ParamsError::LogN { log_n })?;
        if literal.log_q.is_empty() {
            return Err(ParamsError::Empty { field: "log_q" });
        }
        if literal.log_p.is_empty() {
            return Err(ParamsError::Empty { field: "log_p" });
        }
        for (field, sizes) in [("log_q", &literal.log_q), ("log_p", &literal.log_p)] {
            // A prime must be 1 modulo the order of the roots of unity, and the evaluator's lazy sums need three free bits of
            // a word.
            let min = literal.ring.log_order(log_n) + 3;
            if let Some(&bits) = sizes.iter().find(|b| !(min..=MAX_PRIME_BITS).contains(*b)) {
                return Err(ParamsError::PrimeBits { field, bits, min, max: MAX_PRIME_BITS });
            }
        }
        let digit = literal.log_q.chunks(literal.log_p.len()).map(|d| d.iter().sum::<u32>()).max().unwrap_or(0);
        let special: u32 = literal.log_p.iter().sum();
        if special < digit {
            return Err(ParamsError::SpecialTooSmall { special, digit });
        }
        if literal.log_scale == 0 || literal.log_scale >= literal.log_q[0] {
            return Err(ParamsError::Scale { log_scale: literal.log_scale, log_q0: literal.log_q[0] });
        }
        let log_qp: u32 = literal.log_q.iter().chain(&literal.log_p).sum();
        let security = if log_qp <= bound { Security::Bits128 } else { Security::Insecure };
        if security == Security::Insecure && !literal.insecure {
            return Err(ParamsError::Insecure { log_n, log_qp, bound });
        }
        Ok(Self { literal, security })
    }
}

impl From<CkksParams> for CkksParamsLiteral {
    fn from(params: CkksParams) -> Self {
        params.literal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal() -> CkksParamsLiteral {
        CkksParamsLiteral {
            log_n: 13,
            log_q: vec![45, 30, 30, 30, 30],
            log_p: vec![46],
            log_scale: 30,
            ring: RingType::Standard,
            insecure: false,
        }
    }

    #[test]
    fn the_standard_bound_is_enforced() {
        let at_bound = CkksParamsLiteral { log_q: vec![46, 42, 42, 42], log_p: vec![46], ..literal() };
        assert_eq!(CkksParams::try_from(at_bound.clone()).unwrap().log_qp(), 218);
        let above = CkksParamsLiteral { log_q: vec![46, 42, 42, 43], ..at_bound };
        assert_eq!(
            CkksParams::try_from(above.clone()),
            Err(ParamsError::Insecure { log_n: 13, log_qp: 219, bound: 218 })
        );
        let accepted = CkksParams::try_from(CkksParamsLiteral { insecure: true, ..above }).unwrap();
        assert_eq!(accepted.security(), Security::Insecure);
    }

    #[test]
    fn primes_above_50_bits_are_accepted_and_told_apart() {
        assert!(!CkksParams::try_from(literal()).unwrap().has_wide_primes());
        let mixed = CkksParamsLiteral { log_q: vec![60, 40, 40], log_p: vec![61], log_scale: 40, ..literal() };
        assert!(CkksParams::try_from(mixed).unwrap().has_wide_primes());
    }

    #[test]
    fn impossible_sets_are_refused() {
        let small = CkksParamsLiteral { log_p: vec![40], ..literal() };
        assert_eq!(CkksParams::try_from(small), Err(ParamsError::SpecialTooSmall { special: 40, digit: 45 }));
        let wide = CkksParamsLiteral { log_q: vec![62, 30], ..literal() };
        assert!(matches!(CkksParams::try_from(wide), Err(ParamsError::PrimeBits { bits: 62, .. })));
        let none = CkksParamsLiteral { log_q: vec![], ..literal() };
        assert_eq!(CkksParams::try_from(none), Err(ParamsError::Empty { field: "log_q" }));
    }
}
