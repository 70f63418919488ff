//! Networks with random weights for the tests of circuits.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use striae_spaces::{GraphBuilder, NodeId, Op, TypedGraph};

pub(crate) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// The network with its batch norms left out and biases in their place, as folding leaves it.
pub(crate) fn folded(graph: &TypedGraph) -> TypedGraph {
    let mut builder = GraphBuilder::new(graph.input_shape()).unwrap();
    let mut map = vec![NodeId(0)];
    for id in graph.ids().skip(1) {
        let node = graph.node(id);
        let inputs: Vec<NodeId> = node.inputs.iter().map(|i| map[i.index()]).collect();
        let op = match &node.op {
            Op::BatchNorm => {
                map.push(inputs[0]);
                continue;
            }
            Op::Conv2d(conv) => Op::Conv2d(striae_spaces::Conv2d { bias: true, ..conv.clone() }),
            other @ (Op::Input | Op::Linear(_) | Op::AvgPool(_) | Op::Activation(_) | Op::Add | Op::Flatten) => {
                other.clone()
            }
        };
        map.push(builder.push(op, &inputs).unwrap());
    }
    builder.build().unwrap()
}

/// A random image.
pub(crate) fn image(graph: &TypedGraph, rng: &mut impl Rng) -> Vec<f32> {
    (0..graph.input_shape().len()).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Largest difference, relative to the largest expected magnitude.
pub(crate) fn relative_error(got: &[f64], expected: &[f64]) -> f64 {
    let scale = expected.iter().fold(1e-300, |m: f64, v| m.max(v.abs()));
    assert_eq!(got.len(), expected.len());
    got.iter().zip(expected).map(|(g, e)| (g - e).abs()).fold(0.0, f64::max) / scale
}
