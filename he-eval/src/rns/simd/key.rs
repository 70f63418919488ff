//! Products of digits with key-switching keys, the loop that rotations spend their time in.
//!
//! A key is far larger than the caches and each of its words meets few digits, so it is packed like encoded diagonals (see
//! `packed`) and lies in the order it is read: block by block of [`KEY_BLOCK`] words, in each block the pairs (b, a) of the
//! digits. One call handles some blocks only, so that several polynomials can meet a part of the key while it is in cache.

use std::ops::Range;

use crate::rns::modulus::{LAZY_PRODUCTS, Modulus};

use super::packed::{pack, unpack, word_bytes};
use super::{KEY_BLOCK, Simd};

/// How the pairs of one limb of a key are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyLayout {
    width: usize,
    pairs: usize,
}

impl KeyLayout {
    /// Pairs of residues modulo `prime`, one for each digit.
    pub(crate) const fn new(prime: u64, digits: usize) -> Self {
        Self { width: word_bytes(prime), pairs: digits }
    }

    /// Bytes of the limb for ring degree n.
    pub(crate) const fn bytes(self, n: usize) -> usize {
        2 * self.pairs * n * self.width
    }

    /// Bytes of one polynomial's part of a block.
    const fn run(self) -> usize {
        KEY_BLOCK * self.width
    }

    /// Where the parts of a digit's polynomial stand: b for `half` 0, a for 1.
    fn places(self, digit: usize, half: usize) -> impl Iterator<Item = Range<usize>> {
        (0..).map(move |block| {
            let start = ((block * self.pairs + digit) * 2 + half) * self.run();
            start..start + self.run()
        })
    }

    /// Packs a polynomial to its place.
    pub(crate) fn store(self, poly: &[u64], digit: usize, half: usize, limb: &mut [u8]) {
        for (part, place) in poly.chunks_exact(KEY_BLOCK).zip(self.places(digit, half)) {
            pack(part, self.width, &mut limb[place]);
        }
    }

    /// Undoes [`Self::store`].
    pub(crate) fn load(self, limb: &[u8], digit: usize, half: usize, out: &mut [u64]) {
        for (out, place) in out.chunks_exact_mut(KEY_BLOCK).zip(self.places(digit, half)) {
            out.iter_mut().zip(unpack(&limb[place], self.width)).for_each(|(out, word)| *out = word);
        }
    }
}

/// One limb of a key.
#[derive(Clone, Copy)]
pub(crate) struct KeyLimb<'a> {
    pub(crate) layout: KeyLayout,
    pub(crate) bytes: &'a [u8],
}

/// out0 <- sum_i d_i b_i and out1 <- sum_i d_i a_i in some blocks. The key may have more pairs than there are digits.
pub(crate) fn key_dot(
    simd: Simd,
    m: &Modulus,
    digits: &[&[u64]],
    key: KeyLimb<'_>,
    blocks: Range<usize>,
    out: [&mut [u64]; 2],
) {
    match simd.0 {
        #[cfg(target_arch = "x86_64")]
        super::Level::Avx2 => portable(m, digits, key, blocks, out),
        super::Level::Portable => portable(m, digits, key, blocks, out),
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "the CPU features were detected when `simd` was made")]
        super::Level::Ifma => {
            let KeyLayout { width, pairs } = key.layout;
            // SAFETY: `Level::Ifma` exists only after `Simd::available` found the features this function needs.
            unsafe { super::ifma_key::key_dot(m, digits, (key.bytes, width, pairs), blocks, out) }
        }
    }
}

/// The portable twin.
fn portable(m: &Modulus, digits: &[&[u64]], key: KeyLimb<'_>, blocks: Range<usize>, [out0, out1]: [&mut [u64]; 2]) {
    let KeyLayout { width, pairs } = key.layout;
    let run = key.layout.run();
    for block in blocks {
        let key = &key.bytes[block * pairs * 2 * run..];
        let at = block * KEY_BLOCK..(block + 1) * KEY_BLOCK;
        let mut sums = [[0u128; 2]; KEY_BLOCK];
        for (i, (digit, pair)) in digits.iter().zip(key.chunks_exact(2 * run)).enumerate() {
            if i > 0 && i % LAZY_PRODUCTS == 0 {
                sums.as_flattened_mut().iter_mut().for_each(|sum| *sum = m.reduce_wide(*sum).into());
            }
            let (b, a) = pair.split_at(run);
            let words = unpack(b, width).zip(unpack(a, width));
            for ((sum, &d), (b, a)) in sums.iter_mut().zip(&digit[at.clone()]).zip(words) {
                sum[0] += u128::from(d) * u128::from(b);
                sum[1] += u128::from(d) * u128::from(a);
            }
        }
        for ((out0, out1), sum) in out0[at.clone()].iter_mut().zip(&mut out1[at]).zip(sums) {
            (*out0, *out1) = (m.reduce_wide(sum[0]), m.reduce_wide(sum[1]));
        }
    }
}
