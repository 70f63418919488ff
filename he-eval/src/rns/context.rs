//! Everything that depends on the parameters alone: primes, transforms and the constants of every level.

use std::sync::Arc;

use striae_cost_model::{CkksParams, RingType};

use crate::HeError;

use super::basis::{Conversion, Division, product};
use super::encoder::Encoder;
use super::modulus::{Modulus, Shoup};
use super::ntt::{self, NttTables};
use super::pool::Pool;
use super::primes::PrimeChain;
use super::simd::{Simd, Tiling};

/// Ring degrees the backend implements.
pub(crate) const LOG_N: std::ops::RangeInclusive<u32> = 11..=16;

/// Constants of ciphertexts with a given number of limbs.
#[derive(Clone, Debug)]
pub(crate) struct LevelConstants {
    /// Conversion of each key-switching digit to the other limbs of QP.
    pub(crate) digits: Vec<Conversion>,
    /// QP to Q: division by P.
    pub(crate) mod_down: Division,
    /// Q to Q without its last prime; `None` at level 0.
    pub(crate) rescale: Option<Division>,
    /// QP to Q without its last prime in one step.
    pub(crate) mod_down_rescale: Option<Division>,
}

/// Parameters made ready for use.
#[derive(Debug)]
pub(crate) struct Context {
    /// The ring.
    pub(crate) ring: RingType,
    /// Ring degree: coefficients of a polynomial, and words of a limb.
    pub(crate) n: usize,
    /// Instruction set of the kernels.
    pub(crate) simd: Simd,
    /// Ciphertext primes, then special primes.
    pub(crate) tables: Vec<NttTables>,
    /// Number of ciphertext primes.
    pub(crate) q_count: usize,
    /// Number of special primes, and of limbs in a digit.
    pub(crate) p_count: usize,
    /// By level.
    pub(crate) levels: Vec<LevelConstants>,
    /// P modulo each ciphertext prime.
    pub(crate) p_mod_q: Vec<Shoup>,
    /// Slots to coefficients.
    pub(crate) encoder: Encoder,
    /// Recycled buffers.
    pub(crate) pool: Arc<Pool>,
}

impl Context {
    /// Constants of a parameter set.
    pub(crate) fn new(params: &CkksParams, simd: Simd) -> Result<Self, HeError> {
        let (log_n, log_q, log_p) = (params.log_n(), params.log_q(), params.log_p());
        if !LOG_N.contains(&log_n) {
            return Err(HeError::RingDegree { log_n, min: *LOG_N.start(), max: *LOG_N.end() });
        }
        if log_q.is_empty() || log_p.is_empty() {
            return Err(HeError::EmptyChain { q: log_q.len(), p: log_p.len() });
        }
        let chain = PrimeChain::of(params)?;
        let (ring, n) = (params.ring(), 1 << log_n);
        let tables: Vec<NttTables> =
            chain.q.iter().chain(&chain.p).map(|&p| NttTables::new(p, n, ring, simd)).collect();
        let primes: Vec<Modulus> = tables.iter().map(|t| t.modulus.clone()).collect();
        let (q_count, p_count) = (chain.q.len(), chain.p.len());
        let special: Vec<usize> = (q_count..q_count + p_count).collect();
        let unscaled = ntt::inverse_factor(ring, n);
        Ok(Self {
            ring,
            n,
            simd,
            q_count,
            p_count,
            levels: (0..q_count).map(|level| level_constants(&primes, unscaled, level, &special)).collect(),
            p_mod_q: primes[..q_count].iter().map(|m| m.shoup(product(&primes, &special, m))).collect(),
            encoder: Encoder::new(ring, n),
            pool: Arc::default(),
            tables,
        })
    }

    /// Slots of a ciphertext.
    pub(crate) const fn slots(&self) -> usize {
        self.ring.slots(self.n)
    }

    /// Order of the roots of unity.
    pub(crate) const fn order(&self) -> usize {
        1 << self.ring.log_order(self.n.ilog2())
    }

    /// Whether the transforms of encoded real vectors repeat their first half in their second.
    pub(crate) const fn mirrored(&self) -> bool {
        matches!(self.ring, RingType::Standard)
    }

    /// Limbs of a polynomial in the extended basis QP at `level`.
    pub(crate) const fn extended_limbs(&self, level: usize) -> usize {
        level + 1 + self.p_count
    }

    /// Index of the prime of limb t of a polynomial in QP at `level`.
    pub(crate) const fn prime_of_limb(&self, level: usize, t: usize) -> usize {
        if t <= level { t } else { self.q_count + t - level - 1 }
    }

    /// The prime of limb t of a polynomial in QP at `level`.
    pub(crate) fn modulus(&self, level: usize, t: usize) -> &Modulus {
        &self.tables[self.prime_of_limb(level, t)].modulus
    }

    /// How encoded diagonals are stored in limb t of a polynomial in QP at `level`.
    pub(crate) fn tiling(&self, level: usize, t: usize) -> Tiling {
        Tiling::new(self.mirrored(), self.tables[self.prime_of_limb(level, t)].modulus.value())
    }

    /// log2 of the product of the primes up to `level`.
    pub(crate) fn log_modulus(&self, level: usize) -> f64 {
        self.tables[..=level].iter().map(|t| (t.modulus.value() as f64).log2()).sum()
    }
}

fn level_constants(primes: &[Modulus], unscaled: u64, level: usize, special: &[usize]) -> LevelConstants {
    let limbs: Vec<usize> = (0..=level).collect();
    let all: Vec<usize> = limbs.iter().chain(special).copied().collect();
    let digit = |from: &[usize]| {
        let to: Vec<usize> = all.iter().copied().filter(|i| !from.contains(i)).collect();
        Conversion::new(primes, unscaled, from, &to, |_| 1)
    };
    let drop_p: Vec<(usize, usize)> = special.iter().enumerate().map(|(i, &p)| (p, level + 1 + i)).collect();
    let drop_both: Vec<(usize, usize)> = std::iter::once((level, level)).chain(drop_p.iter().copied()).collect();
    LevelConstants {
        digits: limbs.chunks(special.len()).map(digit).collect(),
        mod_down: Division::new(primes, unscaled, &drop_p, level + 1),
        rescale: (level > 0).then(|| Division::new(primes, unscaled, &[(level, level)], level)),
        mod_down_rescale: (level > 0).then(|| Division::new(primes, unscaled, &drop_both, level)),
    }
}
