//! StriaNets for small images, after Cai et al., *Towards Zero Rotation and Beyond: Architecting Neural Networks for Fast
//! Secure Inference with Homomorphic Encryption*, SaTML 2026 (arXiv 2601.21287), with this project's slot-shift mixing.
//!
//! Widths are whole ciphertexts (Channel Packing-Aware Scaling): `C = n * c_n`, `c_n = slots / pad2(h * w)`, with the N real
//! slots of the conjugate-invariant ring.

use crate::blocks::{Mixing, StriaBlock, conv_bn_act, linear, pool, stria_block};
use crate::{Conv2d, GraphBuilder, GraphError, Kernel, KernelMask, NodeId, Op, Shape, TypedGraph};

const fn cross(size: usize) -> Kernel {
    Kernel { size, mask: KernelMask::Cross }
}

/// Five levels for N = 2^13 (8192 real slots, 218 bits of modulus): blocks of 1024 slots, eight per ciphertext, capacity 8
/// at 28x28 and 32 at 14x14.
///
/// | part | shape after it | ciphertexts | levels |
/// |---|---|---|---|
/// | image | 1x28x28 | 1 (replicated by the client) | |
/// | conv 5x5, stride 2, dense | 64x14x14 | 2 | 1 |
/// | quadratic | 64x14x14 | 2 | 1 |
/// | StriaBlock, M = 32, Cross 5, fusable, squeeze with slot shift | 64x14x14 | 2 (1 inside) | 1 |
/// | quadratic | 64x14x14 | 2 | 1 |
/// | flatten, linear | 10 | 1 | 1 |
///
/// The stem is dense because one image channel costs no channel rotations once the client replicates it. The shift lets
/// the eight blocks of a ciphertext see each other before the classifier, which mixes everything. Factored, the block has
/// 1/2 * 8/24 = 16.7 % of the internal rotations of a plain 5x5 convolution on its width and no external ones (the
/// paper: 19 % and none).
///
/// Over half of its time are the 35 rotations of the stem, for 25 taps and the four places of a gap. A 3x3 stem has 15 and
/// the network then takes 0.7 times as long; with 128 channels behind such a stem it takes 1.15 times as long. The
/// larger window was kept: at stride 2, 3x3 windows hardly overlap. Five levels are all that this ring holds.
pub(super) fn mnist() -> Result<TypedGraph, GraphError> {
    let (groups, blocks) = (32, 8);
    let mut b = GraphBuilder::new(Shape::map(1, 28, 28))?;
    let input = b.last();
    let stem = conv_bn_act(&mut b, input, Conv2d { stride: 2, ..Conv2d::dense(64, 5) })?;
    stria_block(&mut b, stem, &fusable(32, cross(5), groups, blocks))?;
    b.then(Op::Flatten)?;
    linear(&mut b, 10)?;
    b.build()
}

