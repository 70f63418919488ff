//! Fully connected layers.

use pulp::Arch;
use rayon::prelude::*;

const LANES: usize = 16;
/// Images that share one pass over the weights.
const IMAGES: usize = 4;

/// `y[i][o] = sum over f of x[i][f] weight[o][f]`.
pub(crate) fn forward(x: &[f32], weight: &[f32], features: usize) -> Vec<f32> {
    let (batch, outputs) = (x.len() / features, weight.len() / features);
    let mut y = vec![0.0; batch * outputs];
    y.par_chunks_mut(IMAGES * outputs).zip(x.par_chunks(IMAGES * features)).for_each(|(y, x)| {
        Arch::new().dispatch(|| {
            for (o, row) in weight.chunks_exact(features).enumerate() {
                for (x, y) in x.chunks_exact(features).zip(y.chunks_exact_mut(outputs)) {
                    y[o] = dot(x, row);
                }
            }
        });
    });
    y
}

/// `dx[i] = sum over o of grad[i][o] weight[o]`.
pub(crate) fn input_grad(grad: &[f32], weight: &[f32], features: usize) -> Vec<f32> {
    let outputs = weight.len() / features;
    let mut dx = vec![0.0; grad.len() / outputs * features];
    dx.par_chunks_mut(IMAGES * features).zip(grad.par_chunks(IMAGES * outputs)).for_each(|(dx, grad)| {
        Arch::new().dispatch(|| {
            for (o, row) in weight.chunks_exact(features).enumerate() {
                for (dx, grad) in dx.chunks_exact_mut(features).zip(grad.chunks_exact(outputs)) {
                    axpy(grad[o], row, dx);
                }
            }
        });
    });
    dx
}

/// `dw[o] = sum over i of grad[i][o] x[i]`.
pub(crate) fn weight_grad(x: &[f32], grad: &[f32], features: usize) -> Vec<f32> {
    let outputs = grad.len() * features / x.len();
    let mut dw = vec![0.0; outputs * features];
    dw.par_chunks_mut(features).enumerate().for_each(|(o, dw)| {
        Arch::new().dispatch(|| {
            for (x, grad) in x.chunks_exact(features).zip(grad.chunks_exact(outputs)) {
                axpy(grad[o], x, dw);
            }
        });
    });
    dw
}

#[expect(clippy::inline_always, reason = "must be compiled with the instructions that dispatch enables")]
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[expect(clippy::inline_always, reason = "must be compiled with the instructions that dispatch enables")]
#[inline(always)]
fn axpy(factor: f32, x: &[f32], y: &mut [f32]) {
    x.iter().zip(y).for_each(|(x, y)| *y = factor.mul_add(*x, *y));
}
