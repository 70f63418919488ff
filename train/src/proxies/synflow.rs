//! Synaptic flow: how much reaches the output through all paths of a network.

use std::collections::BTreeMap;

use striae_spaces::{GraphBuilder, NodeId, Op, Tensor, TypedGraph, WeightStore, param_specs};

use crate::{
    Model, TrainError,
    layers::{Value, with},
};

/// Logarithm of the sum over all weights of weight times gradient, where weights are magnitudes, the image is all ones,
/// batch norms and activations are the identity, and the outputs are added up.
pub(super) fn score(graph: &TypedGraph, model: &Model) -> Result<f64, TrainError> {
    let (linear, weights) = magnitudes(graph, model)?;
    let model = Model::from_weights(&linear, &weights)?;
    let pass = model.train_pass(&model.input(vec![1.0; linear.input_shape().len()])?, None)?;
    let grads = model.gradients(&pass, Value::foreign(pass.logits().ones_like()?))?;
    let mut sum = 0.0;
    for (name, grad) in &grads {
        let weights = &weights.get(name)?.data;
        let product = |g: &[f32]| g.iter().zip(weights).map(|(g, w)| f64::from(*g) * f64::from(*w)).sum::<f64>();
        sum += with(grad, product)?;
    }
    Ok(sum.ln())
}

/// The network without batch norms and activations, and its weights' magnitudes.
fn magnitudes(graph: &TypedGraph, model: &Model) -> Result<(TypedGraph, WeightStore), TrainError> {
    let mut builder = GraphBuilder::new(graph.input_shape())?;
    // Where each node's value is in the new network, and where its layers come from.
    let mut places = vec![NodeId(0)];
    let mut sources = BTreeMap::new();
    for id in graph.ids().skip(1) {
        let node = graph.node(id);
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| places[input.index()]).collect();
        let place = match &node.op {
            Op::BatchNorm | Op::Activation(_) => inputs[0],
            op @ (Op::Input | Op::Conv2d(_) | Op::Linear(_) | Op::AvgPool(_) | Op::Add | Op::Flatten) => {
                builder.push(op.clone(), &inputs)?
            }
        };
        sources.entry(place.to_string()).or_insert_with(|| id.to_string());
        places.push(place);
    }
    let linear = builder.build()?;
    let mut weights = WeightStore::default();
    for spec in param_specs(&linear) {
        let (node, name) = spec.name.split_once('.').expect("names are node.parameter");
        let data = model.values(&format!("{}.{name}", sources[node]))?.into_iter().map(f32::abs).collect();
        weights.insert(spec.name, Tensor { shape: spec.shape, data });
    }
    Ok((linear, weights))
}
