//! StriaNets for small images, after Cai et al., *Towards Zero Rotation and Beyond: Architecting Neural Networks for Fast
//! Secure Inference with Homomorphic Encryption*, SaTML 2026 (arXiv 2601.21287), with this project's slot-shift mixing.
//!
//! Widths are whole ciphertexts (Channel Packing-Aware Scaling): `C = n * c_n`, `c_n = slots / pad2(h * w)`, with the N real
//! slots of the conjugate-invariant ring. The two large networks are for hybrid protocols, whose ciphertexts have 8192 slots.

use crate::blocks::{Mixing, StriaBlock, conv_bn_act, linear, pool, stria_block};
use crate::{Conv2d, GraphBuilder, GraphError, Kernel, KernelMask, NodeId, Op, Shape, TypedGraph};

const FULL3: Kernel = Kernel { size: 3, mask: KernelMask::Full };

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

/// Seventeen levels for N = 2^15 (32768 real slots, 881 bits): blocks of 1024 slots, thirty-two per ciphertext, capacity 32 at
/// 32x32, 128 at 16x16, 512 at 8x8. Every map fills one ciphertext.
///
/// | part | shape after it | levels |
/// |---|---|---|
/// | 2 convs 3x3, dense; quadratics | 32x32x32 | 4 |
/// | conv 3x3, stride 2, dense; quadratic | 128x16x16 | 2 |
/// | 2 convs 3x3, 4 groups, interleaved, contiguous; quadratics | 128x16x16 | 4 |
/// | conv 3x3, stride 2, 8 interleaved groups; quadratic | 512x8x8 | 2 |
/// | 2 convs 3x3, 8 groups, contiguous, interleaved; quadratics | 512x8x8 | 4 |
/// | global average pool, linear | 10 | 1 |
///
/// Accuracy on CIFAR-10 needs more channels mixed than ExRot-Free convolutions mix (compare [`cifar10_exrot_free`]), so groups
/// are larger than capacity allows without external rotations; groups of both kinds in turn mix all channels within two
/// layers. There are no residual additions: each hands on squares to be squared again, which no convolution has averaged.
///
/// What was compared, as predicted times of this network: without the second convolution at 32x32, 0.87; twice as many groups
/// from the first ones on, 0.85; contiguous groups everywhere, 0.94, interleaved ones everywhere, 1.19; dense convolutions at
/// 16x16, 1.37; dense ones everywhere, 2.3.
pub(super) fn cifar10() -> Result<TypedGraph, GraphError> {
    let strided = |mixing: Mixing, channels| mixing.conv(channels, FULL3, 2);
    let convs = [
        Conv2d::dense(32, 3),
        Conv2d::dense(32, 3),
        strided(Mixing::DENSE, 128),
        Mixing::interleaved(4).conv(128, FULL3, 1),
        Mixing::contiguous(4).conv(128, FULL3, 1),
        strided(Mixing::interleaved(8), 512),
        Mixing::contiguous(8).conv(512, FULL3, 1),
        Mixing::interleaved(8).conv(512, FULL3, 1),
    ];
    let mut b = GraphBuilder::new(Shape::map(3, 32, 32))?;
    for conv in convs {
        let at = b.last();
        conv_bn_act(&mut b, at, conv)?;
    }
    pool(&mut b, 8)?;
    b.then(Op::Flatten)?;
    linear(&mut b, 10)?;
    b.build()
}

/// Fifteen levels for N = 2^15 without any external rotation. Every stage is two ciphertexts wide and has a bottleneck of
/// one. Factored, the blocks have 1/2 * 8/24 = 16.7 % of the internal rotations of plain 5x5 convolutions on their widths, and
/// no external ones (the paper: 19 % and none).
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
pub(super) fn cifar10_exrot_free() -> Result<TypedGraph, GraphError> {
    let blocks = 32;
    let mut b = GraphBuilder::new(Shape::map(3, 32, 32))?;
    let input = b.last();
    let mut at = conv_bn_act(&mut b, input, Conv2d::dense(64, 3))?;
    at = stage(&mut b, at, 1, &fusable(32, cross(5), 32, blocks))?;
    at = conv_bn_act(&mut b, at, Mixing::shifted(32, blocks).conv(256, FULL3, 2))?;
    at = stage(&mut b, at, 2, &fusable(128, cross(5), 128, blocks))?;
    at = conv_bn_act(&mut b, at, Mixing::shifted(128, blocks).conv(1024, FULL3, 2))?;
    stage(&mut b, at, 1, &fusable(512, cross(5), 512, blocks))?;
    pool(&mut b, 8)?;
    b.then(Op::Flatten)?;
    linear(&mut b, 10)?;
    b.build()
}

/// Tiny ImageNet under a hybrid protocol: 8192 slots, capacity 8 at 32x32, 32 at 16x16, 128 at 8x8; see [`imagenet`].
///
/// | part | shape after it | ciphertexts | bottleneck | taps |
/// |---|---|---|---|---|
/// | conv 3x3, stride 2, dense | 64x32x32 | 8 | | 9 |
/// | 2 StriaBlocks | 64x32x32 | 8 | 4 | 7 |
/// | conv 3x3, stride 2, 32 groups with shift | 256x16x16 | 8 | | 9 |
/// | 3 StriaBlocks | 256x16x16 | 8 | 8 | 7 |
/// | conv 3x3, stride 2, 128 groups with shift | 1024x8x8 | 8 | | 9 |
/// | 2 StriaBlocks | 1024x8x8 | 8 | 8 | 7 |
/// | global average pool, linear | 200 | | | |
pub(super) fn tiny_imagenet() -> Result<TypedGraph, GraphError> {
    let stem = Conv2d { stride: 2, ..Conv2d::dense(64, 3) };
    large(64, stem, &[(8, 4, 2), (8, 8, 3), (8, 8, 2)], 200)
}

