//! Linear layers as Cheetah computes them (section 3 of the paper; `shape_inference.cc`, `hom_conv2d_ss.cc` and `hom_fc_ss.cc` of its
//! public code): BFV with N = 4096, values in coefficients, one polynomial product per pair of ciphertext and filter, no
//! rotations.
//!
//! A same-padded map is enlarged to `Hp = H + kh - 1`, `Wp = W + kw - 1`. If `Hp Wp <= N`, a polynomial holds
//! `cw = min(N / (Hp Wp), Ci, N / (kh kw))` channels: `ceil(Ci / cw)` ciphertexts in, `Co` out, `Co ceil(Ci / cw)` products. Larger maps are
//! cut into windows with a halo, one channel each. A point convolution with a stride reads its sub-sampled input.
//!
//! Counted beyond the code:
//! - *Masks* change nothing but the window `kh x kw` their taps span: a `1 x k` stripe has `kh = 1`.
//! - *Groups*: a filter reads the polynomials of its group only, `Co ceil((Ci/G) / cw)` products; groups smaller than a polynomial share it.

use striae_spaces::Padding;

use super::layer::{ConvShape, Kind};
use super::{HybridError, LinearCounts, LinearLayer, Protocol};

/// Coefficients of a polynomial.
const N: usize = 4096;

/// Counts of a layer.
pub(super) fn counts(layer: &LinearLayer) -> Result<LinearCounts, HybridError> {
    match &layer.kind {
        Kind::Dense { rows, columns } => Ok(dense(*rows, *columns)),
        Kind::Conv(conv) => convolution(conv).ok_or_else(|| {
            let (height, width) = conv.window();
            HybridError::KernelTooLarge { node: layer.node, height, width, slots: N, protocol: Protocol::Cheetah }
        }),
    }
}

fn convolution(conv: &ConvShape) -> Option<LinearCounts> {
    let (kh, kw) = conv.window();
    let filters = N / (kh * kw);
    if filters == 0 {
        return None;
    }
    let side = |pixels: usize, k: usize| {
        let padded = if conv.padding == Padding::Same { pixels + k - 1 } else { pixels };
        if k == 1 { padded.div_ceil(conv.stride) } else { padded }
    };
    let (height, width) = (side(conv.height, kh), side(conv.width, kw));
    let (windows, held) = match N / (height * width) {
        0 => (windows((height, width), (kh, kw))?, 1),
        maps => (1, maps),
    };
    let held = held.min(filters).min(conv.groups * conv.ins);
    let per_filter = conv.ins.div_ceil(held);
    let inputs = if per_filter > 1 { conv.groups * per_filter } else { conv.groups.div_ceil(held / conv.ins) };
    let outputs = (windows * conv.groups * conv.outs) as u64;
    Some(LinearCounts {
        multiplications: outputs.saturating_mul(per_filter as u64),
        products: outputs,
        inputs: (windows * inputs) as u64,
        outputs,
        ..LinearCounts::default()
    })
}

/// Windows of at most N pixels that cover a map, neighbours sharing the halo of the kernel; shaped like the map, as the code does it.
fn windows((height, width): (usize, usize), (kh, kw): (usize, usize)) -> Option<usize> {
    let ratio = height as f64 / width as f64;
    let mut rows = ((N as f64 * ratio).sqrt() as usize).clamp(1, height);
    let mut columns = (N / rows).min(width);
    if rows.abs_diff(columns) < 2 {
        (rows, columns) = (rows.min(columns), rows.min(columns));
    }
    let count = |pixels: usize, window: usize, k: usize| {
        Some((pixels + 1 - k).div_ceil((window + 1).checked_sub(k).filter(|&w| w > 0)?))
    };
    Some(count(height, rows, kh)? * count(width, columns, kw)?)
}

/// `rows x columns`, cut into blocks of at most N entries that need the fewest ciphertexts in and out.
fn dense(rows: usize, columns: usize) -> LinearCounts {
    let split = |height: usize| {
        let width = (N / height).min(columns);
        (columns.div_ceil(width), rows.div_ceil(height))
    };
    let (inputs, outputs) = (1..=rows.min(N)).map(split).min_by_key(|(i, o)| i + o).unwrap_or((1, 1));
    LinearCounts {
        multiplications: (inputs * outputs) as u64,
        products: outputs as u64,
        inputs: inputs as u64,
        outputs: outputs as u64,
        ..LinearCounts::default()
    }
}
