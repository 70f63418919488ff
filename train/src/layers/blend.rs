//! Weighted sums of two values.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::{
    buffers,
    ops::{from_vec, with},
    stock::has_kernels,
};

/// Values per job.
const JOB: usize = 1 << 14;

/// `s a + t b`, of one shape.
pub(crate) fn blend(s: f32, a: &Tensor, t: f32, b: &Tensor) -> Result<Tensor> {
    if !has_kernels(a) {
        return (a * f64::from(s))? + (b * f64::from(t))?;
    }
    let sum = |a: &[f32], b: &[f32]| {
        let mut y = buffers::take(a.len());
        let jobs = y.par_chunks_mut(JOB).zip(a.par_chunks(JOB)).zip(b.par_chunks(JOB));
        jobs.for_each(|((y, a), b)| {
            for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
                *y = s * a + t * b;
            }
        });
        y
    };
    from_vec(with(a, |a| with(b, |b| sum(a, b)))??, a)
}
