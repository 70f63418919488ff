//! AVX-512 twin of the products of digits with keys; see `key` for what is computed and how it is laid out.

use std::ops::Range;

use crate::rns::modulus::Modulus;

use super::ifma_widen::Widen;
use super::sum::{Broadcast, Sum};
use super::vector::{Row, load, rows, rows_mut, store};
use super::{KEY_BLOCK, LANES};

/// Vectors of a block.
const VECTORS: usize = KEY_BLOCK / LANES;

/// `(bytes, width, pairs)` is the key.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512bw,avx512vbmi")]
pub(super) fn key_dot(
    m: &Modulus,
    digits: &[&[u64]],
    (key, width, pairs): (&[u8], usize, usize),
    blocks: Range<usize>,
    out: [&mut [u64]; 2],
) {
    // Words of up to six bytes are of narrow primes, and only wide primes need eight.
    match (width, m.is_narrow()) {
        (4, _) => of_width::<32, false>(m, digits, key, pairs, blocks, out),
        (5, _) => of_width::<40, false>(m, digits, key, pairs, blocks, out),
        (6, _) => of_width::<48, false>(m, digits, key, pairs, blocks, out),
        (7, true) => of_width::<56, false>(m, digits, key, pairs, blocks, out),
        (7, false) => of_width::<56, true>(m, digits, key, pairs, blocks, out),
        _ => of_width::<64, true>(m, digits, key, pairs, blocks, out),
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512bw,avx512vbmi")]
fn of_width<const BYTES: usize, const WIDE: bool>(
    m: &Modulus,
    digits: &[&[u64]],
    key: &[u8],
    pairs: usize,
    blocks: Range<usize>,
    [out0, out1]: [&mut [u64]; 2],
) {
    let (b, widen) = (Broadcast::<WIDE>::new(m), Widen::<BYTES>::new());
    let key: &[[[[u8; BYTES]; VECTORS]; 2]] = key.as_chunks().0.as_chunks().0.as_chunks().0;
    let (out0, out1): (&mut [[Row; VECTORS]], &mut [[Row; VECTORS]]) =
        (rows_mut(out0).as_chunks_mut().0, rows_mut(out1).as_chunks_mut().0);
    for j in blocks {
        let (mut sums0, mut sums1) = ([Sum::zero(); VECTORS], [Sum::zero(); VECTORS]);
        for (i, (digit, [key0, key1])) in digits.iter().zip(&key[j * pairs..]).enumerate() {
            if i > 0 && i % Broadcast::<WIDE>::FOLD == 0 {
                sums0.iter_mut().chain(&mut sums1).for_each(|sum| b.fold(sum));
            }
            let digit: &[Row; VECTORS] = &rows(digit).as_chunks().0[j];
            for k in 0..VECTORS {
                let d = load(&digit[k]);
                Broadcast::<WIDE>::multiply_add(&mut sums0[k], d, widen.load(&key0[k]));
                Broadcast::<WIDE>::multiply_add(&mut sums1[k], d, widen.load(&key1[k]));
            }
        }
        for k in 0..VECTORS {
            store(&mut out0[j][k], b.reduce(sums0[k]));
            store(&mut out1[j][k], b.reduce(sums1[k]));
        }
    }
}
