//! Section 6: the diagonal method with baby-step giant-step (Halevi and Shoup; its double-hoisted form is Bossuat et al. 2021),
//! on whole layers in multiplexed packing as Orion (Ebel et al., ASPLOS 2025) has it. And section 9: how kernel masks fare.

use striae_cost_model::{InputPacking, LowerOptions, Packing, StepKind, Strategy, StrategyChoice};
use striae_spaces::{GraphBuilder, Linear, Op, Shape, TypedGraph};

use super::{count, lower, options};

/// Dense `n` x `n` products, the number of baby steps doubled until it balances the giants.
#[test]
fn dense_products() {
    for (n, rotations) in [(16, 6), (64, 14), (128, 22), (256, 30), (512, 46), (1024, 62), (4096, 126)] {
        let mut builder = GraphBuilder::new(Shape::vector(n)).unwrap();
        builder.then(Op::Linear(Linear { out_features: n, bias: false })).unwrap();
        let graph = builder.build().unwrap();
        let balanced = 1usize << (n.ilog2().div_ceil(2));
        for strategy in [StrategyChoice::Always(Strategy::BabyGiant { babies: balanced }), StrategyChoice::Balanced] {
            let options = LowerOptions { strategy, ..options(Strategy::InputSide) };
            let program = lower(&graph, 14, &options);
            assert_eq!(program.counts().rotations(), rotations, "n = {n}");
            assert_eq!(program.counts().plain_mults, n as u64);
        }
    }
}

/// Rotations of every linear step of a network.
fn rotations(network: &str, slots: usize) -> Vec<u64> {
    let graph: TypedGraph = network.parse().unwrap();
    let (packing, strategy, input) = (Packing::MultiplexedBsgs, StrategyChoice::Balanced, InputPacking::Packed);
    let program = count(&graph, slots, &LowerOptions { packing, strategy, input, ..LowerOptions::default() });
    let linear = (0..program.steps.len()).filter(|&i| matches!(program.steps[i].kind, StepKind::Linear(_)));
    linear.map(|i| program.step_counts(i).rotations()).collect()
}

/// MLP 784-128-128-10, 8192 slots: 28 + 28 + 24 = 80. LoLA: 12 + 28 + 21 = 61.
#[test]
fn small_networks() {
    let mlp = rotations("784: linear(128) quad linear(128) quad linear(10)", 8192);
    assert_eq!(mlp, [28, 28, 24]);
    let lola = rotations("1x28x28: conv(5,k2,s2,valid) quad flatten linear(100) quad linear(10)", 8192);
    assert_eq!(lola, [12, 28, 21]);
}

/// ResNet-20 at 32768 slots: conv1 24, 16->16 24 (six times), 16->32 stride 2 32 with a shortcut of 12, 32->32 46 (five),
/// 32->64 stride 2 39 with a shortcut of 23, 64->64 63 (five), pool 35, classifier 16: total 870. The lines are of layers on
/// their own; our lowering of the network joins every shortcut with the convolution it is added to.
#[test]
fn resnet20() {
    let main = "3x32x32: conv(16,k3) quad conv(16,k3) quad conv(32,k3,s2) quad conv(32,k3) quad conv(64,k3,s2) quad \
                conv(64,k3) quad pool(8) flatten linear(10)";
    let lines = rotations(main, 32768);
    assert_eq!(lines, [24, 24, 32, 46, 39, 63, 35, 16]);
    let shortcuts = rotations("3x32x32: conv(16,k3) quad conv(32,k1,s2) quad conv(64,k1,s2)", 32768);
    assert_eq!(shortcuts, [24, 12, 23]);
    let times = [1, 6, 1, 5, 1, 5, 1, 1];
    let total = lines.iter().zip(times).map(|(line, times)| line * times).sum::<u64>() + shortcuts[1] + shortcuts[2];
    assert_eq!(total, 870);
}

/// Section 9, at 32768 slots: what masks save depends on the packing. Row-major, rotations are linear in `|T| - 1`; with the
/// split over the whole index they are not.
#[test]
fn kernel_masks() {
    let of = |network: &str| rotations(network, 32768).pop().unwrap();
    let wide = |options: &str| of(&format!("16x32x32: conv(16,{options})"));
    assert_eq!(["k3", "k3,cross", "k3,row", "k3,column", "k1"].map(wide), [24, 20, 13, 13, 7]);
    let depthwise = |options: &str| of(&format!("16x32x32: conv(16,{options},g16)"));
    assert_eq!(["k3", "k3,cross", "k3,row"].map(depthwise), [6, 5, 3]);
    let deep = |options: &str| of(&format!("16x32x32: conv(32,k1,s2) quad conv(64,k1,s2) quad conv(64,{options})"));
    assert_eq!(["k3", "k3,cross", "k3,row", "k3,column", "k1"].map(deep), [63, 63, 48, 47, 31]);
}
