//! Average pooling without padding.

use rayon::prelude::*;

use super::buffers;

/// Maps per job.
const MAPS: usize = 32;

/// Geometry of a pooling layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool {
    pub(crate) size: usize,
    pub(crate) stride: usize,
    /// Height and width of the input.
    pub(crate) input: (usize, usize),
    /// Height and width of the output.
    pub(crate) output: (usize, usize),
}

impl Pool {
    fn pixels(self) -> (usize, usize) {
        (self.input.0 * self.input.1, self.output.0 * self.output.1)
    }

    /// Averages every map.
    pub(crate) fn forward(self, x: &[f32]) -> Vec<f32> {
        let (from, to) = self.pixels();
        let mut y = buffers::take(x.len() / from * to);
        let factor = 1.0 / (self.size * self.size) as f32;
        y.par_chunks_mut(MAPS * to).zip(x.par_chunks(MAPS * from)).for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(to).zip(x.chunks_exact(from)) {
                if self.halves() {
                    self.halve(x, y);
                    continue;
                }
                self.windows(|out, start| {
                    let row = |i: usize| x[start + i * self.input.1..][..self.size].iter().sum::<f32>();
                    y[out] = factor * (0..self.size).map(row).sum::<f32>();
                });
            }
        });
        y
    }

    /// Spreads the gradient of every output pixel over its window.
    pub(crate) fn backward(self, grad: &[f32]) -> Vec<f32> {
        let (from, to) = self.pixels();
        let mut dx = buffers::take(grad.len() / to * from);
        let factor = 1.0 / (self.size * self.size) as f32;
        dx.par_chunks_mut(MAPS * from).zip(grad.par_chunks(MAPS * to)).for_each(|(dx, grad)| {
            dx.fill(0.0);
            for (dx, grad) in dx.chunks_exact_mut(from).zip(grad.chunks_exact(to)) {
                if self.halves() {
                    self.double(grad, dx);
                    continue;
                }
                self.windows(|out, start| {
                    for i in 0..self.size {
                        for d in &mut dx[start + i * self.input.1..][..self.size] {
                            *d += factor * grad[out];
                        }
                    }
                });
            }
        });
        dx
    }

    /// Whether this is the usual pooling, 2 x 2 windows side by side, whose loops become vectors.
    fn halves(self) -> bool {
        (self.size, self.stride) == (2, 2)
    }

    fn halve(self, x: &[f32], y: &mut [f32]) {
        let ((_, width), (_, out)) = (self.input, self.output);
        for (y, rows) in y.chunks_exact_mut(out).zip(x.chunks_exact(2 * width)) {
            let (upper, lower) = rows.split_at(width);
            for ((y, a), b) in y.iter_mut().zip(upper.as_chunks::<2>().0).zip(lower.as_chunks::<2>().0) {
                *y = 0.25 * ((a[0] + a[1]) + (b[0] + b[1]));
            }
        }
    }

    /// Pixels beyond the last whole window are left as they are.
    fn double(self, grad: &[f32], dx: &mut [f32]) {
        let ((_, width), (_, out)) = (self.input, self.output);
        for (grad, rows) in grad.chunks_exact(out).zip(dx.chunks_exact_mut(2 * width)) {
            let (upper, lower) = rows.split_at_mut(width);
            for ((g, a), b) in grad.iter().zip(upper.as_chunks_mut::<2>().0).zip(lower.as_chunks_mut::<2>().0) {
                (*a, *b) = ([0.25 * g; 2], [0.25 * g; 2]);
            }
        }
    }

    /// Calls `f` with the index of every output pixel and that of the first input pixel of its window.
    fn windows(self, mut f: impl FnMut(usize, usize)) {
        for y in 0..self.output.0 {
            for x in 0..self.output.1 {
                f(y * self.output.1 + x, (y * self.input.1 + x) * self.stride);
            }
        }
    }
}
