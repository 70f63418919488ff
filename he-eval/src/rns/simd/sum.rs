//! Sums of products in AVX-512 lanes.
//!
//! A product of two residues modulo a narrow prime is two 52-bit halves, `madd52lo` and `madd52hi`, each added to its own
//! lane sum. The high half of one product is below p/4, so eight products add less than 2p to a high sum that starts
//! below 2p; folding brings it back, and at the end it is below 4p < 2^52, which one Shoup multiplication by 2^52 mod p
//! accepts. Wide residues have a second word of at most 9 bits behind bit 52, which makes three lane sums and seven
//! products; the middle sum gains at most 3 * 2^52 by each, so 1024 of them fit.

use std::arch::x86_64::{
    _mm512_add_epi64, _mm512_and_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_setzero_si512,
    _mm512_srli_epi64,
};

use crate::rns::modulus::Modulus;

use super::vector::{Factor, Prime, RADIX_BITS, V, once, splat};

/// A modulus broadcast to vectors, with what sums of products need.
#[derive(Clone, Copy)]
pub(super) struct Broadcast<const WIDE: bool> {
    pub(super) prime: Prime<WIDE>,
    mask: V,
    one: Factor,
    radix: Factor,
    radix_squared: Factor,
}

/// A sum by powers of 2^52; narrow primes leave the third alone.
#[derive(Clone, Copy)]
pub(super) struct Sum([V; 3]);

impl Sum {
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn zero() -> Self {
        Self([_mm512_setzero_si512(); 3])
    }
}

impl<const WIDE: bool> Broadcast<WIDE> {
    /// Products that may be added to a sum between two folds.
    pub(super) const FOLD: usize = if WIDE { 1024 } else { 8 };

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn new(m: &Modulus) -> Self {
        let factor = Prime::<WIDE>::shoup;
        Self {
            prime: Prime::new(m),
            mask: splat((1 << RADIX_BITS) - 1),
            one: factor(m.one),
            radix: factor(m.radix),
            radix_squared: factor(m.radix_squared),
        }
    }

    /// sum += a b.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn multiply_add(Sum([low, middle, high]): &mut Sum, a: V, b: V) {
        *low = _mm512_madd52lo_epu64(*low, a, b);
        *middle = _mm512_madd52hi_epu64(*middle, a, b);
        if WIDE {
            let (a_high, b_high) = (_mm512_srli_epi64::<RADIX_BITS>(a), _mm512_srli_epi64::<RADIX_BITS>(b));
            *middle = _mm512_madd52lo_epu64(*middle, a, b_high);
            *middle = _mm512_madd52lo_epu64(*middle, a_high, b);
            *high = _mm512_madd52hi_epu64(*high, a, b_high);
            *high = _mm512_madd52hi_epu64(*high, a_high, b);
            *high = _mm512_madd52lo_epu64(*high, a_high, b_high);
        }
    }

    /// Moves carries up, and brings the upper half of a narrow sum below 2p again.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn fold(&self, Sum([low, middle, high]): &mut Sum) {
        let carried = _mm512_add_epi64(*middle, _mm512_srli_epi64::<RADIX_BITS>(*low));
        *low = _mm512_and_si512(*low, self.mask);
        if WIDE {
            *high = _mm512_add_epi64(*high, _mm512_srli_epi64::<RADIX_BITS>(carried));
            *middle = _mm512_and_si512(carried, self.mask);
        } else {
            *middle = once(carried, self.prime.bound);
        }
    }

    /// The sum, reduced; without a fold since at most [`Self::FOLD`] products.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
    #[inline]
    pub(super) fn reduce(&self, Sum([low, middle, high]): Sum) -> V {
        let (prime, bound) = (&self.prime, self.prime.bound);
        let middle = _mm512_add_epi64(middle, _mm512_srli_epi64::<RADIX_BITS>(low));
        let low = _mm512_and_si512(low, self.mask);
        // A wide prime is at least 2^50, so this half is below its bound as it is.
        let low = if WIDE { low } else { prime.mul_lazy(low, self.one) };
        let middle = prime.mul_lazy(middle, self.radix);
        let mut sum = once(_mm512_add_epi64(low, middle), bound);
        if WIDE {
            let high = prime.mul_lazy(high, self.radix_squared);
            sum = once(_mm512_add_epi64(sum, high), bound);
        }
        prime.reduce(sum)
    }

    /// a b, reduced.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
    #[inline]
    pub(super) fn product(&self, a: V, b: V) -> V {
        let mut sum = Sum::zero();
        Self::multiply_add(&mut sum, a, b);
        self.reduce(sum)
    }

    /// Any 64-bit word, reduced.
    #[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
    #[inline]
    pub(super) fn word(&self, x: V) -> V {
        if WIDE {
            self.prime.mul(x, self.one)
        } else {
            let zero = _mm512_setzero_si512();
            self.reduce(Sum([x, zero, zero]))
        }
    }
}
