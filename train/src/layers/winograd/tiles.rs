//! Between canvases, tiles and kernels: the transforms applied to whole lots.
#![expect(clippy::inline_always, reason = "the loops must be compiled with the instructions that dispatch enables")]

use pulp::{Simd, WithSimd};

use super::{
    product::Matrices,
    transform::{self, Kernel, Outputs, TILE, Taps, WINDOW, Window, square},
};
use crate::layers::canvas::BLOCK;

/// Tiles of some images on a canvas.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lot<'a> {
    /// Position of the first pixel of each tile's window.
    pub(super) origins: &'a [usize],
    /// Distance between the rows of an image.
    pub(super) width: usize,
    /// Distance between blocks of channels.
    pub(super) block: usize,
}

impl Lot<'_> {
    /// For every tile and vector of channels, the offset of its window on the canvas and its offset in the matrices.
    fn places(self, matrices: Matrices, lanes: usize) -> impl Iterator<Item = (usize, usize)> {
        let blocks = move || (0..matrices.cols).step_by(lanes).map(|c| (c / BLOCK, c));
        let places = move |(t, origin): (usize, usize)| {
            blocks().map(move |(b, c)| (b * self.block + origin * BLOCK + c % BLOCK, t * matrices.pitch + c))
        };
        self.origins.iter().copied().enumerate().flat_map(places)
    }
}

#[inline(always)]
fn load<S: Simd>(values: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&values[at..at + S::F32_LANES]).0[0]
}

#[inline(always)]
fn store<S: Simd>(values: &mut [f32], at: usize, vector: S::f32s) {
    S::as_mut_simd_f32s(&mut values[at..at + S::F32_LANES]).0[0] = vector;
}

/// Loads a square whose rows and columns are so far apart.
#[inline(always)]
fn load_square<S: Simd, const N: usize>(
    simd: S,
    values: &[f32],
    at: usize,
    row: usize,
    col: usize,
) -> [[S::f32s; N]; N] {
    let mut square = [[simd.splat_f32s(0.0); N]; N];
    for y in 0..N {
        for x in 0..N {
            square[y][x] = load::<S>(values, at + y * row + x * col);
        }
    }
    square
}

#[inline(always)]
fn store_square<S: Simd, const N: usize>(
    values: &mut [f32],
    at: usize,
    (row, col): (usize, usize),
    square: [[S::f32s; N]; N],
) {
    for y in 0..N {
        for x in 0..N {
            store::<S>(values, at + y * row + x * col, square[y][x]);
        }
    }
}

/// `B' d B` of all windows.
pub(super) struct ToTiles<'a> {
    pub(super) lot: Lot<'a>,
    pub(super) canvas: &'a [f32],
    pub(super) parts: &'a mut [f32],
    pub(super) matrices: Matrices,
}

impl WithSimd for ToTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { lot, canvas, parts, matrices } = self;
        let (row, stride) = (lot.width * BLOCK, matrices.stride());
        for (from, to) in lot.places(matrices, S::F32_LANES) {
            let window = load_square::<S, WINDOW>(simd, canvas, from, row, BLOCK);
            store_square::<S, WINDOW>(parts, to, (WINDOW * stride, stride), square::<S, Window, _, _>(simd, window));
        }
    }
}

/// `A g A'` of all tiles.
pub(super) struct Spread<'a> {
    pub(super) lot: Lot<'a>,
    pub(super) canvas: &'a [f32],
    pub(super) parts: &'a mut [f32],
    pub(super) matrices: Matrices,
}

impl WithSimd for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { lot, canvas, parts, matrices } = self;
        let (row, stride) = (lot.width * BLOCK, matrices.stride());
        for (from, to) in lot.places(matrices, S::F32_LANES) {
            let tile = load_square::<S, TILE>(simd, canvas, from + row + BLOCK, row, BLOCK);
            let parts_of_tile = square::<S, transform::Spread, _, _>(simd, tile);
            store_square::<S, WINDOW>(parts, to, (WINDOW * stride, stride), parts_of_tile);
        }
    }
}

/// `A' m A` of all tiles.
pub(super) struct FromTiles<'a> {
    pub(super) lot: Lot<'a>,
    pub(super) parts: &'a [f32],
    pub(super) matrices: Matrices,
    pub(super) canvas: &'a mut [f32],
}

impl WithSimd for FromTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { lot, canvas, parts, matrices } = self;
        let (row, stride) = (lot.width * BLOCK, matrices.stride());
        for (to, from) in lot.places(matrices, S::F32_LANES) {
            let parts_of_tile = load_square::<S, WINDOW>(simd, parts, from, WINDOW * stride, stride);
            let tile = square::<S, Outputs, _, _>(simd, parts_of_tile);
            store_square::<S, TILE>(canvas, to + row + BLOCK, (row, BLOCK), tile);
        }
    }
}

/// `G w G'` of the kernels between one input channel and all outputs, `cols` of them. `taps` holds the nine taps and
/// `parts` receives the elements, each for all outputs.
pub(super) struct ToKernels<'a> {
    pub(super) taps: &'a [f32],
    pub(super) parts: &'a mut [f32],
    pub(super) cols: usize,
}

impl WithSimd for ToKernels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { taps, parts, cols } = self;
        for at in (0..cols).step_by(S::F32_LANES) {
            let kernel = load_square::<S, 3>(simd, taps, at, 3 * cols, cols);
            let kernel = square::<S, Kernel, _, _>(simd, kernel);
            store_square::<S, WINDOW>(parts, at, (WINDOW * cols, cols), kernel);
        }
    }
}

/// `G' s G` of the sums between one input channel and all outputs, added up over `sums` first.
pub(super) struct FromKernels<'a> {
    pub(super) sums: &'a [&'a [f32]],
    pub(super) taps: &'a mut [f32],
    pub(super) matrices: Matrices,
    /// Row of the matrices.
    pub(super) row: usize,
}

impl WithSimd for FromKernels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { sums, taps, matrices, row } = self;
        let stride = matrices.stride();
        for at in (0..matrices.cols).step_by(S::F32_LANES) {
            let mut total = [[simd.splat_f32s(0.0); WINDOW]; WINDOW];
            for sums in sums {
                let part = load_square::<S, WINDOW>(simd, sums, row * matrices.pitch + at, WINDOW * stride, stride);
                for y in 0..WINDOW {
                    for x in 0..WINDOW {
                        total[y][x] = simd.add_f32s(total[y][x], part[y][x]);
                    }
                }
            }
            store_square::<S, 3>(taps, at, (3 * matrices.cols, matrices.cols), square::<S, Taps, _, _>(simd, total));
        }
    }
}