/// ImageNet under a hybrid protocol: 8192 slots (the two rows of a BFV ciphertext at N = 8192), capacity 8 at 32x32, 32 at 16x16, 128 at
/// 8x8. `docs/large-strianets.md` argues the choices.
///
/// | part | shape after it | ciphertexts | bottleneck | taps |
/// |---|---|---|---|---|
/// | conv 7x7, stride 7, dense | 64x32x32 | 8 | | 49, of which none rotates |
/// | 2 StriaBlocks | 64x32x32 | 8 | 4 | 7 |
/// | conv 3x3, stride 2, 32 groups with shift | 512x16x16 | 16 | | 9 |
/// | 3 StriaBlocks | 512x16x16 | 16 | 16 | 7 |
/// | conv 3x3, stride 2, 128 groups with shift | 2048x8x8 | 16 | | 9 |
/// | 2 StriaBlocks | 2048x8x8 | 16 | 16 | 7 |
/// | global average pool, linear | 1000 | | | |
///
/// Blocks read 1x7 and 7x1 in turn, as Inception-v3 factors its 7x7 (Szegedy et al., CVPR 2016). Without inner activations a
/// block may be fused into one convolution.
pub(super) fn imagenet() -> Result<TypedGraph, GraphError> {
    let stem = Conv2d { stride: 7, ..Conv2d::dense(64, 7) };
    large(224, stem, &[(8, 4, 2), (16, 16, 3), (16, 16, 2)], 1000)
}

/// A stem to 32x32 maps, then per stage its ciphertexts, those of the bottleneck, and the number of blocks, each stage with maps of
/// half the side; at 8192 slots.
fn large(
    side: usize,
    stem: Conv2d,
    stages: &[(usize, usize, usize)],
    classes: usize,
) -> Result<TypedGraph, GraphError> {
    let mut b = GraphBuilder::new(Shape::map(3, side, side))?;
    let input = b.last();
    let mut at = conv_bn_act(&mut b, input, stem)?;
    let (mut capacity, mut block) = (8, 0);
    for (index, &(width, middle, depth)) in stages.iter().enumerate() {
        if index > 0 {
            capacity *= 4;
            let groups = Mixing::shifted(capacity, capacity);
            at = conv_bn_act(&mut b, at, groups.conv(width * capacity, FULL3, 2))?;
        }
        for _ in 0..depth {
            let mask = if block % 2 == 0 { KernelMask::Row } else { KernelMask::Column };
            let kernel = Kernel { size: 7, mask };
            at = stria_block(&mut b, at, &fusable(middle * capacity, kernel, capacity, capacity))?;
            block += 1;
        }
    }
    pool(&mut b, 8)?;
    b.then(Op::Flatten)?;
    linear(&mut b, classes)?;
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

    /// Weights of the convolutions of one stage: width, bottleneck, groups and blocks, and what comes before it.
    fn stage_weights(width: usize, middle: usize, groups: usize, blocks: usize) -> usize {
        blocks * groups * (2 * width * middle + 7 * middle * middle)
    }

    #[test]
    fn large_networks_have_the_weights_and_macs_of_their_tables() {
        let (w1, w2, w3) = (stage_weights(8, 4, 8, 2), stage_weights(16, 16, 32, 3), stage_weights(16, 16, 128, 2));
        // Transitions read 64 / 32 and 512 / 128 channels per group.
        let (t1, t2) = (9 * 2 * 512, 9 * 4 * 2048);
        let net = imagenet().unwrap();
        let macs = 1024 * (147 * 64 + w1) + 256 * (t1 + w2) + 64 * (t2 + w3) + 2_048_000;
        assert_eq!(net.macs(), macs as u64);
        let norms = 64 + 2 * (32 + 32 + 64) + 512 + 9 * 512 + 2048 + 6 * 2048;
        let activated = 3 * 64 + 4 * 512 + 3 * 2048;
        let weights = 147 * 64 + w1 + t1 + w2 + t2 + w3 + 2_049_000;
        assert_eq!(net.parameters(), (weights + 2 * norms + 3 * activated) as u64);

        let (w1, w2, w3) = (stage_weights(8, 4, 8, 2), stage_weights(8, 8, 32, 3), stage_weights(8, 8, 128, 2));
        let (t1, t2) = (9 * 2 * 256, 9 * 2 * 1024);
        let macs = 1024 * (27 * 64 + w1) + 256 * (t1 + w2) + 64 * (t2 + w3) + 204_800;
        assert_eq!(tiny_imagenet().unwrap().macs(), macs as u64);
    }

    #[test]
    fn cifar10_parameters_macs_and_levels() {
        let net = cifar10().unwrap();
        let (at32, at16, at8) = ([864, 9216], [36_864, 36_864, 36_864], [73_728, 294_912, 294_912]);
        let sums: [u64; 3] = [at32.iter().sum(), at16.iter().sum(), at8.iter().sum()];
        let channels = 2 * 32 + 3 * 128 + 3 * 512;
        assert_eq!(net.parameters(), sums.iter().sum::<u64>() + 5 * channels + 5130);
        assert_eq!(net.macs(), 1024 * sums[0] + 256 * sums[1] + 64 * sums[2] + 5120);
        assert_eq!(net.levels(), 17);
    }

    #[test]
    fn cifar10_exrot_free_parameters_macs_and_levels() {
        let net = cifar10_exrot_free().unwrap();
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
