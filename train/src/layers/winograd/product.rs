//! Products of the matrices that transformed tiles are: one of tiles by channels per element.
#![expect(clippy::inline_always, reason = "the loops must be compiled with the instructions that dispatch enables")]

use pulp::{Simd, WithSimd};

use super::transform::PARTS;
use crate::layers::canvas::BLOCK;

/// Tiles, or channels, that share the loads of a vector of the other factor.
pub(super) const ROWS: usize = 8;

/// Matrices of one size, one per element of a tile, with rows of whole blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrices {
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Distance between rows.
    pub(super) pitch: usize,
}

impl Matrices {
    /// Space for `rows` of at least `cols` values.
    pub(super) fn new(rows: usize, cols: usize) -> Self {
        let cols = cols.next_multiple_of(BLOCK);
        Self { rows: rows.next_multiple_of(ROWS), cols, pitch: cols }
    }

    /// The same with an odd number of blocks between rows, so that columns spread over all cache sets.
    pub(super) fn spread(self) -> Self {
        Self { pitch: ((self.cols / BLOCK) | 1) * BLOCK, ..self }
    }

    /// Distance between matrices: an odd number of blocks, so that equal places of all elements meet in no cache set.
    pub(super) fn stride(self) -> usize {
        let blocks = self.rows * self.pitch / BLOCK;
        (blocks | 1) * BLOCK
    }

    pub(super) fn len(self) -> usize {
        PARTS * self.stride()
    }
}

/// `out = tiles kernels`, for `depth` channels.
pub(super) struct Product<'a> {
    pub(super) tiles: &'a [f32],
    pub(super) kernels: &'a [f32],
    pub(super) out: &'a mut [f32],
    /// Tiles by input channels.
    pub(super) from: Matrices,
    /// Input by output channels.
    pub(super) kernel: Matrices,
    /// Tiles by output channels.
    pub(super) to: Matrices,
    pub(super) depth: usize,
    /// Tiles that count.
    pub(super) count: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // Accumulators that fit 32 registers of 16 lanes, or 16 of 8 lanes.
        if S::F32_LANES < BLOCK {
            self.run::<S, 4, 2>(simd);
        } else if self.to.cols.is_multiple_of(2 * BLOCK) {
            self.run::<S, ROWS, 2>(simd);
        } else {
            self.run::<S, ROWS, 1>(simd);
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(&mut self, simd: S) {
        let width = V * S::F32_LANES;
        for part in 0..PARTS {
            let tiles = &self.tiles[part * self.from.stride()..][..self.from.rows * self.from.pitch];
            let kernels = &self.kernels[part * self.kernel.stride()..][..self.kernel.rows * self.kernel.pitch];
            let out = &mut self.out[part * self.to.stride()..][..self.to.rows * self.to.pitch];
            for col in (0..self.to.cols).step_by(width) {
                for row in (0..self.count).step_by(R) {
                    let tiles = &tiles[row * self.from.pitch..];
                    let acc =
                        block::<S, R, V>(simd, tiles, self.from.pitch, self.depth, &kernels[col..], self.kernel.pitch);
                    for r in 0..R {
                        let out = &mut out[(row + r) * self.to.pitch + col..][..width];
                        S::as_mut_simd_f32s(out).0.copy_from_slice(&acc[r]);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn block<S: Simd, const R: usize, const V: usize>(
    simd: S,
    tiles: &[f32],
    tile: usize,
    depth: usize,
    kernels: &[f32],
    kernel: usize,
) -> [[S::f32s; V]; R] {
    let mut acc = [[simd.splat_f32s(0.0); V]; R];
    // One slice per row: its single bounds check keeps the loop free of others.
    let mut rows: [&[f32]; R] = [&[]; R];
    for r in 0..R {
        rows[r] = &tiles[r * tile..][..depth];
    }
    for k in 0..depth {
        let mut values = [simd.splat_f32s(0.0); V];
        values.copy_from_slice(S::as_simd_f32s(&kernels[k * kernel..][..V * S::F32_LANES]).0);
        for r in 0..R {
            let factor = simd.splat_f32s(rows[r][k]);
            for v in 0..V {
                acc[r][v] = simd.mul_add_f32s(factor, values[v], acc[r][v]);
            }
        }
    }
    acc
}

/// `sums += tiles' grads`: by input and output channels, the inner products over tiles.
pub(super) struct Correlate<'a> {
    pub(super) tiles: &'a [f32],
    pub(super) grads: &'a [f32],
    pub(super) sums: &'a mut [f32],
    /// Tiles by input channels.
    pub(super) from: Matrices,
    /// Tiles by output channels.
    pub(super) to: Matrices,
    /// Input by output channels.
    pub(super) kernel: Matrices,
    /// Tiles that count.
    pub(super) count: usize,
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if S::F32_LANES < BLOCK {
            self.run::<S, 4, 2>(simd);
        } else if self.to.cols.is_multiple_of(2 * BLOCK) {
            self.run::<S, ROWS, 2>(simd);
        } else {
            self.run::<S, ROWS, 1>(simd);
        }
    }
}

impl Correlate<'_> {
    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(&mut self, simd: S) {
        let width = V * S::F32_LANES;
        for part in 0..PARTS {
            let tiles = &self.tiles[part * self.from.stride()..][..self.count * self.from.pitch];
            let grads = &self.grads[part * self.to.stride()..][..self.count * self.to.pitch];
            let sums = &mut self.sums[part * self.kernel.stride()..][..self.kernel.rows * self.kernel.pitch];
            for row in (0..self.kernel.rows).step_by(R) {
                for col in (0..self.kernel.cols).step_by(width) {
                    let mut acc = [[simd.splat_f32s(0.0); V]; R];
                    for r in 0..R {
                        let sums = &sums[(row + r) * self.kernel.pitch + col..][..width];
                        acc[r].copy_from_slice(S::as_simd_f32s(sums).0);
                    }
                    for (tile, grad) in tiles.chunks_exact(self.from.pitch).zip(grads.chunks_exact(self.to.pitch)) {
                        let mut values = [simd.splat_f32s(0.0); V];
                        values.copy_from_slice(S::as_simd_f32s(&grad[col..][..width]).0);
                        let tile: &[f32] = &tile[row..][..R];
                        for r in 0..R {
                            let factor = simd.splat_f32s(tile[r]);
                            for v in 0..V {
                                acc[r][v] = simd.mul_add_f32s(factor, values[v], acc[r][v]);
                            }
                        }
                    }
                    for r in 0..R {
                        let sums = &mut sums[(row + r) * self.kernel.pitch + col..][..width];
                        S::as_mut_simd_f32s(sums).0.copy_from_slice(&acc[r]);
                    }
                }
            }
        }
    }
}
