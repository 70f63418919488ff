//! Batch normalisation, fused with the activation that follows it.
//!
//! `u = gamma (x - mean) / sqrt(var + eps) + beta` is `k x + d` per channel, so the forward pass is a [`Curve`]. With
//! `xhat = (x - mean) / sqrt(var + eps)` the backward pass is `dx = k (du - mean(du) - xhat mean(du xhat))`.
#![expect(clippy::inline_always, reason = "the loops must be compiled with the instructions that dispatch enables")]

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::elementwise::{Curve, Dims, IMAGES};

/// Added to the variance.
pub(crate) const EPSILON: f32 = 1e-5;
const LANES: usize = 16;

/// Mean and (biased) variance per channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    pub(crate) mean: Vec<f32>,
    pub(crate) var: Vec<f32>,
}

impl Moments {
    /// Of a batch. Sums run over differences from one value of the channel, which keeps a large mean from swallowing the
    /// variance.
    pub(crate) fn of(x: &[f32], dims: Dims) -> Self {
        let shift: Vec<f32> = x.chunks(dims.pixels).take(dims.channels).map(|map| map[0]).collect();
        let jobs = x.par_chunks(IMAGES * dims.image());
        let partials: Vec<Vec<[f64; 2]>> =
            jobs.map(|x| Arch::new().dispatch(Sums { x, dims, shift: &shift })).collect();
        let n = (x.len() / dims.channels) as f64;
        let moments = (0..dims.channels).map(|c| {
            let sum = |i: usize| partials.iter().map(|p| p[c][i]).sum::<f64>() / n;
            let (mean, square) = (sum(0), sum(1));
            ((mean + f64::from(shift[c])) as f32, (square - mean * mean).max(0.0) as f32)
        });
        let (mean, var) = moments.unzip();
        Self { mean, var }
    }

    /// `1 / sqrt(var + eps)` of a channel.
    pub(crate) fn inverse_std(&self, c: usize) -> f32 {
        1.0 / (self.var[c] + EPSILON).sqrt()
    }

    /// The curve of batch norm and activation of a channel.
    pub(crate) fn curve(&self, c: usize, gamma: f32, beta: f32, abc: [f32; 3]) -> Curve {
        let k = gamma * self.inverse_std(c);
        Curve { k, d: beta - self.mean[c] * k, centre: self.mean[c], abc }
    }
}

/// Sums and sums of squares of the differences from `shift`, per channel.
struct Sums<'a> {
    x: &'a [f32],
    dims: Dims,
    shift: &'a [f32],
}

impl WithSimd for Sums<'_> {
    type Output = Vec<[f64; 2]>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<[f64; 2]> {
        let channels = self.dims.channels;
        let mut sums = vec![[0.0; 2]; channels];
        for (i, map) in self.x.chunks_exact(self.dims.pixels).enumerate() {
            let (sum, square) = map_sums(map, self.shift[i % channels]);
            sums[i % channels][0] += f64::from(sum);
            sums[i % channels][1] += f64::from(square);
        }
        sums
    }
}

#[inline(always)]
fn map_sums(map: &[f32], shift: f32) -> (f32, f32) {
    let (mut sums, mut squares) = ([0f32; LANES], [0f32; LANES]);
    let (chunks, rest) = map.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            let d = chunk[lane] - shift;
            sums[lane] += d;
            squares[lane] = d.mul_add(d, squares[lane]);
        }
    }
    for (lane, x) in rest.iter().enumerate() {
        let d = x - shift;
        sums[lane] += d;
        squares[lane] += d * d;
    }
    (sums.iter().sum(), squares.iter().sum())
}
