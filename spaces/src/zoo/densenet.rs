//! DenseNet (Huang et al., *Densely Connected Convolutional Networks*, CVPR 2017).
//!
//! The IR has no concatenation and needs none: a convolution of concatenated maps is the sum of a convolution of each, with
//! the same weights, and that is how it is lowered, without moving a map. Batch norms in front of an activation are left
//! out: a quadratic of `g x + h` is a quadratic of `x`, with coefficients of its own for each layer that reads the map.

use crate::blocks::{conv_bn_act, pool};
use crate::{Activation, AvgPool, Conv2d, GraphBuilder, GraphError, Linear, NodeId, Op, Shape, TypedGraph};

/// New channels of each layer.
const GROWTH: usize = 32;

/// DenseNet-121 of Table 1: `3x224x224 -> 64x56x56`, dense blocks of 6, 12, 24 and 16 layers (1x1 to 128, 3x3 to 32), each
/// but the last closed by a 1x1 that halves the channels and an average pool; 1000 classes. The stem's maximum over 3x3 is
/// an average over 2x2.
pub(super) fn densenet121() -> Result<TypedGraph, GraphError> {
    let mut b = GraphBuilder::new(Shape::map(3, 224, 224))?;
    let input = b.last();
    conv_bn_act(&mut b, input, Conv2d { stride: 2, ..Conv2d::dense(64, 7) })?;
    let mut parts = vec![pool(&mut b, 2)?];
    for (block, layers) in [6, 12, 24, 16].into_iter().enumerate() {
        if block > 0 {
            let channels: usize = parts.iter().map(|&p| b.shape(p).channels()).sum();
            conv_of_all(&mut b, &parts, channels / 2)?;
            parts = vec![pool(&mut b, 2)?];
        }
        for _ in 0..layers {
            conv_of_all(&mut b, &parts, 4 * GROWTH)?;
            b.then(Op::Activation(Activation::Quadratic))?;
            parts.push(b.then(Op::Conv2d(Conv2d::dense(GROWTH, 3)))?);
        }
    }
    classifier(&mut b, &parts)?;
    b.build()
}

/// A point convolution of the activations of all parts, as if they were concatenated.
fn conv_of_all(b: &mut GraphBuilder, parts: &[NodeId], out_channels: usize) -> Result<NodeId, GraphError> {
    sum_of(b, parts, |b, part, _| {
        b.push(Op::Activation(Activation::Quadratic), &[part])?;
        b.then(Op::Conv2d(Conv2d::dense(out_channels, 1)))
    })
}

/// Global average of the activations of all parts and the linear layer on them; one part carries the bias.
fn classifier(b: &mut GraphBuilder, parts: &[NodeId]) -> Result<NodeId, GraphError> {
    sum_of(b, parts, |b, part, i| {
        b.push(Op::Activation(Activation::Quadratic), &[part])?;
        b.then(Op::AvgPool(AvgPool { size: 7, stride: 7 }))?;
        b.then(Op::Flatten)?;
        b.then(Op::Linear(Linear { out_features: 1000, bias: i == 0 }))
    })
}

/// The sum over the parts of what `term` makes of part `i`.
fn sum_of(
    b: &mut GraphBuilder,
    parts: &[NodeId],
    mut term: impl FnMut(&mut GraphBuilder, NodeId, usize) -> Result<NodeId, GraphError>,
) -> Result<NodeId, GraphError> {
    let mut sum = term(b, parts[0], 0)?;
    for (i, &part) in parts.iter().enumerate().skip(1) {
        let next = term(b, part, i)?;
        sum = b.push(Op::Add, &[sum, next])?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_macs() {
        // Exactly 7,978,856 with 83,648 of norms, of which the stem's 128 stay.
        let net = densenet121().unwrap();
        let activated = net.nodes().iter().filter(|n| matches!(n.op, Op::Activation(_)));
        let quadratics: usize = activated.map(|n| 3 * n.shape.channels()).sum();
        assert_eq!(net.parameters() - quadratics as u64, 7_978_856 - 83_648 + 128);
        // Huang et al., Table 1 and Figure 3: 2.8 G multiply-accumulates.
        assert_eq!(net.macs(), 2_834_161_664);
    }
}
