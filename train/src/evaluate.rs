//! Accuracy, loss and logits of a network with given weights.

use serde::{Deserialize, Serialize};
use striae_spaces::{Shape, TypedGraph, WeightStore};

use crate::{Dataset, Model, TrainError};

/// How well a network does on a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Fraction of images whose largest logit is that of their label.
    pub accuracy: f64,
    /// Mean cross entropy.
    pub loss: f64,
    /// Number of images.
    pub images: usize,
    /// Images by label, then by predicted class.
    pub confusion: Vec<Vec<u32>>,
}

/// Evaluates in batches of `batch` images.
pub fn evaluate(
    graph: &TypedGraph,
    weights: &WeightStore,
    data: &Dataset,
    batch: usize,
) -> Result<Evaluation, TrainError> {
    evaluate_model(&Model::from_weights(graph, weights)?, data, batch)
}

pub(crate) fn evaluate_model(model: &Model, data: &Dataset, batch: usize) -> Result<Evaluation, TrainError> {
    check_shapes(model.graph(), data)?;
    let classes = model.graph().output_shape().len();
    let mut confusion = vec![vec![0; classes]; data.classes()];
    let mut loss = 0.0;
    for start in (0..data.len()).step_by(batch.max(1)) {
        let end = (start + batch.max(1)).min(data.len());
        let rows = model_logits(model, data.images(start..end))?;
        for (row, &label) in rows.iter().zip(&data.labels()[start..end]) {
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row.iter().map(|v| f64::from(v - max).exp()).sum();
            loss += sum.ln() - f64::from(row[usize::from(label)] - max);
            confusion[usize::from(label)][argmax(row)] += 1;
        }
    }
    let right: u32 = confusion.iter().enumerate().map(|(i, row)| row[i]).sum();
    let images = data.len().max(1) as f64;
    Ok(Evaluation { accuracy: f64::from(right) / images, loss: loss / images, images: data.len(), confusion })
}

/// The logits of normalised images that lie one after the other.
pub fn logits(graph: &TypedGraph, weights: &WeightStore, images: &[f32]) -> Result<Vec<Vec<f32>>, TrainError> {
    let model = Model::from_weights(graph, weights)?;
    let len = graph.input_shape().len();
    if images.is_empty() || !images.len().is_multiple_of(len) {
        let expected = "whole images, at least one";
        return Err(TrainError::Config { field: "number of pixels", value: images.len() as f64, expected });
    }
    let mut rows = Vec::new();
    for images in images.chunks(64 * len) {
        rows.extend(model_logits(&model, images.to_vec())?);
    }
    Ok(rows)
}

pub(crate) fn model_logits(model: &Model, images: Vec<f32>) -> Result<Vec<Vec<f32>>, TrainError> {
    let values = model.eval_pass(&model.input(images)?)?;
    let output = values.last().and_then(Option::as_ref).expect("the output is kept");
    Ok(output.to_vec2()?)
}

/// Index of the largest value; the first of several, 0 if none is a number.
pub(crate) fn argmax(row: &[f32]) -> usize {
    let better = |best: usize, i: usize| if row[i] > row[best] || row[best].is_nan() { i } else { best };
    (1..row.len()).fold(0, better)
}

pub(crate) fn check_shapes(graph: &TypedGraph, data: &Dataset) -> Result<(), TrainError> {
    let (network, output) = (graph.input_shape(), graph.output_shape());
    let vector = matches!(output, Shape::Vector { .. });
    if network != data.shape() || output.len() < data.classes() || !vector {
        let (images, classes, outputs) = (data.shape(), data.classes(), output.len());
        return Err(TrainError::Mismatch { network, outputs, images, classes });
    }
    Ok(())
}
