//! Dot products of operands and encoded diagonals, tile by tile: the loop that ExRot-free networks spend their time in.
//!
//! A diagonal is read once per image from memory, so its words are packed: each takes only the whole bytes its prime
//! needs, and they are widened in registers. Operands are few and stay in cache as 64-bit words.
//!
//! - **Mirrored** (standard ring): the transform of a real vector holds word j at position j and again at n-1-j (see
//!   `ntt`), so half of it is stored and each stored word multiplies both positions.
//! - **Full** (conjugate-invariant ring): all words differ and all are stored.
//!
//! Either way a tile of operands is [`OPERAND_TILE`] words, two polynomials of two runs of [`RUN`] words; the runs stand at
//! the tile's own place and at the mirrored one, or one after the other.

use crate::rns::modulus::Modulus;

use super::packed::{pack, word_bytes};
use super::portable::sum_of_products;
use super::{LANES, Simd};

/// Words of a run: two vectors, so that the sums of four runs and their high halves fill half of the registers.
pub(super) const RUN: usize = 2 * LANES;
/// Words of one operand in a tile.
pub(crate) const OPERAND_TILE: usize = 4 * RUN;

/// How the diagonals of one limb are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    mirrored: bool,
    width: usize,
}

impl Tiling {
    /// Diagonals modulo `prime`.
    pub(crate) const fn new(mirrored: bool, prime: u64) -> Self {
        Self { mirrored, width: word_bytes(prime) }
    }

    /// Words of one diagonal in a tile.
    pub(crate) const fn words(self) -> usize {
        if self.mirrored { RUN } else { 2 * RUN }
    }

    /// Bytes of one diagonal in a tile.
    pub(crate) const fn bytes(self) -> usize {
        self.words() * self.width
    }

    /// Tiles of a polynomial of ring degree n.
    pub(crate) const fn count(n: usize) -> usize {
        n / (2 * RUN)
    }

    /// The words of tile `tile` of a transformed diagonal, packed.
    pub(crate) fn pack(self, values: &[u64], tile: usize, out: &mut [u8]) {
        let words = &values[tile * self.words()..][..self.words()];
        pack(words, self.width, out);
    }

    /// Copies polynomial x to its place in a buffer that holds, tile after tile, operand after operand, of each both
    /// polynomials. `place` is 2 * operand + polynomial.
    pub(crate) fn spread(self, x: &[u64], place: usize, operands: usize, buffer: &mut [u64]) {
        let (first, second) = x.split_at(if self.mirrored { x.len() / 2 } else { 0 });
        for (tile, out) in buffer.chunks_exact_mut(operands * OPERAND_TILE).enumerate() {
            let own = &mut out[place * 2 * RUN..][..2 * RUN];
            if self.mirrored {
                own[..RUN].copy_from_slice(&first[tile * RUN..][..RUN]);
                own[RUN..].copy_from_slice(&second[second.len() - (tile + 1) * RUN..][..RUN]);
            } else {
                own.copy_from_slice(&second[tile * 2 * RUN..][..2 * RUN]);
            }
        }
    }

    /// Undoes [`Self::spread`].
    pub(crate) fn gather(self, buffer: &[u64], place: usize, operands: usize, x: &mut [u64]) {
        let half = if self.mirrored { x.len() / 2 } else { 0 };
        let (first, second) = x.split_at_mut(half);
        for (tile, from) in buffer.chunks_exact(operands * OPERAND_TILE).enumerate() {
            let own = &from[place * 2 * RUN..][..2 * RUN];
            if self.mirrored {
                let end = second.len() - tile * RUN;
                first[tile * RUN..][..RUN].copy_from_slice(&own[..RUN]);
                second[end - RUN..end].copy_from_slice(&own[RUN..]);
            } else {
                second[tile * 2 * RUN..][..2 * RUN].copy_from_slice(own);
            }
        }
    }
}

/// One tile of a dot product, reduced. `terms` are (place in `plains`, place in `operands`), both of this tile; the result is
/// laid out as one operand.
pub(crate) fn dot(
    simd: Simd,
    m: &Modulus,
    tiling: Tiling,
    terms: &[(u32, u32)],
    plains: &[u8],
    operands: &[u64],
    out: &mut [u64],
) {
    match simd.0 {
        // Without the rare bytes-to-lanes shuffles of AVX-512 there is no vector twin.
        #[cfg(target_arch = "x86_64")]
        super::Level::Avx2 => portable(m, tiling, terms, plains, operands, out),
        super::Level::Portable => portable(m, tiling, terms, plains, operands, out),
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "the CPU features were detected when `simd` was made")]
        super::Level::Ifma => {
            // SAFETY: `Level::Ifma` exists only after `Simd::available` found the features this function needs.
            unsafe { super::ifma_dot::dot(m, (tiling.mirrored, tiling.width), terms, plains, operands, out) }
        }
    }
}

/// The portable twin.
fn portable(m: &Modulus, tiling: Tiling, terms: &[(u32, u32)], plains: &[u8], operands: &[u64], out: &mut [u64]) {
    for (at, out) in out.iter_mut().enumerate() {
        let (k, second) = (at % RUN, at / RUN % 2 == 1);
        let j = match (second, tiling.mirrored) {
            (false, _) => k,
            (true, true) => RUN - 1 - k,
            (true, false) => RUN + k,
        };
        let product = |&(plain, operand): &(u32, u32)| {
            let bytes = &plains[plain as usize * tiling.bytes() + j * tiling.width..][..tiling.width];
            let word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
            (word, operands[operand as usize * OPERAND_TILE + at])
        };
        *out = sum_of_products(m, terms.iter().map(product));
    }
}
