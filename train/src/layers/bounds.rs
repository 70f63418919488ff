//! Bounds on the inputs of quadratic activations.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::{
    buffers,
    ops::{from_vec, with},
    stock::has_kernels,
};

/// Bounds on magnitudes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Magnitudes beyond add `weight` times the mean of `max(|x| - limit, 0)^2` to the loss.
    pub(crate) limit: f32,
    pub(crate) weight: f32,
    /// Magnitudes beyond enter the activation as this one; none do if it is infinite.
    pub(crate) clamp: f32,
}

/// Values per job.
const JOB: usize = 1 << 14;

impl Bounds {
    /// The term of the loss.
    pub(crate) fn penalty(self, x: &Tensor) -> Result<f32> {
        let mean = if has_kernels(x) { self.mean_excess(x)? } else { self.stock_mean_excess(x)? };
        Ok(self.weight * mean)
    }

    fn mean_excess(self, x: &Tensor) -> Result<f32> {
        let excess = |v: &f32| f64::from((v.abs() - self.limit).max(0.0)).powi(2);
        let sums: Vec<f64> = with(x, |x| x.par_chunks(JOB).map(|x| x.iter().map(excess).sum()).collect())?;
        Ok((sums.iter().sum::<f64>() / x.elem_count() as f64) as f32)
    }

    /// What enters the activation.
    pub(crate) fn clamped(self, x: &Tensor) -> Result<Tensor> {
        if !has_kernels(x) {
            return x.clamp(-self.clamp, self.clamp);
        }
        let clamped = |x: &[f32]| {
            let mut y = buffers::take(x.len());
            y.par_chunks_mut(JOB).zip(x.par_chunks(JOB)).for_each(|(y, x)| {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = x.clamp(-self.clamp, self.clamp));
            });
            y
        };
        from_vec(with(x, clamped)?, x)
    }

    /// The gradient of `x`, given that of what enters the activation.
    pub(crate) fn gradient(self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        if !has_kernels(x) {
            return self.stock_gradient(x, grad);
        }
        let scale = 2.0 * self.weight / x.elem_count() as f32;
        let gradient = |x: f32, g: f32| {
            let passed = if x.abs() <= self.clamp { g } else { 0.0 };
            scale.mul_add((x.abs() - self.limit).max(0.0).copysign(x), passed)
        };
        let gradients = |x: &[f32], g: &[f32]| {
            let mut y = buffers::take(x.len());
            let jobs = y.par_chunks_mut(JOB).zip(x.par_chunks(JOB)).zip(g.par_chunks(JOB));
            jobs.for_each(|((y, x), g)| {
                for ((y, x), g) in y.iter_mut().zip(x).zip(g) {
                    *y = gradient(*x, *g);
                }
            });
            y
        };
        from_vec(with(x, |x| with(grad, |g| gradients(x, g)))??, x)
    }
}
