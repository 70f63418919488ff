//! Packed words in AVX-512 lanes.

use std::arch::x86_64::{_mm512_maskz_loadu_epi8, _mm512_maskz_permutexvar_epi8};

use super::LANES;
use super::vector::{Row, V, load};

/// Turns eight packed words of `BYTES / 8` bytes into 64-bit lanes.
#[derive(Clone, Copy)]
pub(super) struct Widen<const BYTES: usize> {
    order: V,
    /// Bytes of the lanes that words fill.
    filled: u64,
}

impl<const BYTES: usize> Widen<BYTES> {
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn new() -> Self {
        let width = BYTES / LANES;
        let lane = |lane: usize| std::array::from_fn(|byte| (lane * width + byte % width) as u8);
        let order: Row = std::array::from_fn(|l| u64::from_le_bytes(lane(l)));
        let filled = u64::from_le_bytes([((1u32 << width) - 1) as u8; LANES]);
        Self { order: load(&order), filled }
    }

    #[expect(unsafe_code, reason = "masked load of exactly the words' bytes")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    #[inline]
    pub(super) fn load(self, words: &[u8; BYTES]) -> V {
        // SAFETY: the reference covers `BYTES` readable bytes, the mask lets no byte behind them be read, and the
        // instruction needs no alignment.
        let packed = unsafe { _mm512_maskz_loadu_epi8(u64::MAX >> (64 - BYTES), words.as_ptr().cast()) };
        if BYTES == 64 { packed } else { _mm512_maskz_permutexvar_epi8(self.filled, self.order, packed) }
    }
}
