//! LoLa (Brutzkus, Gilad-Bachrach and Elisha, *Low Latency Privacy Preserving Inference*, ICML 2019).

use crate::blocks::{conv_bn_act, linear, linear_act};
use crate::{Conv2d, GraphBuilder, GraphError, Op, Shape, TypedGraph};

/// LoLa-MNIST, which is the network of CryptoNets: `1x28x28 -> 5x14x14 -> 100 -> 10`, squares between, 5 levels. The paper
/// pads one row and one column and has 5x13x13; ours pads both sides.
pub(super) fn mnist() -> Result<TypedGraph, GraphError> {
    let mut b = GraphBuilder::new(Shape::map(1, 28, 28))?;
    let input = b.last();
    conv_bn_act(&mut b, input, Conv2d { stride: 2, ..Conv2d::dense(5, 5) })?;
    b.then(Op::Flatten)?;
    linear_act(&mut b, 100)?;
    linear(&mut b, 10)?;
    b.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_macs_and_levels() {
        let net = mnist().unwrap();
        let weights = 125 + 980 * 100 + 100 * 10;
        assert_eq!(net.parameters(), weights + (100 + 10) + 2 * 5 + 3 * (5 + 100));
        assert_eq!(net.macs(), 196 * 125 + 98_000 + 1000);
        assert_eq!(net.levels(), 5);
    }
}
