//! Kernels to tiles before a pass, and the sums of the weight gradient back to kernels after it.

use pulp::Arch;
use rayon::prelude::*;

use super::{
    product::Matrices,
    tiles::{FromKernels, ToKernels},
    transform::PARTS,
};
use crate::layers::{buffers, canvas::BLOCK, conv::Group};

/// Rows of kernels that are worth another thread.
const ROWS: usize = 16;

/// The transformed kernels between channels.
pub(super) fn kernels(from: &[usize], to: &[usize]) -> Matrices {
    Matrices::new(from.len(), to.len()).spread()
}

/// One way through the convolution of a group: the channels read and written, with the kernels between them.
pub(super) struct Way<'a> {
    pub(super) from: &'a [usize],
    pub(super) to: &'a [usize],
    pub(super) kernels: Vec<f32>,
}

impl<'a> Way<'a> {
    /// From inputs to outputs, or `back` from the output's gradient to the input's.
    pub(super) fn new(group: &'a Group, weight: &[f32], back: bool) -> Self {
        let inputs = group.inputs.len();
        let (from, to) = if back { (&group.outputs, &group.inputs) } else { (&group.inputs, &group.outputs) };
        let matrices = kernels(from, to);
        let cols = matrices.cols;
        let mut rows = buffers::take(from.len() * PARTS * cols);
        rows.par_chunks_mut(PARTS * cols).with_min_len(ROWS).enumerate().for_each(|(row, parts)| {
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

/// Writes a group's part of the weight gradient, given its transformed partial sums.
pub(super) fn weight_grad(group: &Group, sums: &[&[f32]], weight: &mut [f32]) {
    let matrices = kernels(&group.inputs, &group.outputs);
    let row = group.inputs.len() * 9;
    let mut taps = buffers::take(row * matrices.cols);
    taps.par_chunks_mut(9 * matrices.cols).enumerate().for_each(|(row, taps)| {
        Arch::new().dispatch(FromKernels { sums, taps, matrices, row });
    });
    for (block, outputs) in group.outputs.chunks(BLOCK).enumerate() {
        for (tap, values) in taps.chunks_exact(matrices.cols).enumerate() {
            for (&o, value) in outputs.iter().zip(&values[block * BLOCK..]) {
                weight[o * row + tap] = *value;
            }
        }
    }
    buffers::give(taps);
}
