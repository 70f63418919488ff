//! Transforms with AVX2 and FMA, for CPUs without AVX-512 IFMA and narrow primes.
//!
//! Values are integers in floating-point lanes, between passes too. With w in (-p/2, p/2) and |a| <= 4p < 2^52,
//!
//! ```text
//! h = a w,   l = a w - h (exact by FMA),   q = round(a (w/p)),   a w = (h - q p) + l  (mod p)
//! ```
//!
//! where h - q p is a small integer and so exact, and q is off by less than 0.875: w/p and its product with a round by
//! 2^-2 and 2^-3, rounding to an integer adds 1/2. So products are below 0.875 p in size. Forward values then stay below
//! 0.5 p + 2 * 0.875 p < 3p where each radix-4 pass reduces the one input that is never multiplied, and inverse values
//! below p where it reduces the two sums. The last two levels work on 16 words in four registers, between transposes.

use std::arch::x86_64::{
    __m256d, _CMP_LT_OQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm256_add_pd, _mm256_and_pd, _mm256_cmp_pd,
    _mm256_fmsub_pd, _mm256_fnmadd_pd, _mm256_loadu_pd, _mm256_mul_pd, _mm256_or_pd, _mm256_permute2f128_pd,
    _mm256_permute4x64_pd, _mm256_round_pd, _mm256_set1_pd, _mm256_setzero_pd, _mm256_storeu_pd, _mm256_sub_pd,
    _mm256_unpackhi_pd, _mm256_unpacklo_pd, _mm256_xor_pd,
};

use crate::rns::modulus::{Modulus, Shoup};
use crate::rns::ntt::{NttTables, Twiddles};

use super::portable;

/// Words of a vector.
const LANES: usize = 4;
/// Words as they stand in memory: integers before and after the transform, bits of floating-point numbers within.
type Row = [u64; LANES];
/// Four floating-point lanes.
type V = __m256d;
/// w and w/p.
type Factor = [V; 2];
/// Rows of the blocks of the last four levels.
const BLOCK: usize = 4;
/// Rows (1024 of them are 32 KiB) below which a subtree is finished level by level.
const CACHED: usize = 1024;
/// 2^52, whose bits with those of an integer below 2^52 added are that of the sum.
const MAGIC: f64 = (1u64 << 52) as f64;

/// The factors as this module reads them: rows of eight w, then of eight w/p, as bits, by node.
pub(super) fn lane_rows(m: &Modulus, factors: &[Shoup]) -> Vec<[u64; 8]> {
    let rows = factors.as_chunks::<8>().0.iter().flat_map(|f| {
        let w = f.map(|s| m.centred(s.w) as f64);
        [w.map(f64::to_bits), w.map(|w| (w / m.value() as f64).to_bits())]
    });
    rows.collect()
}

#[expect(unsafe_code, reason = "unaligned load of exactly one row")]
#[target_feature(enable = "avx2,fma")]
#[inline]
fn load(x: &Row) -> V {
    // SAFETY: the reference covers 32 readable bytes and the instruction needs no alignment.
    unsafe { _mm256_loadu_pd(x.as_ptr().cast()) }
}

#[expect(unsafe_code, reason = "unaligned store of exactly one row")]
#[target_feature(enable = "avx2,fma")]
#[inline]
fn store(x: &mut Row, v: V) {
    // SAFETY: the reference covers 32 writable bytes and the instruction needs no alignment.
    unsafe { _mm256_storeu_pd(x.as_mut_ptr().cast(), v) }
}

/// Integers below 2^52 as floating-point numbers.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn float(x: V) -> V {
    let magic = _mm256_set1_pd(MAGIC);
    _mm256_sub_pd(_mm256_or_pd(x, magic), magic)
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn round(x: V) -> V {
    _mm256_round_pd::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x)
}

/// A prime broadcast to vectors.
#[derive(Clone, Copy)]
struct Prime {
    p: V,
    inverse: V,
}

impl Prime {
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn new(m: &Modulus) -> Self {
        debug_assert!(m.is_narrow());
        let p = m.value() as f64;
        Self { p: _mm256_set1_pd(p), inverse: _mm256_set1_pd(1.0 / p) }
    }

