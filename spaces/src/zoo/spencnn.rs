//! The networks of SpENCNN (Ran et al., *SpENCNN: Orchestrating Encoding and Sparsity for Fast Homomorphically Encrypted
//! Neural Network Inference*, ICML 2023, Table 2), with the widths that reproduce the counts the paper prints.
//!
//! The paper's own variants (Table 3) cut every convolution from the second on into G interleaved groups; at G = alpha,
//! the channels a ciphertext holds, no channel is rotated onto another. G = 1 is the dense network.

use crate::blocks::{Mixing, conv_bn_act, linear, linear_act, pool};
use crate::{Conv2d, GraphBuilder, GraphError, Kernel, KernelMask, Op, Shape, TypedGraph};

/// A convolution of `groups` interleaved groups.
fn conv(groups: usize, out_channels: usize, size: usize) -> Conv2d {
    let mixing = if groups == 1 { Mixing::DENSE } else { Mixing::interleaved(groups) };
    mixing.conv(out_channels, Kernel { size, mask: KernelMask::Full }, 1)
}

/// `1x28x28 -> 32x28x28 -> 32x14x14 -> 64x14x14 -> 64 -> 32 -> 10`, 7 levels.
pub(super) fn lenet_like(groups: usize) -> Result<TypedGraph, GraphError> {
    let mut b = GraphBuilder::new(Shape::map(1, 28, 28))?;
    let input = b.last();
    conv_bn_act(&mut b, input, Conv2d::dense(32, 5))?;
    let pooled = pool(&mut b, 2)?;
    conv_bn_act(&mut b, pooled, conv(groups, 64, 5))?;
    pool(&mut b, 14)?;
    b.then(Op::Flatten)?;
    linear_act(&mut b, 32)?;
    linear(&mut b, 10)?;
    b.build()
}

/// `3x32x32 -> 64x32x32 -> 64x16x16 -> 128x16x16 -> 128x16x16 -> 128x8x8 -> 4096 -> 4096 -> 10`, 11 levels.
///
/// The paper's 18,139 prunable sub-blocks at N = 16384 fix conv2's 64 and conv3's 128 input channels and FC layers that
/// read 8192 = 128 * 8 * 8, 4096 and 4096 values; the order of pools is that of the VGG-5 of DIET-SNN.
pub(super) fn vgg5(groups: usize) -> Result<TypedGraph, GraphError> {
    let mut b = GraphBuilder::new(Shape::map(3, 32, 32))?;
    let input = b.last();
    conv_bn_act(&mut b, input, Conv2d::dense(64, 3))?;
    let pooled = pool(&mut b, 2)?;
    let wide = conv_bn_act(&mut b, pooled, conv(groups, 128, 3))?;
    conv_bn_act(&mut b, wide, conv(groups, 128, 3))?;
    pool(&mut b, 2)?;
    b.then(Op::Flatten)?;
    linear_act(&mut b, 4096)?;
    linear_act(&mut b, 4096)?;
    linear(&mut b, 10)?;
    b.build()
}

