//! Linear layers as SCI computes them (the public code of CrypTFlow2: `conv-field.cpp` after Gazelle's output rotations,
//! `fc-field.cpp`): BFV with N = 8192, two rows of 4096 slots.
//!
//! With `h = 4096 / pad2(H W)` channels per row and the symbols of the code, a dense convolution has
//!
//! ```text
//! inp_ct = ceil(Ci / 2h)   out_ct = ceil(Co / 2h)   inp_halves = ceil(Ci / h)   out_halves = ceil(Co / h)
//! half_perms = out_halves, plus 1 if that is odd and more than 1
//! half_rots  = h if inp_halves > 1 or out_halves > 1, else max(h, Ci, Co)
//! filter rotations   inp_ct (|T| - 1)
//! row rotations      half_perms half_rots - half_perms
//! column swaps       half_perms / 2, plus 1 if out_halves = 1 and inp_halves > 1
//! multiplications    half_perms half_rots inp_ct |T|
//! ```
//!
//! Counted beyond the code:
//! - `|T|` is the number of taps of the mask; the code has full kernels.
//! - *Groups* (the code calls itself once per group): the rows hold different groups, so nothing is swapped, and the positions
//!   of a row are shared out evenly, `p = h / pad2(G / 2)` each, interleaved, so that a rotation by `pad2(G / 2)` blocks stays within
//!   every group at once. `ceil(Co/G / p)` ciphertexts of `min(p, Ci/G + Co/G - 1)` non-zero offsets each. From `G = 2h`
//!   on, which is the channel capacity, `p = 1`: an ExRot-Free convolution rotates under its taps only.
//! - *Strides*: as in the code, the input is split into its `s^2` phases, convolutions of stride 1 on maps `s` times smaller, and
//!   phases that no tap reads are left out. Phases read under the same taps are packed as channels of one input: all of
//!   them where kernels do not overlap. Products of all phases are summed before the row rotations; the code sums shares.
//! - *Maps above 4096 pixels* are cut into strips of rows with a halo; each counts as a map of its own. The code takes a larger N.
//! - *Maps of one pixel* make a dense convolution a product with a matrix, which is counted as a fully connected layer: the
//!   convolution would spread over all `h = 4096` positions.
//! - *Fully connected layers* above 8192 inputs or outputs are cut into parts of 8192; the code takes a larger N for the inputs.

use std::collections::BTreeMap;

use super::layer::{ConvShape, Kind};
use super::tiles::Strips;
use super::{HybridError, LinearCounts, LinearLayer, Protocol};

/// Slots of a row: half of N = 8192.
const ROW: usize = 4096;

/// Counts of a layer.
pub(super) fn counts(layer: &LinearLayer) -> Result<LinearCounts, HybridError> {
    match &layer.kind {
        Kind::Dense { rows, columns } => Ok(dense(*rows, *columns)),
        Kind::Conv(conv) if conv.groups == 1 && (conv.height, conv.width) == (1, 1) => Ok(dense(conv.outs, conv.ins)),
        Kind::Conv(conv) => {
            let strips = strips(conv).ok_or_else(|| HybridError::MapTooWide {
                node: layer.node,
                shape: layer.input,
                rows: halo(conv) + 1,
                slots: ROW,
                protocol: Protocol::CrypTFlow2,
            })?;
            Ok(convolution(conv, strips))
        }
    }
}

/// Rows of a phase that an output row reads beyond its own.
fn halo(conv: &ConvShape) -> usize {
    let rows = conv.all_taps.iter().map(|t| t.0.div_euclid(conv.stride as i32));
    let (low, high) = (rows.clone().min().unwrap_or(0), rows.max().unwrap_or(0));
    (high - low) as usize
}

fn strips(conv: &ConvShape) -> Option<Strips> {
    let (height, width) = (conv.height.div_ceil(conv.stride), conv.width.div_ceil(conv.stride));
    Strips::of(height, width, conv.out_height, halo(conv), ROW)
}

/// Phases of the stride that are read under the same taps, which makes them channels of one input.
struct Phases {
    count: usize,
    taps: usize,
}

