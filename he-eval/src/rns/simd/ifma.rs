//! AVX-512 IFMA kernels; see the parent module for what each computes.

use std::arch::x86_64::{
    _mm512_add_epi64, _mm512_add_pd, _mm512_and_si512, _mm512_cvtepu64_pd, _mm512_cvttpd_epu64, _mm512_mask_sub_epi64,
    _mm512_maskz_abs_epi64, _mm512_movepi64_mask, _mm512_mul_pd, _mm512_permutexvar_epi64, _mm512_set1_pd,
    _mm512_setzero_pd, _mm512_srli_epi64, _mm512_sub_epi64,
};

use crate::rns::modulus::{Modulus, NARROW_BITS, Shoup};
use crate::rns::ntt::NttTables;

use super::Sources;
use super::sum::{Broadcast, Sum};
use super::vector::{Prime, Row, load, once, rows, rows_mut, splat, store};
use super::{KEY_BLOCK, LANES};
use super::{ifma_fold, ifma_ntt};

/// Vectors handled together, so that one bounds check serves several loads.
const UNROLL: usize = KEY_BLOCK / LANES;
type Rows = [Row; UNROLL];

fn blocks(x: &[u64]) -> &[Rows] {
    rows(x).as_chunks::<UNROLL>().0
}

fn blocks_mut(x: &mut [u64]) -> &mut [Rows] {
    rows_mut(x).as_chunks_mut::<UNROLL>().0
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn ntt_forward<const WIDE: bool>(tables: &NttTables, x: &mut [u64]) {
    ifma_ntt::forward::<WIDE>(tables, x);
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn ntt_inverse<const WIDE: bool>(tables: &NttTables, x: &mut [u64]) {
    ifma_ntt::inverse::<WIDE>(tables, x);
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn fold<const WIDE: bool>(m: &Modulus, root: Shoup, x: &mut [u64]) {
    ifma_fold::fold::<WIDE>(m, root, x);
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn unfold<const WIDE: bool>(m: &Modulus, root: Shoup, x: &mut [u64]) {
    ifma_fold::unfold::<WIDE>(m, root, x);
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn scale_add<const WIDE: bool>(m: &Modulus, x: &mut [u64], factor: Shoup, add: u64) {
    let (prime, factor, add) = (Prime::<WIDE>::new(m), Prime::<WIDE>::shoup(factor), splat(add));
    for row in rows_mut(x) {
        let product = prime.mul(load(row), factor);
        store(row, prime.add(product, add));
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
pub(super) fn convert<const WIDE: bool>(
    m: &Modulus,
    sources: Sources<'_>,
    coefficients: &[u64],
    subtract: u64,
    out: &mut [u64],
) {
    if WIDE || sources.narrow {
        convert_from::<WIDE, false>(m, sources.ys, coefficients, subtract, out);
    } else {
        convert_from::<WIDE, true>(m, sources.ys, coefficients, subtract, out);
    }
}

/// Where wide sources meet a narrow modulus, y is `SPLIT` at bit 50 and its upper part multiplied by 2^50 times the
/// coefficient: two products for one, each with a high half below p/4 still.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
fn convert_from<const WIDE: bool, const SPLIT: bool>(
    m: &Modulus,
    ys: &[&[u64]],
    coefficients: &[u64],
    subtract: u64,
    out: &mut [u64],
) {
    let b = Broadcast::<WIDE>::new(m);
    let negated = splat(m.neg(subtract));
    let low_part = splat((1 << NARROW_BITS) - 1);
    let fold = if SPLIT { Broadcast::<WIDE>::FOLD / 2 } else { Broadcast::<WIDE>::FOLD };
    for (j, out) in blocks_mut(out).iter_mut().enumerate() {
        let mut sums = [Sum::zero(); UNROLL];
        for (i, (y, &c)) in ys.iter().zip(coefficients).enumerate() {
            if i > 0 && i % fold == 0 {
                sums.iter_mut().for_each(|sum| b.fold(sum));
            }
            let y = &blocks(y)[j];
            let upper = splat(if SPLIT { m.mul(c, 1 << NARROW_BITS) } else { 0 });
            let c = splat(c);
            for k in 0..UNROLL {
                let y = load(&y[k]);
                if SPLIT {
                    Broadcast::<WIDE>::multiply_add(&mut sums[k], _mm512_and_si512(y, low_part), c);
                    Broadcast::<WIDE>::multiply_add(&mut sums[k], _mm512_srli_epi64::<NARROW_BITS>(y), upper);
                } else {
                    Broadcast::<WIDE>::multiply_add(&mut sums[k], y, c);
                }
            }
        }
        for k in 0..UNROLL {
            store(&mut out[k], b.prime.add(b.reduce(sums[k]), negated));
        }
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn sub_scale<const WIDE: bool>(m: &Modulus, u: &[u64], v: &[u64], factor: Shoup, out: &mut [u64]) {
    let (prime, factor) = (Prime::<WIDE>::new(m), Prime::<WIDE>::shoup(factor));
    for ((out, u), v) in rows_mut(out).iter_mut().zip(rows(u)).zip(rows(v)) {
        let difference = _mm512_sub_epi64(_mm512_add_epi64(load(u), prime.p), load(v));
        store(out, prime.mul(difference, factor));
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
pub(super) fn add_scaled<const WIDE: bool>(m: &Modulus, x: &mut [u64], y: &[u64], factor: Shoup) {
    let (prime, factor) = (Prime::<WIDE>::new(m), Prime::<WIDE>::shoup(factor));
    for (x, y) in rows_mut(x).iter_mut().zip(rows(y)) {
        let sum = prime.add(load(x), prime.mul(load(y), factor));
        store(x, sum);
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn square<const WIDE: bool>(m: &Modulus, a0: &mut [u64], a1: &mut [u64], out2: &mut [u64]) {
    let b = Broadcast::<WIDE>::new(m);
    let product = |x, y| {
        let mut sum = Sum::zero();
        Broadcast::<WIDE>::multiply_add(&mut sum, x, y);
        b.reduce(sum)
    };
    for ((r0, r1), r2) in rows_mut(a0).iter_mut().zip(rows_mut(a1)).zip(rows_mut(out2)) {
        let (x, y) = (load(r0), load(r1));
        let cross = product(x, y);
        store(r0, product(x, x));
        store(r1, b.prime.add(cross, cross));
        store(r2, product(y, y));
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn lift<const WIDE: bool>(m: &Modulus, coefficients: &[i64], out: &mut [u64]) {
    let b = Broadcast::<WIDE>::new(m);
    let p = b.prime.p;
    for (c, out) in coefficients.as_chunks::<LANES>().0.iter().zip(rows_mut(out)) {
        let c = load(&c.map(i64::cast_unsigned));
        let size = b.word(_mm512_maskz_abs_epi64(0xFF, c));
        // p - 0 = p must come out as 0.
        store(out, once(_mm512_mask_sub_epi64(size, _mm512_movepi64_mask(c), p, size), p));
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
