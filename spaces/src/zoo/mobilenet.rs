//! MobileNetV2 (Sandler et al., *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, CVPR 2018).

use crate::blocks::{conv_bn, conv_bn_act, linear, pool};
use crate::{Conv2d, GraphBuilder, GraphError, NodeId, Op, Shape, TypedGraph};

/// Table 2: expansion, channels, blocks, stride of the first.
const STAGES: [(usize, usize, usize, usize); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

/// `3x224x224 -> 32x112x112 -> .. -> 1280x7x7 -> 1000`, width multiplier 1, quadratics where the paper has ReLU6.
pub(super) fn v2() -> Result<TypedGraph, GraphError> {
    let mut b = GraphBuilder::new(Shape::map(3, 224, 224))?;
    let input = b.last();
    let mut at = conv_bn_act(&mut b, input, Conv2d { stride: 2, ..Conv2d::dense(32, 3) })?;
    for (expansion, channels, count, first_stride) in STAGES {
        for i in 0..count {
            at = inverted_residual(&mut b, at, expansion, channels, if i == 0 { first_stride } else { 1 })?;
        }
    }
    conv_bn_act(&mut b, at, Conv2d::dense(1280, 1))?;
    pool(&mut b, 7)?;
    b.then(Op::Flatten)?;
    linear(&mut b, 1000)?;
    b.build()
}

/// 1x1 to `expansion` times the channels, depthwise 3x3, linear 1x1 to `channels`; added to its input where shapes agree.
fn inverted_residual(
    b: &mut GraphBuilder,
    input: NodeId,
    expansion: usize,
    channels: usize,
    stride: usize,
) -> Result<NodeId, GraphError> {
    let before = b.shape(input).channels();
    let wide = expansion * before;
    let expanded = if expansion == 1 { input } else { conv_bn_act(b, input, Conv2d::dense(wide, 1))? };
    let moved = conv_bn_act(b, expanded, Conv2d { stride, groups: wide, ..Conv2d::dense(wide, 3) })?;
    let linear = conv_bn(b, moved, Conv2d::dense(channels, 1))?;
    if stride == 1 && before == channels { b.push(Op::Add, &[linear, input]) } else { Ok(linear) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_macs() {
        // Sandler et al., Table 4: 3.4 M parameters, 300 M multiply-adds; exactly 3,504,872 with norms and classifier.
        let net = v2().unwrap();
        let activated = net.nodes().iter().filter(|n| matches!(n.op, Op::Activation(_)));
        let quadratics: usize = activated.map(|n| 3 * n.shape.channels()).sum();
        assert_eq!(net.parameters() - quadratics as u64, 3_504_872);
        assert_eq!(net.macs(), 300_774_272);
    }
}
