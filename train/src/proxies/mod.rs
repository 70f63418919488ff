//! Zero-cost proxies: scores of networks at their initial weights, on one batch or none, that are hoped to rank them as
//! training would.
//!
//! All are written for networks with quadratic activations. What they are worth in a space has to be measured there, by
//! `striae proxies`.

mod kernels;
mod synflow;

use std::fmt;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use striae_spaces::{Activation, NodeId, Op, TypedGraph};

use crate::{
    Dataset, Model, SeedTree, TrainError,
    evaluate::check_shapes,
    layers::{Bounds, Loss, targets, with},
    pass::Pass,
};

/// A score without training; larger is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proxy {
    /// Logarithm of the number of parameters: the baseline that a proxy has to beat.
    Parameters,
    /// Logarithm of the synaptic flow (Tanaka et al. 2020): the sum over all weights of weight times gradient, of the linear
    /// network of their magnitudes.
    Synflow,
    /// Norm of the loss's gradient on one batch (Abdelfattah et al. 2021).
    GradientNorm,
    /// Log-determinant of the kernel that counts equal signs of the inputs of all activations (NASWOT, Mellor et al. 2021).
    /// A quadratic has no linear regions; the signs tell images apart all the same.
    SignPatterns,
    /// Log-determinant of the mean cosine kernel of the outputs of all activations.
    ActivationKernel,
    /// Alignment of the centred kernel of the features before the classifier with that of the labels (Cortes et al. 2012).
    Alignment,
}

impl Proxy {
    /// All.
    pub const ALL: [Self; 6] = [
        Self::Parameters,
        Self::Synflow,
        Self::GradientNorm,
        Self::SignPatterns,
        Self::ActivationKernel,
        Self::Alignment,
    ];

    /// Name in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parameters => "parameters",
            Self::Synflow => "synflow",
            Self::GradientNorm => "gradient-norm",
            Self::SignPatterns => "sign-patterns",
            Self::ActivationKernel => "activation-kernel",
            Self::Alignment => "alignment",
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The scores of `graph` with initial weights drawn from `seed`, on all of `batch`, which should be some dozens of images; in
/// the order of [`Proxy::ALL`].
pub fn scores(graph: &TypedGraph, batch: &Dataset, seed: &SeedTree) -> Result<[f64; 6], TrainError> {
    check_shapes(graph, batch)?;
    if batch.len() < 2 {
        let expected = "at least 2: the kernels compare images";
        return Err(TrainError::Config { field: "images of a proxy", value: batch.len() as f64, expected });
    }
    let model = Model::new(graph, &seed.child("weights"))?;
    // Bounds of no weight keep the inputs of activations.
    let bounds = Some(Bounds { limit: 0.0, weight: 0.0, clamp: f32::INFINITY });
    let pass = model.train_pass(&model.input(batch.images(0..batch.len()))?, bounds)?;
    let targets = targets(batch.labels(), graph.output_shape().len(), 0.0);
    let (_, logits) = Loss { targets: &targets, teacher: None }.value_and_grad(pass.logits())?;
    let mut square = 0.0;
    for grad in model.gradients(&pass, logits)?.values() {
        square += with(grad, |g| g.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>())?;
    }
    let (inputs, outputs) = activations(graph);
    let features = graph.node(graph.output()).inputs[0];
    Ok([
        (graph.parameters() as f64).ln(),
        synflow::score(graph, &model)?,
        square.sqrt(),
        kernels::sign_patterns(&rows(&pass, &inputs)?)?,
        kernels::cosine(&rows(&pass, &outputs)?)?,
        kernels::alignment(&rows(&pass, &[features])?[0], batch.labels())?,
    ])
}

/// Inputs and outputs of the activations.
fn activations(graph: &TypedGraph) -> (Vec<NodeId>, Vec<NodeId>) {
    let is_activation =
        |id: &NodeId| matches!(graph.node(*id).op, Op::Activation(Activation::Quadratic | Activation::Relu));
    let outputs: Vec<NodeId> = graph.ids().filter(is_activation).collect();
    (outputs.iter().map(|id| graph.node(*id).inputs[0]).collect(), outputs)
}

/// The values of each of the nodes, as `[images, units]`.
fn rows(pass: &Pass, nodes: &[NodeId]) -> Result<Vec<Tensor>, TrainError> {
    Ok(nodes.iter().map(|id| pass.value(*id).flatten_from(1)).collect::<candle_core::Result<_>>()?)
}

#[cfg(test)]
mod tests;
