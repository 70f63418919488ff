//! Losses: values and gradients.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::{
    Value, buffers,
    ops::{from_vec, with},
    stock::has_kernels,
};

/// Mean softmax cross entropy with label smoothing: the target of a class is `smoothing / classes`, plus `1 - smoothing`
/// for the label.
pub(crate) struct CrossEntropy<'a> {
    pub(crate) labels: &'a [u8],
    pub(crate) smoothing: f32,
}

impl CrossEntropy<'_> {
    /// The loss and the gradient of the logits.
    pub(crate) fn value_and_grad(&self, logits: &Tensor) -> Result<(f32, Value)> {
        let n = self.labels.len();
        let (total, grad) = with(logits, |values| {
            let rows = values.chunks_exact(values.len() / n).zip(self.labels);
            let (losses, grads): (Vec<f64>, Vec<Vec<f32>>) = rows.map(|(row, &label)| self.row(row, label)).unzip();
            let grad: Vec<f32> = grads.into_iter().flatten().map(|g| g / n as f32).collect();
            (losses.iter().sum::<f64>(), grad)
        })?;
        Ok(((total / n as f64) as f32, Value::foreign(from_vec(grad, logits)?)))
    }

    /// Loss of one row of logits, and its gradient.
    fn row(&self, logits: &[f32], label: u8) -> (f64, Vec<f32>) {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let log_sum = logits.iter().map(|v| (v - max).exp()).sum::<f32>().ln();
        let even = self.smoothing / logits.len() as f32;
        let classes = logits.iter().enumerate().map(|(class, v)| {
            let log_p = v - max - log_sum;
            let target = if class == usize::from(label) { even + 1.0 - self.smoothing } else { even };
            (f64::from(-target * log_p), log_p.exp() - target)
        });
        let (losses, grad): (Vec<f64>, Vec<f32>) = classes.unzip();
        (losses.iter().sum(), grad)
    }
}

/// `mean of max(|x| - limit, 0)^2`: keeps the inputs of quadratic activations where they were normalised to lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RangePenalty {
    pub(crate) limit: f32,
}

/// Values per job.
const JOB: usize = 1 << 14;

impl RangePenalty {
    pub(crate) fn value(self, x: &Tensor) -> Result<f32> {
        if !has_kernels(x) {
            return self.stock_value(x);
        }
        let excess = |v: &f32| f64::from((v.abs() - self.limit).max(0.0)).powi(2);
        let sums: Vec<f64> = with(x, |x| x.par_chunks(JOB).map(|x| x.iter().map(excess).sum()).collect())?;
        Ok((sums.iter().sum::<f64>() / x.elem_count() as f64) as f32)
    }

    /// The gradient of `weight` times the penalty.
    pub(crate) fn slope(self, x: &Tensor, weight: f32) -> Result<Tensor> {
        if !has_kernels(x) {
            return self.stock_slope(x, weight);
        }
        let scale = 2.0 * weight / x.elem_count() as f32;
        let slope = |v: &f32| scale * (v.abs() - self.limit).max(0.0).copysign(*v);
        let slopes = |x: &[f32]| {
            let mut y = buffers::take(x.len());
            y.par_chunks_mut(JOB).zip(x.par_chunks(JOB)).for_each(|(y, x)| {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = slope(x));
            });
            y
        };
        from_vec(with(x, slopes)?, x)
    }
}