    /// a w, below 0.875 p in size, for a of at most 4p in size.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn mul(&self, a: V, [w, w_over_p]: Factor) -> V {
        let high = _mm256_mul_pd(a, w);
        let low = _mm256_fmsub_pd(a, w, high);
        let quotient = round(_mm256_mul_pd(a, w_over_p));
        _mm256_add_pd(_mm256_fnmadd_pd(quotient, self.p, high), low)
    }

    /// a mod p, of at most p/2 in size.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn reduce(&self, a: V) -> V {
        _mm256_fnmadd_pd(round(_mm256_mul_pd(a, self.inverse)), self.p, a)
    }

    /// a mod p as an integer in [0, p).
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn integer(&self, a: V) -> V {
        let a = self.reduce(a);
        let negative = _mm256_cmp_pd::<_CMP_LT_OQ>(a, _mm256_setzero_pd());
        let a = _mm256_add_pd(a, _mm256_and_pd(negative, self.p));
        let magic = _mm256_set1_pd(MAGIC);
        _mm256_xor_pd(_mm256_add_pd(a, magic), magic)
    }

    /// Two forward levels.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn forward(&self, x: &mut [V; 4], [w1, w2, w3]: [Factor; 3]) {
        let (x0, t2, x1, t3) = (self.reduce(x[0]), self.mul(x[2], w1), x[1], self.mul(x[3], w1));
        let (a0, a2) = (_mm256_add_pd(x0, t2), _mm256_sub_pd(x0, t2));
        let (a1, a3) = (_mm256_add_pd(x1, t3), _mm256_sub_pd(x1, t3));
        let (t1, t3) = (self.mul(a1, w2), self.mul(a3, w3));
        *x = [_mm256_add_pd(a0, t1), _mm256_sub_pd(a0, t1), _mm256_add_pd(a2, t3), _mm256_sub_pd(a2, t3)];
    }

    /// Two inverse levels.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn inverse(&self, x: &mut [V; 4], [w1, w2, w3]: [Factor; 3]) {
        let [x0, x1, x2, x3] = *x;
        let (a0, a1) = (_mm256_add_pd(x0, x1), self.mul(_mm256_sub_pd(x0, x1), w2));
        let (a2, a3) = (_mm256_add_pd(x2, x3), self.mul(_mm256_sub_pd(x2, x3), w3));
        *x = [
            self.reduce(_mm256_add_pd(a0, a2)),
            self.reduce(_mm256_add_pd(a1, a3)),
            self.mul(_mm256_sub_pd(a0, a2), w1),
            self.mul(_mm256_sub_pd(a1, a3), w1),
        ];
    }
}

/// Rows of the table with node k in their lane k % 8.
fn table(t: &Twiddles, k: usize) -> [&[u64; 8]; 2] {
    [&t.lanes[k / 8 * 2], &t.lanes[k / 8 * 2 + 1]]
}

/// The factor of node k in all lanes.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn broadcast(t: &Twiddles, k: usize) -> Factor {
    table(t, k).map(|row| _mm256_set1_pd(f64::from_bits(row[k % 8])))
}

/// The factors of the two levels below node k.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn subtree(t: &Twiddles, k: usize) -> [Factor; 3] {
    [broadcast(t, k), broadcast(t, 2 * k), broadcast(t, 2 * k + 1)]
}

/// The factors of the subtrees at the four nodes k, k + 1, .., one per lane; k is a multiple of 4.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn per_lane(t: &Twiddles, k: usize) -> [Factor; 3] {
    let quarter = |row: &[u64; 8], half: usize| load(&row.as_chunks::<LANES>().0[half]);
    let own = table(t, k).map(|row| quarter(row, k / LANES % 2));
    let children = table(t, 2 * k).map(|row| (quarter(row, 0), quarter(row, 1)));
    let even = children.map(|(a, b)| _mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_unpacklo_pd(a, b)));
    let odd = children.map(|(a, b)| _mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_unpackhi_pd(a, b)));
    [own, even, odd]
}

/// Transposes four rows of four lanes.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn transpose(x: &mut [V; 4]) {
    let (a0, a1) = (_mm256_unpacklo_pd(x[0], x[1]), _mm256_unpackhi_pd(x[0], x[1]));
    let (a2, a3) = (_mm256_unpacklo_pd(x[2], x[3]), _mm256_unpackhi_pd(x[2], x[3]));
    *x = [
        _mm256_permute2f128_pd::<0x20>(a0, a2),
        _mm256_permute2f128_pd::<0x20>(a1, a3),
        _mm256_permute2f128_pd::<0x31>(a0, a2),
        _mm256_permute2f128_pd::<0x31>(a1, a3),
    ];
}

/// One radix-4 pass over the rows below node k.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn pass<const FORWARD: bool>(t: &Twiddles, k: usize, rows: &mut [Row], c: Prime) {
    let w = subtree(t, k);
    let quarter = rows.len() / 4;
    let (low, high) = rows.split_at_mut(2 * quarter);
    let ((r0, r1), (r2, r3)) = (low.split_at_mut(quarter), high.split_at_mut(quarter));
    for (((r0, r1), r2), r3) in r0.iter_mut().zip(r1).zip(r2).zip(r3) {
        let mut x = [load(r0), load(r1), load(r2), load(r3)];
        if FORWARD {
            c.forward(&mut x, w);
        } else {
            c.inverse(&mut x, w);
        }
        [r0, r1, r2, r3].into_iter().zip(x).for_each(|(row, x)| store(row, x));
    }
}

