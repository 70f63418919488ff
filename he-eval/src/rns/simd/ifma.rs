//! AVX-512 IFMA kernels; see the parent module for what each computes.
//!
//! A product of two 50-bit residues is two 52-bit halves, `madd52lo` and `madd52hi`, each added to its own lane sum. The
//! high half of one product is below p/4, so [`FOLD`] products add less than 2p to a high sum that starts below 2p;
//! folding brings it back, and at the end it is below 4p < 2^52, which one Shoup multiplication by 2^52 mod p accepts.
//! Loads and stores go through fixed-size arrays, so that only three lines touch raw pointers.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_add_pd, _mm512_and_si512, _mm512_cvtepu64_pd, _mm512_cvttpd_epu64,
    _mm512_loadu_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_sub_epi64, _mm512_maskz_abs_epi64,
    _mm512_min_epu64, _mm512_movepi64_mask, _mm512_mul_pd, _mm512_permutexvar_epi64, _mm512_set1_epi64, _mm512_set1_pd,
    _mm512_setzero_pd, _mm512_setzero_si512, _mm512_srli_epi64, _mm512_storeu_si512, _mm512_sub_epi64,
};

use crate::rns::modulus::{Modulus, RADIX_BITS, Shoup};
use crate::rns::ntt::NttTables;

use super::ifma_ntt;
use super::{KEY_BLOCK, LANES};

/// Eight words.
pub(super) type V = __m512i;
pub(super) type Row = [u64; LANES];

/// Products that may be added to a lane sum between two folds.
pub(super) const FOLD: usize = 8;
/// Vectors handled together, so that one bounds check serves several loads.
const UNROLL: usize = KEY_BLOCK / LANES;
pub(super) type Rows = [Row; UNROLL];

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

/// x mod p for x in [0, 2p), and x mod 2p for p doubled.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn once(x: V, p: V) -> V {
    _mm512_min_epu64(x, _mm512_sub_epi64(x, p))
}

/// x w in [0, 2p), for x below 2^52; `neg_p` is 2^52 - p.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
pub(super) fn mul_lazy(x: V, w: V, ws: V, neg_p: V, mask: V) -> V {
    let zero = _mm512_setzero_si512();
    let quotient = _mm512_madd52hi_epu64(zero, x, ws);
    let low = _mm512_madd52lo_epu64(zero, x, w);
    _mm512_and_si512(_mm512_madd52lo_epu64(low, quotient, neg_p), mask)
}

/// A modulus broadcast to vectors.
#[derive(Clone, Copy)]
pub(super) struct Broadcast {
    p: V,
    twice: V,
    neg_p: V,
    mask: V,
    radix: [V; 2],
    one: [V; 2],
}

impl Broadcast {
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn new(m: &Modulus) -> Self {
        let p = m.value();
        Self {
            p: splat(p),
            twice: splat(2 * p),
            neg_p: splat((1 << RADIX_BITS) - p),
            mask: splat((1 << RADIX_BITS) - 1),
            radix: [splat(m.radix.w), splat(m.radix.ws)],
            one: [splat(m.one.w), splat(m.one.ws)],
        }
    }

    /// x factor, reduced.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    fn mul(&self, x: V, factor: [V; 2]) -> V {
        once(mul_lazy(x, factor[0], factor[1], self.neg_p, self.mask), self.p)
    }

    /// a + b, reduced.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn add(&self, a: V, b: V) -> V {
        once(_mm512_add_epi64(a, b), self.p)
    }

    /// low + 2^52 high, reduced; high + carry below 2^52.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn reduce(&self, low: V, high: V) -> V {
        let high = _mm512_add_epi64(high, _mm512_srli_epi64::<RADIX_BITS>(low));
        let a = mul_lazy(high, self.radix[0], self.radix[1], self.neg_p, self.mask);
        let b = mul_lazy(_mm512_and_si512(low, self.mask), self.one[0], self.one[1], self.neg_p, self.mask);
        once(once(_mm512_add_epi64(a, b), self.twice), self.p)
    }

    /// Moves the carry of the low sum up and brings the high sum below 2p again.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn fold(&self, low: &mut V, high: &mut V) {
        let carried = _mm512_add_epi64(*high, _mm512_srli_epi64::<RADIX_BITS>(*low));
        *low = _mm512_and_si512(*low, self.mask);
        *high = once(carried, self.twice);
    }
}

