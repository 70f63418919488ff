//! Fully connected layers.
#![expect(clippy::inline_always, reason = "the loops must be compiled with the instructions that dispatch enables")]

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::buffers;

const LANES: usize = 16;
/// Images that share one pass over the weights.
const IMAGES: usize = 4;

/// `y[i][o] = sum over f of x[i][f] weight[o][f]`.
pub(crate) fn forward(x: &[f32], weight: &[f32], features: usize) -> Vec<f32> {
    let (batch, outputs) = (x.len() / features, weight.len() / features);
    let mut y = buffers::take(batch * outputs);
    let jobs = y.par_chunks_mut(IMAGES * outputs).zip(x.par_chunks(IMAGES * features));
    jobs.for_each(|(y, x)| Arch::new().dispatch(Products { y, x, weight, features }));
    y
}

/// `dx[i] = sum over o of grad[i][o] weight[o]`.
pub(crate) fn input_grad(grad: &[f32], weight: &[f32], features: usize) -> Vec<f32> {
    let outputs = weight.len() / features;
    let mut dx = buffers::take(grad.len() / outputs * features);
    let jobs = dx.par_chunks_mut(IMAGES * features).zip(grad.par_chunks(IMAGES * outputs));
    jobs.for_each(|(dx, grad)| {
        Arch::new().dispatch(Combine { sums: dx, width: features, rows: weight, factors: grad, strides: (1, outputs) });
    });
    dx
}

/// `dw[o] = sum over i of grad[i][o] x[i]`.
pub(crate) fn weight_grad(x: &[f32], grad: &[f32], features: usize) -> Vec<f32> {
    let outputs = grad.len() * features / x.len();
    let mut dw = vec![0.0; outputs * features];
    dw.par_chunks_mut(features).enumerate().for_each(|(o, dw)| {
        let factors = &grad[o..];
        Arch::new().dispatch(Combine { sums: dw, width: features, rows: x, factors, strides: (outputs, 0) });
    });
    dw
}

struct Products<'a> {
    y: &'a mut [f32],
    x: &'a [f32],
    weight: &'a [f32],
    features: usize,
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let outputs = self.weight.len() / self.features;
        for (o, row) in self.weight.chunks_exact(self.features).enumerate() {
            for (i, x) in self.x.chunks_exact(self.features).enumerate() {
                self.y[i * outputs + o] = dot(x, row);
            }
        }
    }
}

/// `sums[i] = sum over r of factors[r * strides.0 + i * strides.1] rows[r]` for all `i`.
struct Combine<'a> {
    sums: &'a mut [f32],
    width: usize,
    rows: &'a [f32],
    factors: &'a [f32],
    strides: (usize, usize),
}

impl WithSimd for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.sums.fill(0.0);
        for (r, row) in self.rows.chunks_exact(self.width).enumerate() {
            for (i, sums) in self.sums.chunks_exact_mut(self.width).enumerate() {
                let factor = self.factors[r * self.strides.0 + i * self.strides.1];
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum = factor.mul_add(*value, *sum);
                }
            }
        }
    }
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    let mut total = sums.iter().sum();
    for (a, b) in a_rest.iter().zip(b_rest) {
        total += a * b;
    }
    total
}
