//! The two inner loops of a convolution, over flat planes.
//!
//! [`Sweep`] computes whole destination planes as sums of weighted, shifted source planes; [`Correlate`] computes the
//! inner products of planes that are the weight gradient. Vectors run along the planes, so neither cares about image
//! borders: the zeros between rows (see `flat`) do.
#![expect(
    clippy::inline_always,
    reason = "SIMD functions must be inlined into the caller that enabled the instructions"
)]

use pulp::{Simd, WithSimd};

/// Planes are padded to a multiple of this many values, the widest vector there is.
pub(super) const LANES: usize = 16;
/// Values of a plane handled for all destinations before moving on, so that the source rows stay in the L1 cache.
const TILE: usize = 8 * LANES;
/// Most destinations per block.
pub(super) const MAX_DESTS: usize = 8;
/// Most output channels per block of a weight gradient.
pub(super) const MAX_OUTS: usize = 4;
/// Most sources per block of a weight gradient.
pub(super) const MAX_SOURCES: usize = 6;

/// Destination planes that share their sources.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// Destination planes; 1, 2, 4 or 8 of them.
    pub(super) dests: Vec<usize>,
    /// Where each source plane, shifted by its tap, starts in the source buffer.
    pub(super) sources: Vec<usize>,
    /// Index into the weight tensor for each source and destination, destinations innermost.
    pub(super) weights: Vec<usize>,
}

/// Splits `count` into block sizes 8, 4, 2, 1 (at most `max`), in order.
pub(super) fn blocks(count: usize, max: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let left = count - start;
        let size = [8, 4, 2, 1].into_iter().find(|&b| b <= left && b <= max)?;
        start += size;
        Some((start - size, size))
    })
}

/// `dst[d][p] = sum over sources s of weight[s][d] * src[s + p]` for every task.
pub(super) struct Sweep<'a> {
    pub(super) tasks: &'a [Task],
    /// Weights gathered in the tasks' order.
    pub(super) packed: &'a [f32],
    pub(super) src: &'a [f32],
    pub(super) dst: &'a mut [f32],
    /// Distance between destination planes.
    pub(super) plane: usize,
    /// Values to compute per plane; a multiple of [`LANES`].
    pub(super) len: usize,
}

impl WithSimd for Sweep<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Sweep { tasks, packed, src, dst, plane, len } = self;
        for start in (0..len).step_by(TILE) {
            let end = (start + TILE).min(len);
            let mut used = 0;
            for task in tasks {
                let weights = &packed[used..used + task.weights.len()];
                used += task.weights.len();
                let mut job = Job { task, weights, src, dst: &mut *dst, plane, at: start, end };
                // Blocks of accumulators that fit the 32 registers of 16 lanes, or the 16 of 8 lanes.
                let wide = S::F32_LANES >= LANES;
                match task.dests.len() {
                    8 if wide => job.run::<S, 8, 2>(simd),
                    8 => {}
                    4 if wide => job.run::<S, 4, 4>(simd),
                    4 => job.run::<S, 4, 2>(simd),
                    2 if wide => job.run::<S, 2, 8>(simd),
                    2 => job.run::<S, 2, 4>(simd),
                    _ => job.run::<S, 1, 8>(simd),
                }
                match task.dests.len() {
                    8 => job.run::<S, 8, 1>(simd),
                    4 => {
                        job.run::<S, 4, 2>(simd);
                        job.run::<S, 4, 1>(simd);
                    }
                    2 => {
                        job.run::<S, 2, 4>(simd);
                        job.run::<S, 2, 1>(simd);
                    }
                    _ => {
                        job.run::<S, 1, 4>(simd);
                        job.run::<S, 1, 1>(simd);
                    }
                }
            }
        }
    }
}

struct Job<'a> {
    task: &'a Task,
    weights: &'a [f32],
    src: &'a [f32],
    dst: &'a mut [f32],
    plane: usize,
    at: usize,
    end: usize,
}

impl Job<'_> {
    /// Blocks of `D` destinations by `X` vectors until fewer than `X` vectors are left.
    #[inline(always)]
    fn run<S: Simd, const D: usize, const X: usize>(&mut self, simd: S) {
        while self.at + X * S::F32_LANES <= self.end {
            let acc = block::<S, D, X>(simd, &self.task.sources, self.weights, self.src, self.at);
            for d in 0..D {
                let start = self.task.dests[d] * self.plane + self.at;
                let (out, _) = S::as_mut_simd_f32s(&mut self.dst[start..start + X * S::F32_LANES]);
                out.copy_from_slice(&acc[d]);
            }
            self.at += X * S::F32_LANES;
        }
    }
}

