//! Residual networks (He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016).

use crate::blocks::{conv_bn_act, linear, pool, residual_block};
use crate::{Conv2d, GraphBuilder, GraphError, Op, Shape, TypedGraph};

/// The CIFAR-10 network of section 4.2 with n = 3: `3x32x32 -> 16x32x32 -> 32x16x16 -> 64x8x8 -> 64 -> 10`, three basic
/// blocks per stage, strided point convolutions as shortcuts (option B; the paper's CIFAR networks use option A, which
/// has 2,560 weights fewer), 39 levels.
pub(super) fn resnet20() -> Result<TypedGraph, GraphError> {
    let mut b = GraphBuilder::new(Shape::map(3, 32, 32))?;
    let input = b.last();
    let mut at = conv_bn_act(&mut b, input, Conv2d::dense(16, 3))?;
    for (channels, first_stride) in [(16, 1), (32, 2), (64, 2)] {
        for stride in [first_stride, 1, 1] {
            at = residual_block(&mut b, at, channels, stride)?;
        }
    }
    pool(&mut b, 8)?;
    b.then(Op::Flatten)?;
    linear(&mut b, 10)?;
    b.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_macs_and_levels() {
        let net = resnet20().unwrap();
        // He et al., Table 6: 0.27M parameters. Ours: 269,722 of option A (weights, norm, classifier), the two shortcuts
        // with their norms, and three coefficients for each of 16 * 7 + 32 * 6 + 64 * 6 activated channels.
        let shortcuts = 16 * 32 + 32 * 64 + 2 * (32 + 64);
        assert_eq!(net.parameters(), 269_722 + shortcuts + 3 * 688);
        // 40.55M of option A and 256 * 512 + 64 * 2048 of the shortcuts.
        assert_eq!(net.macs(), 40_551_040 + 262_144);
        assert_eq!(net.levels(), 39);
    }
}
