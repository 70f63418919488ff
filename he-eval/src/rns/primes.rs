//! Choice of the primes of a modulus chain: all are 1 modulo the order of the roots of unity that the transforms need.
//!
//! The choice depends on the parameters alone; the cleartext simulator uses the same primes, so both backends drift in
//! scale alike.

use striae_cost_model::CkksParams;

use crate::HeError;

use super::modulus::{MAX_PRIME_BITS, Modulus, NARROW_BITS};

/// Primes of the ciphertext modulus (one per level) and the special primes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PrimeChain {
    /// q_0, q_1, ..
    pub(crate) q: Vec<u64>,
    /// p_0, p_1, ..
    pub(crate) p: Vec<u64>,
}

impl PrimeChain {
    /// The primes of a parameter set.
    pub(crate) fn of(params: &CkksParams) -> Result<Self, HeError> {
        Self::new(params.ring().log_order(params.log_n()), params.log_q(), params.log_p())
    }

    /// Primes near the wanted bit lengths, 1 modulo `2^log_order`.
    ///
    /// The special primes are the largest below their power of two and q_0 comes after them: a q_0 as large as the
    /// special primes would triple the error of key switching. The scale primes alternate around their power of two so
    /// that rescaling keeps the scale close to where it was.
    pub(crate) fn new(log_order: u32, log_q: &[u32], log_p: &[u32]) -> Result<Self, HeError> {
        let mut used = Vec::new();
        let p = log_p.iter().map(|&bits| next(log_order, bits, Side::Below, &mut used)).collect::<Result<_, _>>()?;
        let mut q = Vec::with_capacity(log_q.len());
        for (i, &bits) in log_q.iter().enumerate() {
            let side = if i == 0 { Side::Below } else { Side::Both };
            q.push(next(log_order, bits, side, &mut used)?);
        }
        Ok(Self { q, p })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Below,
    Both,
}

/// The unused prime nearest to 2^bits.
fn next(log_order: u32, bits: u32, side: Side, used: &mut Vec<u64>) -> Result<u64, HeError> {
    let step = 1u64 << log_order;
    if bits > MAX_PRIME_BITS || bits < log_order + 3 {
        return Err(HeError::PrimeBits { bits, log_order, max: MAX_PRIME_BITS });
    }
    // A prime above 2^50 would leave the fast kernels, and one above a power of 256 would take one byte more when packed.
    let limit = 1u64 << if bits <= NARROW_BITS { NARROW_BITS.min(bits.next_multiple_of(8)) } else { MAX_PRIME_BITS };
    let centre = (1u64 << bits) + 1;
    for k in 1..(centre / 4 / step).max(2) {
        let above = (side == Side::Both).then_some(centre + k * step);
        for candidate in [Some(centre - k * step), above].into_iter().flatten() {
            if candidate < limit && !used.contains(&candidate) && is_prime(candidate) {
                used.push(candidate);
                return Ok(candidate);
            }
        }
    }
    Err(HeError::PrimeBits { bits, log_order, max: MAX_PRIME_BITS })
}

/// Miller-Rabin with the first twelve primes as bases, which is exact below 3.3e24 (Sorenson and Webster, 2015).
fn is_prime(n: u64) -> bool {
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if let Some(&base) = BASES.iter().find(|&&b| n.is_multiple_of(b)) {
        return n == base;
    }
    let m = Modulus::new(n);
    let twos = (n - 1).trailing_zeros();
    BASES.iter().all(|&base| {
        let mut x = m.pow(base, (n - 1) >> twos);
        if x == 1 || x == n - 1 {
            return true;
        }
        (1..twos).any(|_| {
            x = m.mul(x, x);
            x == n - 1
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primality_of_known_numbers() {
        assert!(is_prime(12_289) && is_prime(2_147_483_647) && is_prime((1 << 50) - 27));
        // A strong pseudoprime to bases 2, 3, 5 and 7, and a Carmichael number.
        assert!(!is_prime(3_215_031_751) && !is_prime(561) && !is_prime(1 << 40));
    }

    #[test]
    fn chain_has_the_wanted_sizes() {
        let chain = PrimeChain::new(15, &[50, 40, 40, 40, 40], &[50, 50]).unwrap();
        assert!(chain.p.iter().all(|&p| p > chain.q[0]), "q0 must be below the special primes");
        for (&prime, bits) in chain.q.iter().zip([50.0, 40.0, 40.0, 40.0, 40.0]) {
            assert_eq!(prime % (2 << 14), 1);
            assert!(((prime as f64).log2() - bits).abs() < 1e-2, "{prime}");
        }
        let mut all = [chain.q, chain.p].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 7);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(matches!(PrimeChain::new(14, &[62], &[]), Err(HeError::PrimeBits { bits: 62, .. })));
        assert!(matches!(PrimeChain::new(14, &[12], &[]), Err(HeError::PrimeBits { bits: 12, .. })));
    }
}
