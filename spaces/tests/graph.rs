//! What the graph's operations mean: taps, groups, shapes, levels.

use std::collections::BTreeSet;

use proptest::prelude::*;
use striae_spaces::blocks::{Mixing, POINT};
use striae_spaces::{Conv2d, GraphLiteral, Grouping, Kernel, KernelMask, Padding, Shape, TypedGraph};

fn parse(text: &str) -> TypedGraph {
    text.parse().unwrap()
}

#[test]
fn masks_hold_their_taps() {
    let taps = |mask, j, padding| Kernel { size: 3, mask }.taps(j, padding);
    let (row, column) = ([(0, -1), (0, 0), (0, 1)], [(-1, 0), (0, 0), (1, 0)]);
    assert_eq!(taps(KernelMask::Row, 0, Padding::Same), row);
    assert_eq!(taps(KernelMask::Column, 0, Padding::Same), column);
    assert_eq!(taps(KernelMask::Alternating, 2, Padding::Same), row);
    assert_eq!(taps(KernelMask::Alternating, 3, Padding::Same), column);
    assert_eq!(taps(KernelMask::Cross, 0, Padding::Same), [(-1, 0), (0, -1), (0, 0), (0, 1), (1, 0)]);
    assert_eq!(taps(KernelMask::Row, 0, Padding::Valid), [(1, 0), (1, 1), (1, 2)]);
    for (mask, size) in KernelMask::ALL.into_iter().flat_map(|m| (1..8).map(move |s| (m, s))) {
        let kernel = Kernel { size, mask };
        for j in 0..2 {
            assert_eq!(kernel.taps(j, Padding::Same).len(), kernel.tap_count(), "{mask:?} {size}");
        }
    }
}

#[test]
fn exrot_free_reads_one_position_of_every_ciphertext() {
    // Capacity 4: channel c is at position c mod 4 of ciphertext c / 4.
    let conv = Mixing::interleaved(4).conv(8, POINT, 1);
    for out in 0..8 {
        for j in 0..3 {
            assert_eq!(conv.input_channel(12, out, j), 4 * j + out % 4);
        }
    }
    // Two blocks, each with two gap positions: ciphertext j enters rotated by j blocks.
    let shifted = Mixing::shifted(4, 2).conv(4, POINT, 1);
    let reads = |out| (0..3).map(|j| shifted.input_channel(12, out, j)).collect::<Vec<_>>();
    assert_eq!(reads(0), [0, 5, 8]);
    assert_eq!(reads(1), [1, 4, 9]);
    assert_eq!(reads(2), [2, 7, 10]);
    assert_eq!(reads(3), [3, 6, 11]);
}

#[test]
fn levels_of_fusable_runs() {
    let levels = |text: &str| (parse(text).levels(), parse(text).levels_factored());
    let block = "conv(2,k1,g2,shifted2) bn conv(2,k3,g2,interleaved) bn conv(4,k1,g2,interleaved) bn add(n0)";
    assert_eq!(levels(&format!("4x8x8: {block}")), (1, 3));
    assert_eq!(levels(&format!("4x8x8: {block} quad flatten linear(2)")), (3, 5));
    assert_eq!(levels(&format!("4x8x8: {}", block.replace("bn conv", "quad conv"))), (5, 5));
    assert_eq!(levels("4x8x8: conv(2,k1,g2) conv(2,k3) conv(4,k1)"), (1, 3));
    // Groups that do not compose, two wide kernels, a stride behind a kernel, a middle that is read elsewhere.
    assert_eq!(levels("4x8x8: conv(4,k1,g2,interleaved) conv(4,k1,g4,interleaved)"), (2, 2));
    assert_eq!(levels("4x8x8: conv(4,k1,g2,interleaved) conv(4,k1,g2,shifted2)"), (2, 2));
    assert_eq!(levels("4x8x8: conv(2,k3) conv(2,k3)"), (2, 2));
    assert_eq!(levels("4x8x8: conv(2,k3) conv(2,k1,s2)"), (2, 2));
    assert_eq!(levels("4x8x8: conv(2,k3) conv(2,k1) add(n1)"), (2, 2));
}

#[test]
fn levels_of_what_has_no_layer_to_join() {
    let levels = |text: &str| parse(text).levels();
    assert_eq!(levels("4x8x8: pool(2) flatten linear(3)"), 1);
    // A sum of two activations, a norm behind one, a factor behind the last layer.
    assert_eq!(levels("4x8x8: conv(4,k1) quad conv(4,k1) quad add(n2) flatten linear(3)"), 6);
    assert_eq!(levels("4x8x8: quad bn flatten linear(3)"), 3);
    assert_eq!(levels("4x8x8: conv(4,k1) quad"), 3);
    assert_eq!(levels("4x8x8: conv(4,k1) pool(2) flatten"), 2);
}

#[test]
fn shapes_follow_stride_and_padding() {
    let shape = |text: &str| parse(text).output_shape();
    assert_eq!(shape("1x28x28: conv(3,k5,s2)"), Shape::map(3, 14, 14));
    assert_eq!(shape("1x7x9: conv(3,k3,s2)"), Shape::map(3, 4, 5));
    assert_eq!(shape("1x7x9: conv(3,k3,s2,valid)"), Shape::map(3, 3, 4));
    assert_eq!(shape("2x7x9: pool(3,s2) flatten"), Shape::vector(2 * 3 * 4));
}

#[test]
fn literals_are_checked() {
    let net = parse("1x4x4: conv(2,k3) bn quad flatten linear(2)");
    let literal = net.to_literal();
    assert_eq!(TypedGraph::try_from(literal.clone()).unwrap(), net);
    let cut = GraphLiteral { nodes: Vec::new(), ..literal };
    assert_eq!(TypedGraph::try_from(cut).unwrap_err().to_string(), "the network has no operation");
}

proptest! {
    /// Every grouping is a partition: each output channel reads `in / groups` different channels, every input channel is
    /// read equally often, and two output channels read the same channels or none in common (shifts aside).
    #[test]
    fn groupings_are_partitions(sub in 1..4usize, blocks in 1..5usize, ins in 1..4usize, outs in 1..4usize, kind in 0..3) {
        let groups = sub * blocks;
        let grouping = match kind {
            0 => Grouping::Contiguous,
            1 => Grouping::Interleaved,
            _ => Grouping::Shifted { blocks },
        };
        let conv = Conv2d { groups, grouping, ..Conv2d::dense(outs * groups, 1) };
        let sets: Vec<BTreeSet<usize>> = (0..outs * groups)
            .map(|out| (0..ins).map(|j| conv.input_channel(ins * groups, out, j)).collect())
            .collect();
        prop_assert!(sets.iter().all(|s| s.len() == ins && s.iter().all(|&c| c < ins * groups)));
        for c in 0..ins * groups {
            prop_assert_eq!(sets.iter().filter(|s| s.contains(&c)).count(), outs);
        }
        for (a, b) in sets.iter().flat_map(|a| sets.iter().map(move |b| (a, b))) {
            prop_assert!(kind == 2 || a == b || a.is_disjoint(b));
        }
    }

    #[test]
    fn damaged_json_is_an_error(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let json = parse("2x6x6: conv(4,k3,cross,g2,shifted2,bias) quad add(n1) pool(2) flatten linear(2)").to_json();
        let mut bytes = json.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        // Either still a well-typed network or an error, never a panic.
        if let Ok(text) = String::from_utf8(bytes) && let Ok(net) = TypedGraph::from_json(&text) {
            prop_assert_eq!(net.to_string().parse::<TypedGraph>().unwrap(), net);
        }
    }
}