/// Fifteen levels for N = 2^15 (32768 real slots, 881 bits): blocks of 1024 slots, thirty-two per ciphertext, capacity 32 at
/// 32x32, 128 at 16x16, 512 at 8x8. Every stage is two ciphertexts wide and has a bottleneck of one. Factored, the blocks
/// have 1/2 * 8/24 = 16.7 % of the internal rotations of plain 5x5 convolutions on their widths, and no external ones
/// (the paper: 19 % and none).
///
/// | part | shape after it | ciphertexts | levels |
/// |---|---|---|---|
/// | conv 3x3, dense; quadratic | 64x32x32 | 2 | 2 |
/// | 1 fusable StriaBlock, M = 32, Cross 5 | 64x32x32 | 2 (1 inside) | 2 |
/// | conv 3x3, stride 2, 32 groups with slot shift; quadratic | 256x16x16 | 2 | 2 |
/// | 2 fusable StriaBlocks, M = 128, Cross 5 | 256x16x16 | 2 (1 inside) | 4 |
/// | conv 3x3, stride 2, 128 groups with slot shift; quadratic | 1024x8x8 | 2 | 2 |
/// | 1 fusable StriaBlock, M = 512, Cross 5 | 1024x8x8 | 2 (1 inside) | 2 |
/// | global average pool, linear | 10 | 1 | 1 |
///
/// What was compared, as predicted times of this network: without the block at 32x32, where each costs most, and one more
/// at 16x16 instead, 1.02; a second block at 32x32 and none at 8x8, with 512 channels there, 0.98; 96 and 384 channels, 1.3;
/// half as many groups in the second transition, 1.1, in the first, 1.1. Dense 1x1 mixing of 512 channels at 8x8 alone
/// takes 0.7 of the whole network's time, since the gaps turn every channel pair into a diagonal.
pub(super) fn cifar10() -> Result<TypedGraph, GraphError> {
    let blocks = 32;
    let full3 = Kernel { size: 3, mask: KernelMask::Full };
    let mut b = GraphBuilder::new(Shape::map(3, 32, 32))?;
    let input = b.last();
    let mut at = conv_bn_act(&mut b, input, Conv2d::dense(64, 3))?;
    at = stage(&mut b, at, 1, &fusable(32, cross(5), 32, blocks))?;
    at = conv_bn_act(&mut b, at, Mixing::shifted(32, blocks).conv(256, full3, 2))?;
    at = stage(&mut b, at, 2, &fusable(128, cross(5), 128, blocks))?;
    at = conv_bn_act(&mut b, at, Mixing::shifted(128, blocks).conv(1024, full3, 2))?;
    stage(&mut b, at, 1, &fusable(512, cross(5), 512, blocks))?;
    pool(&mut b, 8)?;
    b.then(Op::Flatten)?;
    linear(&mut b, 10)?;
    b.build()
}

/// A StriaBlock whose squeeze shifts, without inner activations.
fn fusable(middle: usize, kernel: Kernel, groups: usize, blocks: usize) -> StriaBlock {
    let plain = Mixing::interleaved(groups);
    StriaBlock { middle, kernel, mixing: [Mixing::shifted(groups, blocks), plain, plain], inner: false }
}

fn stage(b: &mut GraphBuilder, input: NodeId, depth: usize, block: &StriaBlock) -> Result<NodeId, GraphError> {
    (0..depth).try_fold(input, |at, _| stria_block(b, at, block))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mnist_parameters_macs_and_levels() {
        let net = mnist().unwrap();
        // Stem 64 * 25; block 32 * 2 + 32 * 9 + 64; linear 12544 * 10 + 10; norm 2 * (64 + 32 + 32 + 64); quadratics 3 * 128.
        assert_eq!(net.parameters(), 1600 + 64 + 288 + 64 + 125_450 + 384 + 384);
        assert_eq!(net.macs(), 196 * (1600 + 64 + 288 + 64) + 125_440);
        assert_eq!((net.levels(), net.levels_factored()), (5, 7));
    }

    #[test]
    fn cifar10_parameters_macs_and_levels() {
        let net = cifar10().unwrap();
        // One StriaBlock has M * C / G + 9 M^2 / G + C * M / G weights.
        let (b1, b2, b3) = (64 + 288 + 64, 256 + 1152 + 256, 1024 + 4608 + 1024);
        let (t1, t2) = (256 * 2 * 9, 1024 * 2 * 9);
        let weights = 1728 + b1 + t1 + 2 * b2 + t2 + b3 + 10_250;
        let norm = 64 + (32 + 32 + 64) + 256 + 2 * (128 + 128 + 256) + 1024 + (512 + 512 + 1024);
        let activated = 64 * 2 + 256 * 3 + 1024 * 2;
        assert_eq!(net.parameters(), weights + 2 * norm + 3 * activated);
        assert_eq!(net.macs(), 1024 * (1728 + b1) + 256 * (t1 + 2 * b2) + 64 * (t2 + b3) + 10_240);
        assert_eq!(net.levels(), 15);
    }
}