/// `3x32x32 -> 64x32x32 -> 64x16x16 -> 128x16x16 -> 128x8x8 -> 256x8x8 -> 256x8x8 -> 256 -> 10`, 9 levels.
///
/// *Derived*: the paper does not print the widths. Its rotation shares for N = 16384 (capacity 8) fit 3x3 convolutions
/// whose inputs, from the second on, fill 56 ciphertexts; 64 + 128 + 256 = 448 = 8 * 56 channels is the plain doubling
/// ladder with that sum.
pub(super) fn hefnet(groups: usize) -> Result<TypedGraph, GraphError> {
    let mut b = GraphBuilder::new(Shape::map(3, 32, 32))?;
    let mut at = b.last();
    for (groups, channels) in [(1, 64), (groups, 128)] {
        conv_bn_act(&mut b, at, conv(groups, channels, 3))?;
        at = pool(&mut b, 2)?;
    }
    let wide = conv_bn_act(&mut b, at, conv(groups, 256, 3))?;
    conv_bn_act(&mut b, wide, conv(groups, 256, 3))?;
    pool(&mut b, 8)?;
    b.then(Op::Flatten)?;
    linear(&mut b, 10)?;
    b.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prunable sub-blocks as SpENCNN counts them at capacity `alpha`: `ceil(Ci / alpha) * alpha * K^2` per convolution
    /// (the first: `Ci * K^2`) and one per input of a fully connected layer.
    fn sub_blocks(net: &TypedGraph, alpha: usize) -> usize {
        let mut first = true;
        let mut sum = 0;
        for node in net.nodes() {
            let inputs = node.inputs.first().map_or(0, |&i| net.shape(i).channels());
            if let Op::Conv2d(conv) = &node.op {
                let filled = if first { inputs } else { inputs.div_ceil(alpha) * alpha };
                sum += filled * conv.kernel.tap_count();
                first = false;
            } else if let Op::Linear(_) = &node.op {
                sum += inputs;
            }
        }
        sum
    }

    #[test]
    fn sub_blocks_are_the_papers() {
        // SpENCNN section 4.2: 921 for LeNet-like at N = 8192, 18,139 for VGG-5 at N = 16384.
        assert_eq!(sub_blocks(&lenet_like(1).unwrap(), 4), 921);
        assert_eq!(sub_blocks(&vgg5(1).unwrap(), 8), 18_139);
    }

    #[test]
    fn hefnet_has_the_rotations_of_the_fit() {
        // SpENCNN Table 3, HEFNet: G = 4 leaves 24.53 % of the rotations, with 31 that no grouping touches.
        let net = hefnet(1).unwrap();
        let convs = net.nodes().iter().filter(|n| matches!(n.op, Op::Conv2d(_)));
        let cts: usize = convs.skip(1).map(|n| net.shape(n.inputs[0]).channels().div_ceil(8)).sum();
        let share = (cts * 17 + 31) as f64 / (cts * 71 + 31) as f64;
        assert!((share - 0.2453).abs() < 5e-5, "{share}");
    }

    #[test]
    fn parameters_macs_and_levels() {
        let of = |net: TypedGraph| (net.parameters(), net.macs(), net.levels());
        // Convolutions 800 + 51,200, linear 2,080 + 330, norm 2 * 96, quadratics 3 * 128.
        assert_eq!(of(lenet_like(1).unwrap()), (54_986, 784 * 800 + 196 * 51_200 + 2048 + 320, 7));
        let vgg_weights = 1728 + 73_728 + 147_456 + 8192 * 4096 + 4096 * 4096 + 40_960 + (4096 + 4096 + 10);
        let vgg_macs = 1024 * 1728 + 256 * (73_728 + 147_456) + 8192 * 4096 + 4096 * 4096 + 40_960;
        assert_eq!(of(vgg5(1).unwrap()), (vgg_weights + 2 * 320 + 3 * (320 + 8192), vgg_macs, 11));
        let hef_weights = 1728 + 73_728 + 294_912 + 589_824 + 2570;
        let hef_macs = 1024 * 1728 + 256 * 73_728 + 64 * (294_912 + 589_824) + 2560;
        assert_eq!(of(hefnet(1).unwrap()), (hef_weights + 5 * 704, hef_macs, 9));
    }

    #[test]
    fn groups_divide_the_weights_of_every_convolution_but_the_first() {
        let of = |net: TypedGraph| (net.parameters(), net.macs(), net.levels());
        for g in [4u64, 8, 32] {
            let saved = 51_200 - 51_200 / g;
            assert_eq!(
                of(lenet_like(g as usize).unwrap()),
                (54_986 - saved, 784 * 800 + 196 * (51_200 / g) + 2048 + 320, 7)
            );
        }
        let (vgg, (parameters, macs, levels)) = (of(vgg5(8).unwrap()), of(vgg5(1).unwrap()));
        let saved = (73_728 + 147_456) * 7 / 8;
        assert_eq!(vgg, (parameters - saved, macs - 256 * saved, levels));
        let (hef, (parameters, macs, levels)) = (of(hefnet(8).unwrap()), of(hefnet(1).unwrap()));
        let wide = (294_912 + 589_824) * 7 / 8;
        let saved = 73_728 * 7 / 8;
        assert_eq!(hef, (parameters - wide - saved, macs - 64 * wide - 256 * saved, levels));
    }
}