/// (low, high) += a b.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
pub(super) fn multiply_add(low: &mut V, high: &mut V, a: V, b: V) {
    *low = _mm512_madd52lo_epu64(*low, a, b);
    *high = _mm512_madd52hi_epu64(*high, a, b);
}

#[target_feature(enable = "avx512f")]
#[inline]
fn splat_shoup(s: Shoup) -> [V; 2] {
    [splat(s.w), splat(s.ws)]
}

pub(super) fn rows(x: &[u64]) -> &[Row] {
    x.as_chunks::<LANES>().0
}

pub(super) fn rows_mut(x: &mut [u64]) -> &mut [Row] {
    x.as_chunks_mut::<LANES>().0
}

fn blocks(x: &[u64]) -> &[Rows] {
    rows(x).as_chunks::<UNROLL>().0
}

fn blocks_mut(x: &mut [u64]) -> &mut [Rows] {
    rows_mut(x).as_chunks_mut::<UNROLL>().0
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn ntt_forward(tables: &NttTables, x: &mut [u64]) {
    ifma_ntt::forward(tables, rows_mut(x));
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn ntt_inverse(tables: &NttTables, x: &mut [u64]) {
    ifma_ntt::inverse(tables, rows_mut(x));
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn scale_add(m: &Modulus, x: &mut [u64], factor: Shoup, add: u64) {
    let (b, factor, add) = (Broadcast::new(m), splat_shoup(factor), splat(add));
    for row in rows_mut(x) {
        let product = b.mul(load(row), factor);
        store(row, b.add(product, add));
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn overflow(ys: &[&[u64]], inverses: &[f64], out: &mut [u64]) {
    for (j, row) in rows_mut(out).iter_mut().enumerate() {
        let mut sum = _mm512_setzero_pd();
        for (y, &inverse) in ys.iter().zip(inverses) {
            let y = _mm512_cvtepu64_pd(load(&rows(y)[j]));
            sum = _mm512_add_pd(sum, _mm512_mul_pd(y, _mm512_set1_pd(inverse)));
        }
        store(row, _mm512_cvttpd_epu64(sum));
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn convert(m: &Modulus, ys: &[&[u64]], coefficients: &[u64], subtract: u64, out: &mut [u64]) {
    let b = Broadcast::new(m);
    let negated = splat(m.neg(subtract));
    for (j, out) in blocks_mut(out).iter_mut().enumerate() {
        let mut low = [_mm512_setzero_si512(); UNROLL];
        let mut high = low;
        for (i, (y, &c)) in ys.iter().zip(coefficients).enumerate() {
            if i > 0 && i % FOLD == 0 {
                low.iter_mut().zip(&mut high).for_each(|(low, high)| b.fold(low, high));
            }
            let (y, c) = (&blocks(y)[j], splat(c));
            for k in 0..UNROLL {
                multiply_add(&mut low[k], &mut high[k], load(&y[k]), c);
            }
        }
        for k in 0..UNROLL {
            store(&mut out[k], b.add(b.reduce(low[k], high[k]), negated));
        }
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn key_dot(m: &Modulus, digits: &[&[u64]], key: &[u64], out0: &mut [u64], out1: &mut [u64]) {
    let b = Broadcast::new(m);
    let zero = [_mm512_setzero_si512(); UNROLL];
    let pairs = key.len() / (2 * out0.len());
    let key = blocks(key).chunks_exact(2 * pairs);
    for (j, ((out0, out1), key)) in blocks_mut(out0).iter_mut().zip(blocks_mut(out1)).zip(key).enumerate() {
        let (mut low0, mut high0, mut low1, mut high1) = (zero, zero, zero, zero);
        for (i, (digit, [key0, key1])) in digits.iter().zip(key.as_chunks::<2>().0).enumerate() {
            if i > 0 && i % FOLD == 0 {
                for k in 0..UNROLL {
                    b.fold(&mut low0[k], &mut high0[k]);
                    b.fold(&mut low1[k], &mut high1[k]);
                }
            }
            let digit = &blocks(digit)[j];
            for k in 0..UNROLL {
                let d = load(&digit[k]);
                multiply_add(&mut low0[k], &mut high0[k], d, load(&key0[k]));
                multiply_add(&mut low1[k], &mut high1[k], d, load(&key1[k]));
            }
        }
        for k in 0..UNROLL {
            store(&mut out0[k], b.reduce(low0[k], high0[k]));
            store(&mut out1[k], b.reduce(low1[k], high1[k]));
        }
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn sub_scale(m: &Modulus, u: &[u64], v: &[u64], factor: Shoup, out: &mut [u64]) {
    let (b, factor) = (Broadcast::new(m), splat_shoup(factor));
    for ((out, u), v) in rows_mut(out).iter_mut().zip(rows(u)).zip(rows(v)) {
        let difference = _mm512_sub_epi64(_mm512_add_epi64(load(u), b.p), load(v));
        store(out, b.mul(difference, factor));
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn add_assign(m: &Modulus, x: &mut [u64], y: &[u64]) {
    let p = splat(m.value());
    for (x, y) in rows_mut(x).iter_mut().zip(rows(y)) {
        let sum = _mm512_add_epi64(load(x), load(y));
        store(x, once(sum, p));
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn add_scaled(m: &Modulus, x: &mut [u64], y: &[u64], factor: Shoup) {
    let (b, factor) = (Broadcast::new(m), splat_shoup(factor));
    for (x, y) in rows_mut(x).iter_mut().zip(rows(y)) {
        let sum = b.add(load(x), b.mul(load(y), factor));
        store(x, sum);
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn square(m: &Modulus, a0: &mut [u64], a1: &mut [u64], out2: &mut [u64]) {
    let b = Broadcast::new(m);
    let zero = _mm512_setzero_si512();
    let product = |x: V, y: V| b.reduce(_mm512_madd52lo_epu64(zero, x, y), _mm512_madd52hi_epu64(zero, x, y));
    for ((r0, r1), r2) in rows_mut(a0).iter_mut().zip(rows_mut(a1)).zip(rows_mut(out2)) {
        let (x, y) = (load(r0), load(r1));
        let cross = product(x, y);
        store(r0, product(x, x));
        store(r1, b.add(cross, cross));
        store(r2, product(y, y));
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn lift(m: &Modulus, coefficients: &[i64], out: &mut [u64]) {
    let b = Broadcast::new(m);
    for (c, out) in coefficients.as_chunks::<LANES>().0.iter().zip(rows_mut(out)) {
        let c = load(&c.map(i64::cast_unsigned));
        let size = b.mul(_mm512_maskz_abs_epi64(0xFF, c), b.one);
        // p - 0 = p must come out as 0.
        store(out, once(_mm512_mask_sub_epi64(size, _mm512_movepi64_mask(c), b.p, size), b.p));
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn permute(map: &[u32], lanes: &[Row; LANES], x: &[u64], out: &mut [u64]) {
    let x = rows(x);
    for (&entry, out) in map.iter().zip(rows_mut(out)) {
        let order = load(&lanes[entry as usize % LANES]);
        store(out, _mm512_permutexvar_epi64(order, load(&x[entry as usize / LANES])));
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn permute_add(m: &Modulus, map: &[u32], lanes: &[Row; LANES], x: &[u64], out: &mut [u64]) {
    let (x, p) = (rows(x), splat(m.value()));
    for (&entry, out) in map.iter().zip(rows_mut(out)) {
        let order = load(&lanes[entry as usize % LANES]);
        let moved = _mm512_permutexvar_epi64(order, load(&x[entry as usize / LANES]));
        let sum = _mm512_add_epi64(load(out), moved);
        store(out, once(sum, p));
    }
}
