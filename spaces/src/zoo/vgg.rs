//! VGG (Simonyan and Zisserman, *Very Deep Convolutional Networks for Large-Scale Image Recognition*, ICLR 2015).

use crate::blocks::{conv_bn_act, linear, linear_act, pool};
use crate::{Conv2d, GraphBuilder, GraphError, Op, Shape, TypedGraph};

/// Configuration A of Table 1: 11 layers.
pub(super) const VGG11: [usize; 5] = [1, 1, 2, 2, 2];
/// Configuration D: 16 layers.
pub(super) const VGG16: [usize; 5] = [2, 2, 3, 3, 3];

/// `3x224x224 -> 64 -> 128 -> 256 -> 512 -> 512x7x7 -> 4096 -> 4096 -> 1000` with `convs` 3x3 convolutions per stage, each
/// stage closed by an average pool where the paper has a maximum.
pub(super) fn vgg(convs: [usize; 5]) -> Result<TypedGraph, GraphError> {
    let mut b = GraphBuilder::new(Shape::map(3, 224, 224))?;
    let mut at = b.last();
    for (stage, count) in convs.into_iter().enumerate() {
        for _ in 0..count {
            at = conv_bn_act(&mut b, at, Conv2d::dense(512.min(64 << stage), 3))?;
        }
        at = pool(&mut b, 2)?;
    }
    b.then(Op::Flatten)?;
    linear_act(&mut b, 4096)?;
    linear_act(&mut b, 4096)?;
    linear(&mut b, 1000)?;
    b.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_macs() {
        // Simonyan and Zisserman, Table 2: 133 and 138 M parameters; exactly 132,863,336 and 138,357,544 of weights and
        // biases. Ours has norms instead of the convolutions' biases (one value more a channel), and quadratics.
        let published = [(VGG11, 132_863_336, 2752, 7_609_090_048_u64), (VGG16, 138_357_544, 4224, 15_470_264_320)];
        for (convs, parameters, channels, macs) in published {
            let net = vgg(convs).unwrap();
            assert_eq!(net.parameters(), parameters + channels + 3 * (channels + 2 * 4096));
            assert_eq!(net.macs(), macs);
            assert_eq!(net.levels(), 2 * convs.iter().sum::<usize>() + 5);
        }
    }
}
