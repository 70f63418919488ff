//! The rectifier twin of a quadratic network: the same graph with a rectifier in place of each quadratic.

use striae_spaces::{Activation, GraphBuilder, Op, TypedGraph, WeightStore};

use crate::TrainError;

/// The twin; nodes keep their numbers. It is what hybrid protocols run: two-party computation does rectifiers.
///
/// # Errors
/// None for a network that was built: a rectifier has the shape of the quadratic.
pub fn rectifier_twin(graph: &TypedGraph) -> Result<TypedGraph, TrainError> {
    let mut builder = GraphBuilder::new(graph.input_shape())?;
    for node in graph.nodes().iter().skip(1) {
        let quadratic = node.op == Op::Activation(Activation::Quadratic);
        let op = if quadratic { Op::Activation(Activation::Relu) } else { node.op.clone() };
        builder.push(op, &node.inputs)?;
    }
    Ok(builder.build()?)
}

/// `fresh` with all that the twin has learnt: everything but the coefficients of the quadratics.
pub(crate) fn inherit(fresh: &WeightStore, twin: &WeightStore) -> WeightStore {
    let mut weights = fresh.clone();
    twin.iter().for_each(|(name, tensor)| weights.insert(name, tensor.clone()));
    weights
}
