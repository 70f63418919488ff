//! AVX-512 twin of the dot products with encoded diagonals; see `dot` for what is computed and how it is laid out.

use std::arch::x86_64::{_mm512_permutexvar_epi64, _mm512_set_epi64};

use crate::rns::modulus::Modulus;

use super::LANES;
use super::dot::RUN;
use super::ifma_widen::Widen;
use super::sum::{Broadcast, Sum};
use super::vector::{Row, V, load, rows, rows_mut, store};

/// Vectors of a run.
const VECTORS: usize = RUN / LANES;
/// One operand or result in a tile: of each polynomial two runs.
type Operand = [[[Row; VECTORS]; 2]; 2];

/// `(mirrored, width)` is the tiling.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512bw,avx512vbmi")]
pub(super) fn dot(
    m: &Modulus,
    tiling: (bool, usize),
    terms: &[(u32, u32)],
    plains: &[u8],
    operands: &[u64],
    out: &mut [u64],
) {
    // Words of up to six bytes are of narrow primes, and only wide primes need eight.
    match (tiling, m.is_narrow()) {
        ((true, 4), _) => mirrored::<32, false>(m, terms, plains, operands, out),
        ((true, 5), _) => mirrored::<40, false>(m, terms, plains, operands, out),
        ((true, 6), _) => mirrored::<48, false>(m, terms, plains, operands, out),
        ((true, 7), true) => mirrored::<56, false>(m, terms, plains, operands, out),
        ((true, 7), false) => mirrored::<56, true>(m, terms, plains, operands, out),
        ((true, _), _) => mirrored::<64, true>(m, terms, plains, operands, out),
        ((false, 4), _) => full::<32, false>(m, terms, plains, operands, out),
        ((false, 5), _) => full::<40, false>(m, terms, plains, operands, out),
        ((false, 6), _) => full::<48, false>(m, terms, plains, operands, out),
        ((false, 7), true) => full::<56, false>(m, terms, plains, operands, out),
        ((false, 7), false) => full::<56, true>(m, terms, plains, operands, out),
        ((false, _), _) => full::<64, true>(m, terms, plains, operands, out),
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512bw,avx512vbmi")]
fn mirrored<const BYTES: usize, const WIDE: bool>(
    m: &Modulus,
    terms: &[(u32, u32)],
    plains: &[u8],
    operands: &[u64],
    out: &mut [u64],
) {
    let widen = Widen::<BYTES>::new();
    let reversed = _mm512_set_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    let plains: &[[[u8; BYTES]; VECTORS]] = plains.as_chunks().0.as_chunks().0;
    sums::<WIDE>(m, terms, operands, out, |plain| {
        let near = plains[plain].each_ref().map(|words| widen.load(words));
        let far = [near[1], near[0]].map(|v| _mm512_permutexvar_epi64(reversed, v));
        [near, far]
    });
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512bw,avx512vbmi")]
fn full<const BYTES: usize, const WIDE: bool>(
    m: &Modulus,
    terms: &[(u32, u32)],
    plains: &[u8],
    operands: &[u64],
    out: &mut [u64],
) {
    let widen = Widen::<BYTES>::new();
    let plains: &[[[[u8; BYTES]; VECTORS]; 2]] = plains.as_chunks().0.as_chunks().0.as_chunks().0;
    sums::<WIDE>(m, terms, operands, out, |plain| {
        plains[plain].each_ref().map(|run| run.each_ref().map(|words| widen.load(words)))
    });
}

/// Sums the products; `plain(i)` gives the two runs of diagonal i.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512bw,avx512vbmi")]
#[inline]
fn sums<const WIDE: bool>(
    m: &Modulus,
    terms: &[(u32, u32)],
    operands: &[u64],
    out: &mut [u64],
    plain: impl Fn(usize) -> [[V; VECTORS]; 2],
) {
    let b = Broadcast::<WIDE>::new(m);
    let operands: &[Operand] = rows(operands).as_chunks().0.as_chunks().0.as_chunks().0;
    // By polynomial, run and vector.
    let mut sums = [[[Sum::zero(); VECTORS]; 2]; 2];
    for (i, terms) in terms.chunks(Broadcast::<WIDE>::FOLD).enumerate() {
        if i > 0 {
            sums.as_flattened_mut().as_flattened_mut().iter_mut().for_each(|sum| b.fold(sum));
        }
        for &(place, operand) in terms {
            let plain = plain(place as usize);
            let operand = &operands[operand as usize];
            for c in 0..2 {
                for run in 0..2 {
                    for k in 0..VECTORS {
                        let word = load(&operand[c][run][k]);
                        Broadcast::<WIDE>::multiply_add(&mut sums[c][run][k], plain[run][k], word);
                    }
                }
            }
        }
    }
    let out: &mut [Operand] = rows_mut(out).as_chunks_mut().0.as_chunks_mut().0.as_chunks_mut().0;
    for (out, sums) in
        out.as_flattened_mut().as_flattened_mut().as_flattened_mut().iter_mut().zip(sums.as_flattened().as_flattened())
    {
        store(out, b.reduce(*sums));
    }
}