#[inline(always)]
fn load<S: Simd, const X: usize>(simd: S, src: &[f32], at: usize) -> [S::f32s; X] {
    let (vectors, _) = S::as_simd_f32s(&src[at..at + X * S::F32_LANES]);
    let mut out = [simd.splat_f32s(0.0); X];
    out.copy_from_slice(vectors);
    out
}

#[inline(always)]
fn block<S: Simd, const D: usize, const X: usize>(
    simd: S,
    sources: &[usize],
    weights: &[f32],
    src: &[f32],
    at: usize,
) -> [[S::f32s; X]; D] {
    let mut acc = [[simd.splat_f32s(0.0); X]; D];
    for (&source, weights) in sources.iter().zip(weights.as_chunks::<D>().0) {
        let values = load::<S, X>(simd, src, source + at);
        for d in 0..D {
            let weight = simd.splat_f32s(weights[d]);
            for x in 0..X {
                acc[d][x] = simd.mul_add_f32s(weight, values[x], acc[d][x]);
            }
        }
    }
    acc
}

/// Output planes and source planes whose inner products are weight gradients.
#[derive(Clone, Debug)]
pub(super) struct GradTask {
    /// Where each output gradient plane starts; 1, 2 or 4 of them.
    pub(super) outs: Vec<usize>,
    /// Where each source plane, shifted by its tap, starts; 1 to [`MAX_SOURCES`].
    pub(super) sources: Vec<usize>,
    /// Index of the first source's weight for each output; the other sources follow it.
    pub(super) weights: Vec<usize>,
}

/// `dw[o][s] += sum over p of grad[o + p] * src[s + p]` for every task.
pub(super) struct Correlate<'a> {
    pub(super) tasks: &'a [GradTask],
    pub(super) grad: &'a [f32],
    pub(super) src: &'a [f32],
    pub(super) dw: &'a mut [f32],
    /// Values per plane; a multiple of [`LANES`].
    pub(super) len: usize,
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Correlate { tasks, grad, src, dw, len } = self;
        for task in tasks {
            let mut job = GradJob { task, grad, src, dw: &mut *dw, len };
            match task.outs.len() {
                4 => job.outs::<S, 4>(simd),
                2 => job.outs::<S, 2>(simd),
                _ => job.outs::<S, 1>(simd),
            }
        }
    }
}

struct GradJob<'a> {
    task: &'a GradTask,
    grad: &'a [f32],
    src: &'a [f32],
    dw: &'a mut [f32],
    len: usize,
}

impl GradJob<'_> {
    #[inline(always)]
    fn outs<S: Simd, const O: usize>(&mut self, simd: S) {
        match self.task.sources.len() {
            6 => self.run::<S, O, 6>(simd),
            5 => self.run::<S, O, 5>(simd),
            4 => self.run::<S, O, 4>(simd),
            3 => self.run::<S, O, 3>(simd),
            2 => self.run::<S, O, 2>(simd),
            _ => self.run::<S, O, 1>(simd),
        }
    }

    #[inline(always)]
    fn run<S: Simd, const O: usize, const K: usize>(&mut self, simd: S) {
        let mut acc = [[simd.splat_f32s(0.0); K]; O];
        // One slice per plane: its single bounds check keeps the loop free of others.
        let mut grads: [&[S::f32s]; O] = [&[]; O];
        for o in 0..O {
            grads[o] = S::as_simd_f32s(&self.grad[self.task.outs[o]..][..self.len]).0;
        }
        let mut sources: [&[S::f32s]; K] = [&[]; K];
        for k in 0..K {
            sources[k] = S::as_simd_f32s(&self.src[self.task.sources[k]..][..self.len]).0;
        }
        for p in 0..self.len / S::F32_LANES {
            let mut values = [simd.splat_f32s(0.0); K];
            for k in 0..K {
                values[k] = sources[k][p];
            }
            for o in 0..O {
                let g = grads[o][p];
                for k in 0..K {
                    acc[o][k] = simd.mul_add_f32s(g, values[k], acc[o][k]);
                }
            }
        }
        for o in 0..O {
            for k in 0..K {
                self.dw[self.task.weights[o] + k] += simd.reduce_sum_f32s(acc[o][k]);
            }
        }
    }
}