/// The phases that a tap reads. Taps are compared relative to each other: the client may shift what it encrypts.
fn phases(conv: &ConvShape) -> Vec<Phases> {
    let s = conv.stride as i32;
    let mut by_phase: BTreeMap<(i32, i32), Vec<(i32, i32)>> = BTreeMap::new();
    for &(y, x) in &conv.taps {
        let phase = (y.rem_euclid(s), x.rem_euclid(s));
        by_phase.entry(phase).or_default().push((y.div_euclid(s), x.div_euclid(s)));
    }
    let mut alike: BTreeMap<Vec<(i32, i32)>, usize> = BTreeMap::new();
    for taps in by_phase.into_values() {
        let [top, left] = [|t: &(i32, i32)| t.0, |t: &(i32, i32)| t.1].map(|of| taps.iter().map(of).min().unwrap_or(0));
        *alike.entry(taps.iter().map(|t| (t.0 - top, t.1 - left)).collect()).or_default() += 1;
    }
    alike.into_iter().map(|(taps, count)| Phases { count, taps: taps.len() }).collect()
}

/// Counts of one strip before taps and phases.
struct Channels {
    /// Ciphertexts of the input.
    inputs: u64,
    outputs: u64,
    /// Partial sums.
    products: u64,
    /// Pairs of an input and a partial sum that it is part of: all, or those of one batch of groups.
    pairs: u64,
    external: u64,
    swaps: u64,
}

fn convolution(conv: &ConvShape, strips: Strips) -> LinearCounts {
    let h = ROW / strips.block;
    let channels = |ins| if conv.groups == 1 { ungrouped(ins, conv.outs, h) } else { grouped(conv, ins, h) };
    let parts: Vec<(Channels, u64)> =
        phases(conv).iter().map(|phases| (channels(conv.ins * phases.count), phases.taps as u64)).collect();
    let sum = |of: fn(&(Channels, u64)) -> u64| parts.iter().map(of).fold(0, u64::saturating_add);
    // All phases are summed into the same partial sums.
    let most = |of: fn(&Channels) -> u64| parts.iter().map(|part| of(&part.0)).max().unwrap_or(0);
    let count = strips.count as u64;
    LinearCounts {
        internal: count * sum(|(channels, taps)| channels.inputs * (taps - 1)),
        external: count * most(|c| c.external),
        swaps: count * most(|c| c.swaps),
        dense: 0,
        multiplications: count.saturating_mul(sum(|(channels, taps)| channels.pairs.saturating_mul(*taps))),
        products: count * most(|c| c.products),
        inputs: count * sum(|(channels, _)| channels.inputs),
        outputs: count * most(|c| c.outputs),
    }
}

fn ungrouped(ins: usize, outs: usize, h: usize) -> Channels {
    let (inp_halves, out_halves) = (ins.div_ceil(h), outs.div_ceil(h));
    let half_perms = if out_halves > 1 { out_halves.next_multiple_of(2) } else { 1 } as u64;
    let half_rots = if inp_halves > 1 || out_halves > 1 { h } else { h.max(ins).max(outs) } as u64;
    let inputs = ins.div_ceil(2 * h) as u64;
    let products = half_perms * half_rots;
    Channels {
        inputs,
        outputs: outs.div_ceil(2 * h) as u64,
        products,
        pairs: products.saturating_mul(inputs),
        external: products - half_perms,
        swaps: half_perms / 2 + u64::from(out_halves == 1 && inp_halves > 1),
    }
}

/// `ins` input channels per group.
fn grouped(conv: &ConvShape, ins: usize, h: usize) -> Channels {
    let batches = conv.groups.div_ceil(2 * h) as u64;
    let positions = (h / conv.groups.div_ceil(2).next_power_of_two()).max(1);
    let (inputs, outputs) = (ins.div_ceil(positions) as u64, conv.outs.div_ceil(positions) as u64);
    let offsets = positions.min(ins + conv.outs - 1) as u64;
    let products = batches * outputs * offsets;
    Channels {
        inputs: batches * inputs,
        outputs: batches * outputs,
        products,
        pairs: products.saturating_mul(inputs),
        external: products - batches * outputs,
        swaps: 0,
    }
}

/// `rows x columns` by the hybrid diagonals of Gazelle: the vector is repeated `8192 / pad2(columns)` times, each diagonal holds as many
/// of the matrix, and the partial sums are folded by halves.
fn dense(rows: usize, columns: usize) -> LinearCounts {
    let slots = 2 * ROW;
    let (parts, blocks) = (columns.div_ceil(slots), rows.div_ceil(slots));
    let (width, height) = (columns.min(slots).next_power_of_two(), rows.min(slots).next_power_of_two());
    let diagonals = height.div_ceil(slots / width);
    let folds = (width / diagonals).ilog2() as usize;
    // A part's rotations of its input serve every block of outputs.
    LinearCounts {
        dense: (parts * (diagonals - 1) + blocks * folds) as u64,
        multiplications: (parts * blocks * diagonals) as u64,
        products: blocks as u64,
        inputs: parts as u64,
        outputs: blocks as u64,
        ..LinearCounts::default()
    }
}
