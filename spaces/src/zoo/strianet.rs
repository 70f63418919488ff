//! StriaNets for small images, after Cai et al., *Towards Zero Rotation and Beyond: Architecting Neural Networks for Fast
//! Secure Inference with Homomorphic Encryption*, SaTML 2026 (arXiv 2601.21287), with this project's slot-shift mixing.
//!
//! Widths are whole ciphertexts (Channel Packing-Aware Scaling): `C = n * c_n`, `c_n = slots / pad2(h * w)`.

use crate::blocks::{Mixing, StriaBlock, conv_bn_act, linear, pool, stria_block};
use crate::{Conv2d, GraphBuilder, GraphError, Kernel, KernelMask, NodeId, Op, Shape, TypedGraph};

const fn cross(size: usize) -> Kernel {
    Kernel { size, mask: KernelMask::Cross }
}

/// Five levels for N = 2^13 (4096 slots, 218 bits of modulus): blocks of 1024 slots, four per ciphertext, capacity 4 at
/// 28x28 and 16 at 14x14.
///
/// | part | shape after it | ciphertexts | levels |
/// |---|---|---|---|
/// | image | 1x28x28 | 1 (replicated by the client) | |
/// | conv 5x5, stride 2, dense | 64x14x14 | 4 | 1 |
/// | quadratic | 64x14x14 | 4 | 1 |
/// | StriaBlock, M = 32, Cross 5, fusable, squeeze with slot shift | 64x14x14 | 4 (2 inside) | 1 |
/// | quadratic | 64x14x14 | 4 | 1 |
/// | flatten, linear | 10 | 1 | 1 |
///
/// The stem is dense because one image channel costs no channel rotations once the client replicates it. The shift lets
/// the four blocks of a ciphertext see each other before the classifier, which mixes everything. Factored, the block has
/// 1/2 * 8/24 = 16.7 % of the internal rotations of a plain 5x5 convolution on its width and no external ones (the
/// paper: 19 % and none).
pub(super) fn mnist() -> Result<TypedGraph, GraphError> {
    let (groups, blocks) = (16, 4);
    let mut b = GraphBuilder::new(Shape::map(1, 28, 28))?;
    let input = b.last();
    let stem = conv_bn_act(&mut b, input, Conv2d { stride: 2, ..Conv2d::dense(64, 5) })?;
    stria_block(&mut b, stem, &fusable(32, cross(5), groups, blocks))?;
    b.then(Op::Flatten)?;
    linear(&mut b, 10)?;
    b.build()
}

/// Seventeen levels for N = 2^15 (16384 slots, 881 bits): blocks of 1024 slots, sixteen per ciphertext, capacity 16 at
/// 32x32, 64 at 16x16, 256 at 8x8. The bottleneck is one ciphertext in every stage, so the ratio M/C relaxes from 1/4 to
/// 1/2 as the capacity grows. Factored, the blocks have 20 internal rotations where plain 3x3 convolutions on their widths
/// have 144, 13.9 %, and no external ones (the paper: 19 % and none).
///
/// | part | shape after it | ciphertexts | levels |
/// |---|---|---|---|
/// | conv 3x3, dense; quadratic | 64x32x32 | 4 | 2 |
/// | 2 fusable StriaBlocks, M = 16, Cross 3 | 64x32x32 | 4 (1 inside) | 4 |
/// | conv 3x3, stride 2, 16 groups with slot shift; quadratic | 256x16x16 | 4 | 2 |
/// | 2 fusable StriaBlocks, M = 64, Cross 3 | 256x16x16 | 4 (1 inside) | 4 |
/// | conv 3x3, stride 2, 64 groups with slot shift; quadratic | 512x8x8 | 2 | 2 |
/// | 1 fusable StriaBlock, M = 256, Cross 3 | 512x8x8 | 2 (1 inside) | 2 |
/// | global average pool, linear | 10 | 1 | 1 |
pub(super) fn cifar10() -> Result<TypedGraph, GraphError> {
    let blocks = 16;
    let mut b = GraphBuilder::new(Shape::map(3, 32, 32))?;
    let input = b.last();
    let mut at = conv_bn_act(&mut b, input, Conv2d::dense(64, 3))?;
    at = stage(&mut b, at, 2, &fusable(16, cross(3), 16, blocks))?;
    let full3 = Kernel { size: 3, mask: KernelMask::Full };
    at = conv_bn_act(&mut b, at, Mixing::shifted(16, blocks).conv(256, full3, 2))?;
    at = stage(&mut b, at, 2, &fusable(64, cross(3), 64, blocks))?;
    at = conv_bn_act(&mut b, at, Mixing::shifted(64, blocks).conv(512, full3, 2))?;
    stage(&mut b, at, 1, &fusable(256, cross(3), 256, blocks))?;
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
        // Stem 64 * 25; block 32 * 4 + 32 * 2 * 9 + 64 * 2; linear 12544 * 10 + 10; norm 2 * (64 + 32 + 32 + 64);
        // quadratics 3 * 128.
        assert_eq!(net.parameters(), 1600 + 128 + 576 + 128 + 125_450 + 384 + 384);
        assert_eq!(net.macs(), 196 * (1600 + 128 + 576 + 128) + 125_440);
        assert_eq!((net.levels(), net.levels_factored()), (5, 7));
    }

    #[test]
    fn cifar10_parameters_macs_and_levels() {
        let net = cifar10().unwrap();
        // One StriaBlock has M * C / G + 5 M^2 / G + C * M / G weights.
        let (b1, b2, b3) = (64 + 80 + 64, 256 + 320 + 256, 512 + 1280 + 512);
        let (t1, t2) = (256 * 4 * 9, 512 * 4 * 9);
        let weights = 1728 + 2 * b1 + t1 + 2 * b2 + t2 + b3 + 5130;
        let norm = 64 + 2 * (32 + 64) + 256 + 2 * (128 + 256) + 512 + (512 + 512);
        let activated = 64 * 3 + 256 * 3 + 512 * 2;
        assert_eq!(net.parameters(), weights + 2 * norm + 3 * activated);
        assert_eq!(net.macs(), 1024 * (1728 + 2 * b1) + 256 * (t1 + 2 * b2) + 64 * (t2 + b3) + 5120);
        assert_eq!(net.levels(), 17);
    }
}
