//! Residual networks (He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016).

use crate::blocks::{conv_bn, conv_bn_act, linear, pool, residual_block};
use crate::{Activation, Conv2d, GraphBuilder, GraphError, NodeId, Op, Shape, TypedGraph};

/// The CIFAR-10 network of section 4.2 with `n` basic blocks per stage, `6n + 2` layers:
/// `3x32x32 -> 16x32x32 -> 32x16x16 -> 64x8x8 -> 64 -> 10`; strided point convolutions as shortcuts (option B; the paper's
/// CIFAR networks use option A, which has 2,560 weights fewer).
pub(super) fn cifar(n: usize) -> Result<TypedGraph, GraphError> {
    let mut b = GraphBuilder::new(Shape::map(3, 32, 32))?;
    let input = b.last();
    let mut at = conv_bn_act(&mut b, input, Conv2d::dense(16, 3))?;
    for (channels, first_stride) in [(16, 1), (32, 2), (64, 2)] {
        for block in 0..n {
            at = residual_block(&mut b, at, channels, if block == 0 { first_stride } else { 1 })?;
        }
    }
    pool(&mut b, 8)?;
    b.then(Op::Flatten)?;
    linear(&mut b, 10)?;
    b.build()
}

/// What the stages of an ImageNet network are made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3, 1x1 with four times the channels. The stride is in the 3x3, as in today's frameworks (*v1.5*); the paper
    /// has it in the first 1x1, with 0.27 G multiply-accumulates fewer in ResNet-50.
    Bottleneck,
}

/// The ImageNet networks of Table 1: `3x224x224 -> 64x112x112 -> 64x56x56 -> .. -> 7x7 -> 1000`, `blocks` per stage, an
/// average pool 2x2 where the paper has a maximum over 3x3.
pub(super) fn imagenet(block: Block, blocks: [usize; 4]) -> Result<TypedGraph, GraphError> {
    let mut b = GraphBuilder::new(Shape::map(3, 224, 224))?;
    let input = b.last();
    conv_bn_act(&mut b, input, Conv2d { stride: 2, ..Conv2d::dense(64, 7) })?;
    let mut at = pool(&mut b, 2)?;
    for (stage, count) in blocks.into_iter().enumerate() {
        for i in 0..count {
            let stride = if stage > 0 && i == 0 { 2 } else { 1 };
            at = match block {
                Block::Basic => residual_block(&mut b, at, 64 << stage, stride)?,
                Block::Bottleneck => bottleneck(&mut b, at, 64 << stage, stride)?,
            };
        }
    }
    pool(&mut b, 7)?;
    b.then(Op::Flatten)?;
    linear(&mut b, 1000)?;
    b.build()
}

/// The bottleneck block on `middle` channels, `4 * middle` behind it.
fn bottleneck(b: &mut GraphBuilder, input: NodeId, middle: usize, stride: usize) -> Result<NodeId, GraphError> {
    let squeezed = conv_bn_act(b, input, Conv2d::dense(middle, 1))?;
    let moved = conv_bn_act(b, squeezed, Conv2d { stride, ..Conv2d::dense(middle, 3) })?;
    let expanded = conv_bn(b, moved, Conv2d::dense(4 * middle, 1))?;
    let shortcut = if b.shape(input).channels() == 4 * middle {
        input
    } else {
        conv_bn(b, input, Conv2d { stride, ..Conv2d::dense(4 * middle, 1) })?
    };
    b.push(Op::Add, &[expanded, shortcut])?;
    b.then(Op::Activation(Activation::Quadratic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cifar_parameters_macs_and_levels() {
        // He et al., Table 6: 0.27, 0.46, 0.66, 0.85 and 1.7 M parameters. Option A exactly: weights, norms, classifier.
        let option_a = [(3, 269_722), (5, 464_154), (7, 658_586), (9, 853_018), (18, 1_727_962)];
        // Ours has the two shortcuts with their norms, and three coefficients for each activated channel.
        let shortcuts = 16 * 32 + 32 * 64 + 2 * (32 + 64);
        for (n, parameters) in option_a {
            let net = cifar(n).unwrap();
            let quadratics = 3 * (16 + 2 * n as u64 * (16 + 32 + 64));
            assert_eq!(net.parameters(), parameters + shortcuts + quadratics, "n = {n}");
            // Each layer of a stage: 2,359,296; the stem 442,368; the first of a later stage half as much.
            let macs = 442_368 + 3 * 2 * n as u64 * 2_359_296 - 2 * 2_359_296 / 2 + 640;
            assert_eq!(net.macs(), macs + 256 * 512 + 64 * 2048, "n = {n}");
            assert_eq!(net.levels(), 12 * n + 3, "n = {n}");
        }
        assert_eq!(cifar(3).unwrap().macs(), 40_551_040 + 262_144);
    }

    #[test]
    fn imagenet_parameters_and_macs() {
        // Weights, norms and classifier as torchvision counts them; multiply-accumulates as its model pages print them
        // (1.81, 3.66 and 4.09 G).
        let published = [
            (Block::Basic, [2, 2, 2, 2], 11_689_512, 1_814_073_344_u64),
            (Block::Basic, [3, 4, 6, 3], 21_797_672, 3_663_761_408),
            (Block::Bottleneck, [3, 4, 6, 3], 25_557_032, 4_089_184_256),
        ];
        for (block, blocks, parameters, macs) in published {
            let net = imagenet(block, blocks).unwrap();
            let activated = net.nodes().iter().filter(|n| matches!(n.op, Op::Activation(_)));
            let quadratics: usize = activated.map(|n| 3 * n.shape.channels()).sum();
            assert_eq!(net.parameters() - quadratics as u64, parameters);
            assert_eq!(net.macs(), macs);
        }
    }
}
