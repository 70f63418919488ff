//! Winograd's convolution F(4x4, 3x3): 36 products instead of 144 for every sixteen output pixels of a channel pair, in the
//! forward pass, the input gradient and the weight gradient.
//!
//! Every 4 x 4 tile of the output is `A' [(G w G') * (B' d B)] A` (Lavin and Gray, CVPR 2016), where `d` is the 6 x 6 window
//! of the input and `*` is per element; `transform` says what the matrices are. Collected over tiles, each of the 36
//! elements is a matrix product of tiles by channels. The input gradient is the same convolution of the output's gradient
//! with turned kernels; the weight gradient is `G' [(A g A') * (B' d B)] G` summed over tiles.
//!
//! Images go through in lots of tiles whose matrices stay in the caches. Sums differ from the direct ones by rounding only;
//! the tests compare both with the definition in f64.

mod product;
#[cfg(test)]
mod tests;
mod tiles;
mod transform;

use std::cell::RefCell;

use pulp::Arch;
use rayon::prelude::*;
use striae_spaces::{Conv2d, Kernel, KernelMask, Padding, Shape};

use self::{
    product::{Correlate, Matrices, Product},
    tiles::{FromKernels, FromTiles, Lot, Spread, ToKernels, ToTiles},
    transform::{PARTS, TILE},
};
use super::{
    buffers,
    canvas::{BLOCK, Canvas},
    conv::{ConvGrads, Group},
};

/// Values of a lot's matrices, which should stay in the caches.
const LOT_VALUES: usize = 1 << 18;
/// Fewest and most tiles of a lot.
const LOT_TILES: [usize; 2] = [16, 64];
/// Values of all partial weight gradients, and fewest and most of these.
const PARTIAL_VALUES: usize = 1 << 22;
const PARTIALS: [usize; 2] = [4, 8];
/// Rows of kernels that are worth another thread.
const KERNEL_ROWS: usize = 16;
/// Fewest channels on either side of a group for which the transforms pay.
const MIN_CHANNELS: usize = 16;

/// A 3 x 3 convolution planned in tiles.
#[derive(Clone, Debug)]
pub(super) struct Winograd {
    canvas: Canvas,
    /// Positions in a row of the canvas.
    width: usize,
    /// Images of a chunk, which is one or several lots.
    images: usize,
    /// First window position of each tile of a chunk.
    origins: Vec<usize>,
    /// Tiles of an image.
    tiles: usize,
    /// Tiles of a lot.
    lot: usize,
    groups: Vec<Group>,
    /// Values of an image.
    input_len: usize,
    output_len: usize,
}

/// One way through the convolution of a group: the channels read and written, with the kernels between them.
struct Way<'a> {
    from: &'a [usize],
    to: &'a [usize],
    kernels: Vec<f32>,
}

impl<'a> Way<'a> {
    /// From inputs to outputs, or `back` from the output's gradient to the input's.
    fn new(group: &'a Group, weight: &[f32], back: bool) -> Self {
        let inputs = group.inputs.len();
        let (from, to) = if back { (&group.outputs, &group.inputs) } else { (&group.inputs, &group.outputs) };
        let matrices = kernels(from, to);
        let cols = matrices.cols;
        let mut rows = buffers::take(from.len() * PARTS * cols);
        rows.par_chunks_mut(PARTS * cols).with_min_len(KERNEL_ROWS).enumerate().for_each(|(row, parts)| {
            let mut taps = vec![0.0; 9 * cols];
            for col in 0..to.len() {
                let (o, j) = if back { (row, col) } else { (col, row) };
                let kernel = &weight[(group.outputs[o] * inputs + j) * 9..][..9];
                for t in 0..9 {
                    // Half a turn reverses the taps.
                    taps[t * cols + col] = kernel[if back { 8 - t } else { t }];
                }
            }
            Arch::new().dispatch(ToKernels { taps: &taps, parts, cols });
        });
        let mut kernels = buffers::take(matrices.len());
        let parts = kernels.par_chunks_mut(matrices.stride()).enumerate();
        parts.with_min_len(PARTS / 4).for_each(|(part, matrix)| {
            for (to, from) in matrix.chunks_exact_mut(matrices.pitch).zip(rows.chunks_exact(PARTS * cols)) {
                to[..cols].copy_from_slice(&from[part * cols..][..cols]);
            }
        });
        buffers::give(rows);
        Self { from, to, kernels }
    }
}

impl Drop for Way<'_> {
    fn drop(&mut self) {
        buffers::give(std::mem::take(&mut self.kernels));
    }
}