/// The last four forward levels of the 16 words below node k.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn block_forward(t: &Twiddles, k: usize, block: &mut [Row; BLOCK], c: Prime) {
    let mut x = [load(&block[0]), load(&block[1]), load(&block[2]), load(&block[3])];
    c.forward(&mut x, subtree(t, k));
    transpose(&mut x);
    c.forward(&mut x, per_lane(t, 4 * k));
    transpose(&mut x);
    block.iter_mut().zip(x).for_each(|(row, x)| store(row, c.integer(x)));
}

/// The first four inverse levels of the 16 words below node k.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn block_inverse(t: &Twiddles, k: usize, block: &mut [Row; BLOCK], c: Prime) {
    let mut x = [float(load(&block[0])), float(load(&block[1])), float(load(&block[2])), float(load(&block[3]))];
    transpose(&mut x);
    c.inverse(&mut x, per_lane(t, 4 * k));
    transpose(&mut x);
    c.inverse(&mut x, subtree(t, k));
    block.iter_mut().zip(x).for_each(|(row, x)| store(row, x));
}

/// Finishes the subtree at node k, whose number of rows is a power of four.
#[target_feature(enable = "avx2,fma")]
fn descend(t: &Twiddles, k: usize, rows: &mut [Row], c: Prime) {
    if rows.len() > CACHED {
        pass::<true>(t, k, rows, c);
        let quarter = rows.len() / 4;
        rows.chunks_exact_mut(quarter).enumerate().for_each(|(i, rows)| descend(t, 4 * k + i, rows, c));
        return;
    }
    let (mut len, mut first) = (rows.len(), k);
    while len > BLOCK {
        rows.chunks_exact_mut(len).enumerate().for_each(|(i, rows)| pass::<true>(t, first + i, rows, c));
        (len, first) = (len / 4, 4 * first);
    }
    let blocks = rows.as_chunks_mut::<BLOCK>().0;
    blocks.iter_mut().enumerate().for_each(|(i, block)| block_forward(t, first + i, block, c));
}

/// Undoes [`descend`].
#[target_feature(enable = "avx2,fma")]
fn ascend(t: &Twiddles, k: usize, rows: &mut [Row], c: Prime) {
    if rows.len() > CACHED {
        let quarter = rows.len() / 4;
        rows.chunks_exact_mut(quarter).enumerate().for_each(|(i, rows)| ascend(t, 4 * k + i, rows, c));
        pass::<false>(t, k, rows, c);
        return;
    }
    let first = k * (rows.len() / BLOCK);
    let blocks = rows.as_chunks_mut::<BLOCK>().0;
    blocks.iter_mut().enumerate().for_each(|(i, block)| block_inverse(t, first + i, block, c));
    let mut len = 4 * BLOCK;
    while len <= rows.len() {
        let first = k * (rows.len() / len);
        rows.chunks_exact_mut(len).enumerate().for_each(|(i, rows)| pass::<false>(t, first + i, rows, c));
        len *= 4;
    }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn ntt_forward(tables: &NttTables, x: &mut [u64]) {
    let (t, c) = (&tables.forward, Prime::new(&tables.modulus));
    let rows = x.as_chunks_mut::<LANES>().0;
    let odd = rows.len().trailing_zeros() % 2 == 1;
    if !odd {
        for row in &mut *rows {
            let x = float(load(row));
            store(row, x);
        }
        return descend(t, 1, rows, c);
    }
    let w = broadcast(t, 1);
    let (low, high) = rows.split_at_mut(rows.len() / 2);
    for (low, high) in low.iter_mut().zip(&mut *high) {
        let (x, product) = (float(load(low)), c.mul(float(load(high)), w));
        store(low, _mm256_add_pd(x, product));
        store(high, _mm256_sub_pd(x, product));
    }
    descend(t, 2, low, c);
    descend(t, 3, high, c);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn ntt_inverse(tables: &NttTables, factor: Shoup, add: u64, x: &mut [u64]) {
    inverse(tables, x);
    portable::scale_add(&tables.modulus, x, factor, add);
}

#[target_feature(enable = "avx2,fma")]
fn inverse(tables: &NttTables, x: &mut [u64]) {
    let (t, c) = (&tables.inverse, Prime::new(&tables.modulus));
    let rows = x.as_chunks_mut::<LANES>().0;
    if rows.len().trailing_zeros() % 2 == 0 {
        ascend(t, 1, rows, c);
        for row in rows {
            let x = c.integer(load(row));
            store(row, x);
        }
        return;
    }
    let w = broadcast(t, 1);
    let (low, high) = rows.split_at_mut(rows.len() / 2);
    ascend(t, 2, low, c);
    ascend(t, 3, high, c);
    for (low, high) in low.iter_mut().zip(high) {
        let (x, y) = (load(low), load(high));
        store(low, c.integer(_mm256_add_pd(x, y)));
        store(high, c.integer(c.mul(_mm256_sub_pd(x, y), w)));
    }
}
