//! Layers whose results are only added to each other: one layer on all their inputs, as if these were concatenated.
//!
//! So DenseNet's concatenations are written in this IR. Counted one by one, each part would be packed, rotated and sent on its own.

use striae_spaces::{Op, Shape, TypedGraph};

use super::LinearLayer;
use super::layer::Kind;

/// The linear layers of a network in its order, sums of like ones joined.
pub(super) fn linear_layers(network: &TypedGraph) -> Vec<LinearLayer> {
    let consumers = network.consumers();
    let mut layers: Vec<LinearLayer> = Vec::new();
    for id in network.ids() {
        let Some(mut layer) = LinearLayer::of(network, id) else { continue };
        // Up through additions that are the only readers.
        while let [next] = consumers[layer.result.index()].as_slice()
            && network.node(*next).op == Op::Add
        {
            layer.result = *next;
        }
        let addition = layer.result != id;
        match layers.iter_mut().rev().find(|l| addition && l.result == layer.result).map(|l| l.join(&layer)) {
            Some(true) => {}
            // One operand of the addition is something else, so this layer's own result is sent.
            Some(false) | None => layers.push(layer),
        }
    }
    layers
}

impl LinearLayer {
    /// Takes in a layer whose result is added to this one's; false if they are not alike.
    fn join(&mut self, other: &Self) -> bool {
        match (&mut self.kind, &other.kind) {
            (Kind::Conv(conv), Kind::Conv(more)) => {
                let mut alike = more.clone();
                alike.ins = conv.ins;
                if conv.groups != 1 || alike != *conv {
                    return false;
                }
                conv.ins += more.ins;
                let (height, width) = self.input.spatial();
                self.input = Shape::map(conv.ins, height, width);
            }
            (Kind::Dense { columns, rows }, Kind::Dense { columns: more, rows: same }) if rows == same => {
                *columns += more;
                self.input = Shape::vector(*columns);
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use striae_spaces::{Conv2d, GraphBuilder, GraphError, Linear, NodeId};

    use super::*;

    /// A sum of layers on `parts` convolutions of 16 channels, and the same as one layer on one convolution of them all.
    fn split_and_whole(
        parts: usize,
        layer: impl Fn(&mut GraphBuilder, usize) -> Result<NodeId, GraphError>,
    ) -> [LinearLayer; 2] {
        let build = |parts: usize, channels: usize| -> Result<TypedGraph, GraphError> {
            let mut b = GraphBuilder::new(Shape::map(3, 16, 16))?;
            let image = b.last();
            let mut sum = None;
            for part in 0..parts {
                b.push(Op::Conv2d(Conv2d::dense(channels, 3)), &[image])?;
                b.then(Op::Activation(striae_spaces::Activation::Relu))?;
                let term = layer(&mut b, part)?;
                sum = Some(sum.map_or(Ok(term), |sum| b.push(Op::Add, &[sum, term]))?);
            }
            b.build()
        };
        let last = |graph: TypedGraph| {
            let leaves_the_output = |l: &LinearLayer| l.result == graph.output();
            linear_layers(&graph).into_iter().find(leaves_the_output).unwrap()
        };
        [last(build(parts, 16).unwrap()), last(build(1, 16 * parts).unwrap())]
    }

    #[test]
    fn a_sum_is_a_layer_on_the_concatenation() {
        let convolution = |b: &mut GraphBuilder, _| b.then(Op::Conv2d(Conv2d::dense(40, 1)));
        let classifier = |b: &mut GraphBuilder, part| {
            b.then(Op::Flatten)?;
            b.then(Op::Linear(Linear { out_features: 10, bias: part == 0 }))
        };
        for [split, whole] in [split_and_whole(5, convolution), split_and_whole(5, classifier)] {
            assert_eq!((&split.kind, split.input, split.output), (&whole.kind, whole.input, whole.output));
            assert_ne!(split.result, split.node);
        }
    }

    #[test]
    fn unlike_layers_and_shortcuts_stay_apart() {
        let unlike = |b: &mut GraphBuilder, part| b.then(Op::Conv2d(Conv2d::dense(40, 1 + 2 * part)));
        assert_eq!(split_and_whole(2, unlike)[0].input.channels(), 16);
        let net = striae_spaces::zoo::build("resnet20").unwrap();
        let alone: Vec<LinearLayer> = net.ids().filter_map(|id| LinearLayer::of(&net, id)).collect();
        assert_eq!(linear_layers(&net), alone);
    }
}
