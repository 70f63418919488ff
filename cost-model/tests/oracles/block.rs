//! Section 7: block packing (FEnc2, ISCA 2026).

use striae_cost_model::{InputPacking, LowerOptions, Packing, Strategy, StrategyChoice, published};
use striae_spaces::{Conv2d, Padding, Shape};

use super::{conv_graph, count};

/// Rotations of a convolution on 32x32 maps at N = 2^15, that is 16 channels in a ciphertext: taps on the inputs, positions on
/// the partial sums.
fn lowered(conv: Conv2d, inputs: usize, side: usize, batch: usize) -> u64 {
    let packing = if side == 1 { Packing::RowMajor } else { Packing::Block(side) };
    let strategy = StrategyChoice::Always(Strategy::OutputSide);
    let options = LowerOptions { packing, strategy, batch, input: InputPacking::Packed, ..LowerOptions::default() };
    let program = count(&conv_graph(Shape::map(inputs, 32, 32), conv), 1 << 14, &options);
    assert_eq!(program.interleaved, batch);
    program.counts().rotations()
}

/// alpha = 16: Conv(64, 64, 3) at batch 4: S = 1 176, 2 288, 4 1008. Conv(128, 32, 9) at batch 8: S = 2 1648, 4 1008, 8 2224.
#[test]
fn published_counts() {
    let of = |(inputs, outputs, kernel), batch, side| {
        published::fenc2::Conv { inputs, outputs, kernel, capacity: 16, batch, side }.rotations()
    };
    assert_eq!([1, 2, 4].map(|side| of((64, 64, 3), 4, side)), [176.0, 288.0, 1008.0]);
    assert_eq!([2, 4, 8].map(|side| of((128, 32, 9), 8, side)), [1648.0, 1008.0, 2224.0]);
}

/// Our lowering counts the same where `S` divides `K - 1` and the kernel starts at the pixel itself: a phase then reads
/// `ceil(K / S)` rows and columns of planes.
#[test]
fn lowered_counts() {
    let valid = |outputs, kernel| Conv2d { padding: Padding::Valid, ..Conv2d::dense(outputs, kernel) };
    assert_eq!([1, 2].map(|side| lowered(valid(64, 3), 64, side, 4)), [176, 288]);
    assert_eq!([2, 4, 8].map(|side| lowered(valid(32, 9), 128, side, 8)), [1648, 1008, 2224]);
    // Where K <= S the formula has no inner rotation, but a 3x3 kernel reaches into the next block of 4x4: 2^2 - 1 for each of
    // 16 ciphertexts. It also counts all 63 positions, of which the kernel needs 43.
    assert_eq!(lowered(valid(64, 3), 64, 4, 4), 16 * (43 + 3));
    // A centred kernel reaches into the blocks on both sides.
    let centred = |side| lowered(Conv2d::dense(64, 3), 64, side, 4);
    assert_eq!([1, 2, 4].map(centred), [176, 16 * (15 + 8), 16 * (43 + 8)]);
}