impl Winograd {
    /// None where the direct convolution is the better one.
    pub(super) fn new(conv: &Conv2d, groups: &[Group], input: Shape, output: Shape) -> Option<Self> {
        let (height, width) = input.spatial();
        let (rows, cols) = (height.div_ceil(TILE), width.div_ceil(TILE));
        let square = conv.kernel == Kernel { size: 3, mask: KernelMask::Full };
        let dense = groups.iter().all(|g| g.inputs.len().min(g.outputs.len()) >= MIN_CHANNELS);
        // A quarter of the products, some of them for pixels that are not there.
        let filled = 2 * height * width >= rows * cols * TILE * TILE;
        if !(square && conv.stride == 1 && conv.padding == Padding::Same && dense && filled) {
            return None;
        }
        let size = (TILE * rows + 2, TILE * cols + 2);
        let canvas = Canvas::new((height, width), (1, 1), size);
        let (tiles, group) = (rows * cols, &groups[0]);
        let lot = LOT_VALUES / (PARTS * (group.inputs.len() + group.outputs.len()));
        let lot = (1 << lot.max(1).ilog2()).clamp(LOT_TILES[0], LOT_TILES[1]);
        let images = lot.div_ceil(tiles);
        let origin = |t: usize| t / tiles * canvas.size + TILE * (t % tiles / cols * size.1 + t % cols);
        Some(Self {
            origins: (0..images * tiles).map(origin).collect(),
            width: size.1,
            canvas,
            images,
            tiles,
            lot,
            groups: groups.to_vec(),
            input_len: input.len(),
            output_len: output.len(),
        })
    }

    /// The convolution of the images in `x`.
    pub(super) fn forward(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let ways: Vec<Way> = self.groups.iter().map(|g| Way::new(g, weight, false)).collect();
        let mut y = buffers::take(x.len() / self.input_len * self.output_len);
        let chunks = y.par_chunks_mut(self.images * self.output_len).zip(x.par_chunks(self.images * self.input_len));
        chunks.for_each(|(y, x)| {
            SCRATCH.with_borrow_mut(|scratch| {
                for way in &ways {
                    let [canvas, _, rest @ ..] = scratch;
                    let canvas = self.insert(x, self.input_len, way.from, canvas);
                    self.convolve(way, canvas, y, self.output_len, rest);
                }
            });
        });
        y
    }

    /// The gradients, given the input, the weights and the gradient of the output.
    pub(super) fn backward(&self, x: &[f32], weight: &[f32], grad: &[f32], need_input: bool) -> ConvGrads {
        let ways: Vec<Way> = self.groups.iter().map(|g| Way::new(g, weight, true)).collect();
        let partials = (PARTIAL_VALUES / kernels(&self.groups[0].inputs, &self.groups[0].outputs).len())
            .clamp(PARTIALS[0], PARTIALS[1]);
        let images = (x.len() / self.input_len).div_ceil(self.images).div_ceil(partials) * self.images;
        let (xs, gs) = (images * self.input_len, images * self.output_len);
        let mut input = need_input.then(|| buffers::take(x.len()));
        let dxs: Vec<Option<&mut [f32]>> = match &mut input {
            Some(dx) => dx.chunks_mut(xs).map(Some).collect(),
            None => x.chunks(xs).map(|_| None).collect(),
        };
        let jobs = dxs.into_par_iter().zip(x.par_chunks(xs)).zip(grad.par_chunks(gs));
        let sums: Vec<Vec<Vec<f32>>> = jobs.map(|((dx, x), grad)| self.partial(&ways, x, grad, dx)).collect();
        let weight = self.weight_grad(&sums, weight.len());
        sums.into_iter().flatten().for_each(buffers::give);
        ConvGrads { input, weight }
    }

    /// Transformed weight gradients of some images, by group, and the input's gradient.
    fn partial(&self, ways: &[Way], x: &[f32], grad: &[f32], mut dx: Option<&mut [f32]>) -> Vec<Vec<f32>> {
        let zeros = |g: &Group| {
            let mut sums = buffers::take(kernels(&g.inputs, &g.outputs).len());
            sums.fill(0.0);
            sums
        };
        let mut sums: Vec<Vec<f32>> = self.groups.iter().map(zeros).collect();
        let (xs, gs) = (self.images * self.input_len, self.images * self.output_len);
        for (i, (x, grad)) in x.chunks(xs).zip(grad.chunks(gs)).enumerate() {
            for ((group, way), sums) in self.groups.iter().zip(ways).zip(&mut sums) {
                SCRATCH.with_borrow_mut(|scratch| {
                    let [canvas, grads, rest @ ..] = scratch;
                    let canvas = self.insert(x, self.input_len, &group.inputs, canvas);
                    let grads = self.insert(grad, self.output_len, &group.outputs, grads);
                    self.correlate(group, canvas, grads, x.len() / self.input_len, sums, rest);
                    if let Some(dx) = &mut dx {
                        let dx = &mut dx[i * xs..][..x.len()];
                        self.convolve(way, grads, dx, self.input_len, rest);
                    }
                });
            }
        }
        sums
    }

