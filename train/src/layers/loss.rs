//! Losses as candle operations.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::ops::{from_vec, slice, with};

/// Mean softmax cross entropy with label smoothing: the target of a class is `smoothing / classes`, plus `1 - smoothing`
/// for the label.
pub(crate) struct CrossEntropy {
    pub(crate) labels: Arc<Vec<u8>>,
    pub(crate) smoothing: f32,
}

impl CrossEntropy {
    /// Loss of one row of logits, and its gradient.
    fn row(&self, logits: &[f32], label: u8) -> (f64, Vec<f32>) {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let log_sum = logits.iter().map(|v| (v - max).exp()).sum::<f32>().ln();
        let even = self.smoothing / logits.len() as f32;
        let rows = logits.iter().enumerate().map(|(class, v)| {
            let log_p = v - max - log_sum;
            let target = if class == usize::from(label) { even + 1.0 - self.smoothing } else { even };
            (f64::from(-target * log_p), log_p.exp() - target)
        });
        let (losses, grad): (Vec<f64>, Vec<f32>) = rows.unzip();
        (losses.iter().sum(), grad)
    }
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let logits = slice(logits, layout)?;
        let classes = logits.len() / self.labels.len();
        let rows = logits.chunks_exact(classes).zip(self.labels.iter());
        let total: f64 = rows.map(|(row, &label)| self.row(row, label).0).sum();
        Ok((CpuStorage::F32(vec![(total / self.labels.len() as f64) as f32]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _loss: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let scale = grad.to_scalar::<f32>()? / self.labels.len() as f32;
        let dx = with(logits, |values| {
            let rows = values.chunks_exact(values.len() / self.labels.len()).zip(self.labels.iter());
            rows.flat_map(|(row, &label)| self.row(row, label).1).map(|g| g * scale).collect()
        })?;
        from_vec(dx, logits).map(Some)
    }
}

/// `mean of max(|x| - limit, 0)^2`: keeps the inputs of quadratic activations where they were normalised to lie.
pub(crate) struct RangePenalty {
    pub(crate) limit: f32,
}

/// Values per job.
const JOB: usize = 1 << 14;

impl CustomOp1 for RangePenalty {
    fn name(&self) -> &'static str {
        "range-penalty"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(x, layout)?;
        let excess = |v: &f32| f64::from((v.abs() - self.limit).max(0.0)).powi(2);
        let sums: Vec<f64> = x.par_chunks(JOB).map(|x| x.iter().map(excess).sum()).collect();
        Ok((CpuStorage::F32(vec![(sums.iter().sum::<f64>() / x.len() as f64) as f32]), Shape::from(())))
    }

    fn bwd(&self, x: &Tensor, _penalty: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let scale = 2.0 * grad.to_scalar::<f32>()? / x.elem_count() as f32;
        let slope = |v: &f32| scale * (v.abs() - self.limit).max(0.0).copysign(*v);
        let dx = with(x, |x| x.par_iter().with_min_len(JOB).map(slope).collect())?;
        from_vec(dx, x).map(Some)
    }
}
