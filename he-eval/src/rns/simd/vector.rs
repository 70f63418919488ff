//! Words in AVX-512 lanes, and multiplication by constants modulo one prime.
//!
//! Loads and stores go through fixed-size arrays, so that only two lines touch raw pointers. `WIDE` tells primes of 51 to
//! 61 bits from narrow ones: their quotients have 64 bits and their products come in 32-bit pieces.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_loadu_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_min_epu64, _mm512_mul_epu32, _mm512_mullo_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_srli_epi64,
    _mm512_storeu_si512, _mm512_sub_epi64,
};

use crate::rns::modulus::{Modulus, Shoup};

use super::LANES;

/// Eight words.
pub(super) type V = __m512i;
/// Eight words in memory.
pub(super) type Row = [u64; LANES];
/// A constant factor and its quotient, broadcast or per lane.
pub(super) type Factor = [V; 2];

/// Bits of a lane product half.
pub(super) const RADIX_BITS: u32 = 52;

#[expect(unsafe_code, reason = "unaligned load of exactly one row")]
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn load(x: &Row) -> V {
    // SAFETY: the reference covers 64 readable bytes and the instruction needs no alignment.
    unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
}

#[expect(unsafe_code, reason = "unaligned store of exactly one row")]
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn store(x: &mut Row, v: V) {
    // SAFETY: the reference covers 64 writable bytes and the instruction needs no alignment.
    unsafe { _mm512_storeu_si512(x.as_mut_ptr().cast(), v) }
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn splat(x: u64) -> V {
    _mm512_set1_epi64(x as i64)
}

/// x mod m for x in [0, 2m).
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn once(x: V, m: V) -> V {
    _mm512_min_epu64(x, _mm512_sub_epi64(x, m))
}

pub(super) fn rows(x: &[u64]) -> &[Row] {
    x.as_chunks::<LANES>().0
}

pub(super) fn rows_mut(x: &mut [u64]) -> &mut [Row] {
    x.as_chunks_mut::<LANES>().0
}

/// A prime broadcast to vectors.
#[derive(Clone, Copy)]
pub(super) struct Prime<const WIDE: bool> {
    /// The prime.
    pub(super) p: V,
    /// What lazy products are below: 2p, or 4p for a wide prime, whose approximate quotients may be two too small.
    pub(super) bound: V,
    twice: V,
    neg_p: V,
    mask: V,
}

impl<const WIDE: bool> Prime<WIDE> {
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn new(m: &Modulus) -> Self {
        debug_assert_eq!(WIDE, !m.is_narrow());
        let p = m.value();
        Self {
            p: splat(p),
            bound: splat(if WIDE { 4 * p } else { 2 * p }),
            twice: splat(2 * p),
            neg_p: splat((1u64 << RADIX_BITS).wrapping_sub(p)),
            mask: splat((1 << RADIX_BITS) - 1),
        }
    }

    /// A factor with the quotient that [`Self::mul_lazy`] wants.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn factor(w: u64, ws: u64) -> Factor {
        [splat(w), splat(if WIDE { ws } else { ws >> Modulus::NARROW_SHIFT })]
    }

    /// The same for a constant by itself.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn shoup(s: Shoup) -> Factor {
        Self::factor(s.w, s.ws)
    }

    /// x w below `bound`, for any x if the prime is wide, for x below 2^52 if it is narrow.
    ///
    /// The wide quotient lacks the product of the lower halves and two carries: x ws / 2^64 minus it is below 3, and the
    /// quotient itself is short of x w / p by less than x / 2^64, so what remains is below 4p.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
    #[inline]
    pub(super) fn mul_lazy(&self, x: V, [w, ws]: Factor) -> V {
        if WIDE {
            let (x_high, ws_high) = (_mm512_srli_epi64::<32>(x), _mm512_srli_epi64::<32>(ws));
            let upper = _mm512_srli_epi64::<32>(_mm512_mul_epu32(x_high, ws));
            let lower = _mm512_srli_epi64::<32>(_mm512_mul_epu32(x, ws_high));
            let quotient = _mm512_add_epi64(_mm512_add_epi64(upper, lower), _mm512_mul_epu32(x_high, ws_high));
            _mm512_sub_epi64(_mm512_mullo_epi64(x, w), _mm512_mullo_epi64(quotient, self.p))
        } else {
            let zero = _mm512_setzero_si512();
            let quotient = _mm512_madd52hi_epu64(zero, x, ws);
            let low = _mm512_madd52lo_epu64(zero, x, w);
            _mm512_and_si512(_mm512_madd52lo_epu64(low, quotient, self.neg_p), self.mask)
        }
    }

    /// x mod p for x below `bound`.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn reduce(&self, x: V) -> V {
        once(if WIDE { once(x, self.twice) } else { x }, self.p)
    }

    /// x factor, reduced; x as in [`Self::mul_lazy`].
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
    #[inline]
    pub(super) fn mul(&self, x: V, factor: Factor) -> V {
        self.reduce(self.mul_lazy(x, factor))
    }

    /// a + b, reduced.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn add(&self, a: V, b: V) -> V {
        once(_mm512_add_epi64(a, b), self.p)
    }

    /// (x, y) <- (x + w y, x - w y) on values below twice the bound.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
    #[inline]
    pub(super) fn forward(&self, x: &mut V, y: &mut V, w: Factor) {
        let a = once(*x, self.bound);
        let t = self.mul_lazy(*y, w);
        *x = _mm512_add_epi64(a, t);
        *y = _mm512_add_epi64(_mm512_sub_epi64(a, t), self.bound);
    }

    /// (x, y) <- (x + y, (x - y) w) on values below the bound.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
    #[inline]
    pub(super) fn inverse(&self, x: &mut V, y: &mut V, w: Factor) {
        let sum = once(_mm512_add_epi64(*x, *y), self.bound);
        let difference = _mm512_add_epi64(_mm512_sub_epi64(*x, *y), self.bound);
        *x = sum;
        *y = self.mul_lazy(difference, w);
    }
}