    /// The gradient of the weights: the partial ones added up and transformed back.
    fn weight_grad(&self, sums: &[Vec<Vec<f32>>], len: usize) -> Vec<f32> {
        let mut weight = vec![0.0; len];
        for (g, group) in self.groups.iter().enumerate() {
            let (matrices, sums) =
                (kernels(&group.inputs, &group.outputs), sums.iter().map(|s| s[g].as_slice()).collect::<Vec<_>>());
            let mut taps = vec![0.0; group.inputs.len() * 9 * matrices.cols];
            taps.par_chunks_mut(9 * matrices.cols).enumerate().for_each(|(row, taps)| {
                Arch::new().dispatch(FromKernels { sums: &sums, taps, matrices, row });
            });
            for (o, &output) in group.outputs.iter().enumerate() {
                let row = &mut weight[output * group.inputs.len() * 9..][..group.inputs.len() * 9];
                row.iter_mut().zip(taps[o..].iter().step_by(matrices.cols)).for_each(|(w, tap)| *w = *tap);
            }
        }
        weight
    }

    /// Values between the blocks of a canvas of a chunk.
    fn block(&self) -> usize {
        self.images * self.canvas.size * BLOCK
    }

    fn insert<'a>(&self, x: &[f32], len: usize, channels: &[usize], buffer: &'a mut Vec<f32>) -> &'a mut [f32] {
        let canvas = buffers::aligned(buffer, channels.len().div_ceil(BLOCK) * self.block());
        for (i, image) in x.chunks_exact(len).enumerate() {
            self.canvas.insert(image, channels, &mut canvas[i * self.canvas.size * BLOCK..], self.block());
        }
        canvas
    }

    fn lots(&self, images: usize) -> impl Iterator<Item = Lot<'_>> {
        let lots = self.origins[..images * self.tiles].chunks(self.lot);
        lots.map(|origins| Lot { origins, width: self.width, block: self.block() })
    }

    /// Writes the channels that `way` leads to, for a chunk on `canvas`.
    fn convolve(&self, way: &Way, canvas: &[f32], y: &mut [f32], len: usize, scratch: &mut [Vec<f32>; 3]) {
        let [out, tiles, sums] = scratch;
        let (from, to) = (Matrices::new(self.lot, way.from.len()), Matrices::new(self.lot, way.to.len()));
        let out = buffers::aligned(out, way.to.len().div_ceil(BLOCK) * self.block());
        let (tiles, sums) = (buffers::aligned(tiles, from.len()), buffers::aligned(sums, to.len()));
        for lot in self.lots(y.len() / len) {
            Arch::new().dispatch(ToTiles { lot, canvas, parts: tiles, matrices: from });
            Arch::new().dispatch(Product {
                tiles,
                kernels: &way.kernels,
                out: sums,
                from,
                kernel: kernels(way.from, way.to),
                to,
                depth: way.from.len(),
                count: lot.origins.len(),
            });
            Arch::new().dispatch(FromTiles { lot, parts: sums, matrices: to, canvas: out });
        }
        for (i, image) in y.chunks_exact_mut(len).enumerate() {
            self.canvas.extract(&out[i * self.canvas.size * BLOCK..], self.block(), way.to, image);
        }
    }

    /// Adds the transformed weight gradient of a chunk.
    fn correlate(
        &self,
        group: &Group,
        canvas: &[f32],
        grads: &[f32],
        images: usize,
        sums: &mut [f32],
        scratch: &mut [Vec<f32>; 3],
    ) {
        let [_, tiles, parts] = scratch;
        let (from, to) = (Matrices::new(self.lot, group.inputs.len()), Matrices::new(self.lot, group.outputs.len()));
        let (tiles, parts) = (buffers::aligned(tiles, from.len()), buffers::aligned(parts, to.len()));
        for lot in self.lots(images) {
            Arch::new().dispatch(ToTiles { lot, canvas, parts: tiles, matrices: from });
            Arch::new().dispatch(Spread { lot, canvas: grads, parts, matrices: to });
            let (kernel, count) = (kernels(&group.inputs, &group.outputs), lot.origins.len());
            Arch::new().dispatch(Correlate { tiles, grads: parts, sums: &mut *sums, from, to, kernel, count });
        }
    }
}

fn kernels(from: &[usize], to: &[usize]) -> Matrices {
    Matrices::new(from.len(), to.len()).spread()
}

thread_local! {
    /// Canvases of inputs, gradients and outputs, transformed tiles and products, kept between calls.
    static SCRATCH: RefCell<[Vec<f32>; 5]> = const { RefCell::new([const { Vec::new() }; 5]) };
}
