//! Convolutions with nothing but norms between them: the server may multiply their kernels out and run one convolution.
//!
//! That saves the truncations, encryptions and rounds between them, and rotates and multiplies on the outer widths. A bottleneck left
//! *factored* rotates its few inner ciphertexts only; *fused*, all of the outer ones.

use striae_spaces::{Grouping, NodeId, Op, Padding, TypedGraph};

use super::LinearLayer;
use super::layer::{ConvShape, Kind};

/// Whether such convolutions become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fusion {
    /// Where it takes less time from start to end over [`NetworkLink::LAN`](super::NetworkLink::LAN).
    #[default]
    Cheapest,
    /// Wherever it can be done.
    Always,
    /// Nowhere.
    Never,
}

/// Layers in a row, and the one layer that they can become; a layer on its own is both.
pub(super) struct Chain {
    pub(super) parts: Vec<LinearLayer>,
    pub(super) whole: LinearLayer,
}

/// Parts `layers` into chains, in the order of their first layers.
pub(super) fn chains(network: &TypedGraph, layers: Vec<LinearLayer>) -> Vec<Chain> {
    let consumers = network.consumers();
    let mut chains: Vec<Chain> = Vec::new();
    for layer in layers {
        let joins = |chain: &&mut Chain| follows(network, &consumers, chain.whole.result, layer.node);
        match chains.iter_mut().find(joins).and_then(|chain| Some((chain.whole.then(&layer)?, chain))) {
            Some((whole, chain)) => {
                chain.whole = whole;
                chain.parts.push(layer);
            }
            None => chains.push(Chain { parts: vec![layer.clone()], whole: layer }),
        }
    }
    chains
}

/// Whether `layer` reads what `result` gives, perhaps through norms, and nothing else does.
fn follows(network: &TypedGraph, consumers: &[Vec<NodeId>], result: NodeId, layer: NodeId) -> bool {
    let mut at = result;
    while let [next] = consumers[at.index()].as_slice() {
        if *next == layer {
            return true;
        }
        if network.node(*next).op != Op::BatchNorm {
            return false;
        }
        at = *next;
    }
    false
}

impl LinearLayer {
    /// This layer and then `next` as one, if one kernel can hold both.
    fn then(&self, next: &Self) -> Option<Self> {
        let (Kind::Conv(first), Kind::Conv(second)) = (&self.kind, &next.kind) else { return None };
        let kind = Kind::Conv(first.then(second)?);
        Some(Self { node: self.node, result: next.result, input: self.input, output: next.output, kind })
    }
}

impl ConvShape {
    /// Where both keep the maps and the groups, and one of them reads single pixels. A shift may only come first: behind other mixing it
    /// would widen the groups. Stripes that alternate between channels are a cross to whatever mixes these before.
    fn then(&self, next: &Self) -> Option<Self> {
        let regular = [self, next].iter().all(|c| c.stride == 1 && c.padding == Padding::Same);
        let aligned = match (self.grouping, next.grouping) {
            (Grouping::Contiguous, Grouping::Contiguous)
            | (Grouping::Interleaved | Grouping::Shifted { .. }, Grouping::Interleaved) => self.groups == next.groups,
            _ => false,
        };
        let dense = self.groups == 1 && next.groups == 1;
        let one_kernel = self.all_taps.len() == 1 || next.all_taps.len() == 1;
        (regular && one_kernel && (aligned || dense)).then(|| {
            let (taps, all_taps) = if self.all_taps.len() > 1 {
                (self.taps.clone(), self.all_taps.clone())
            } else {
                (next.all_taps.clone(), next.all_taps.clone())
            };
            Self { outs: next.outs, taps, all_taps, ..self.clone() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sums::linear_layers;
    use super::*;

    fn lengths(notation: &str) -> Vec<usize> {
        let network: TypedGraph = notation.parse().unwrap();
        chains(&network, linear_layers(&network)).iter().map(|c| c.parts.len()).collect()
    }

    #[test]
    fn blocks_without_activations_are_chains() {
        let block = "32x8x8: conv(16,k1,g8,shifted8) bn conv(16,k5,cross,g8,interleaved) bn conv(32,k1,g8,interleaved) bn add(n0) quad";
        assert_eq!(lengths(block), [3]);
        assert_eq!(lengths(&block.replace("bn conv(16", "quad conv(16")), [1, 2]);
        assert_eq!(lengths("8x8x8: conv(4,k3) conv(8,k3) conv(8,k1,s2)"), [1, 1, 1]);
        assert_eq!(
            lengths("8x8x8: conv(8,k1,g4,interleaved) conv(8,k3,g4,shifted4) conv(8,k1,g2,interleaved)"),
            [1, 1, 1]
        );
        // The first of two is also added to the result.
        assert_eq!(lengths("8x8x8: conv(8,k3) conv(8,k1) add(n1)"), [1, 1]);
    }

    #[test]
    fn a_fused_block_is_one_kernel_on_the_outer_widths() {
        let network: TypedGraph = "32x8x8: conv(16,k1) conv(16,k5,cross) conv(64,k1)".parse().unwrap();
        let [chain] = chains(&network, linear_layers(&network)).try_into().ok().unwrap();
        let same: TypedGraph = "32x8x8: conv(64,k5,cross)".parse().unwrap();
        assert_eq!(chain.whole.kind, LinearLayer::of(&same, NodeId(1)).unwrap().kind);
        let taps = |notation: &str| {
            let network: TypedGraph = notation.parse().unwrap();
            let [chain] = chains(&network, linear_layers(&network)).try_into().ok().unwrap();
            let Kind::Conv(conv) = chain.whole.kind else { panic!("a convolution") };
            conv.taps.len()
        };
        assert_eq!(taps("32x8x8: conv(16,k5,alternating) conv(64,k1)"), 5);
        assert_eq!(taps("32x8x8: conv(16,k1) conv(16,k5,alternating) conv(64,k1)"), 9);
    }
}
