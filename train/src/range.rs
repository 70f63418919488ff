//! Ranges of the values that enter activations, and of the logits: what CKKS needs to choose its scale and to bound its
//! error.

use serde::{Deserialize, Serialize};
use striae_spaces::{NodeId, Op, TypedGraph, WeightStore};

use crate::{Dataset, Model, TrainError, evaluate::check_shapes, layers::with};

/// Images per pass.
const BATCH: usize = 128;
/// Fraction of values above the recorded quantile.
const TAIL: f64 = 1e-4;

/// Range of one activation's input, or of the logits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationRange {
    /// The activation, or the output.
    pub node: NodeId,
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Magnitude that 99.99 % of the values stay within.
    pub quantile: f32,
}

/// Records over a data set the range of the input of every activation, in the network's order, and of the logits.
pub fn ranges(graph: &TypedGraph, weights: &WeightStore, data: &Dataset) -> Result<Vec<ActivationRange>, TrainError> {
    check_shapes(graph, data)?;
    let model = Model::from_weights(graph, weights)?;
    let activations = graph.ids().filter(|&id| matches!(graph.node(id).op, Op::Activation(_)));
    // The node, and where its values are.
    let mut places: Vec<(NodeId, NodeId)> = activations.map(|id| (id, graph.node(id).inputs[0])).collect();
    places.push((graph.output(), graph.output()));
    let mut records: Vec<Record> =
        places.iter().map(|&(_, at)| Record::new(graph.shape(at).len() * data.len())).collect();
    for start in (0..data.len()).step_by(BATCH) {
        let end = (start + BATCH).min(data.len());
        let values = model.eval_pass(&model.input(data.images(start..end))?)?;
        for ((_, at), record) in places.iter().zip(&mut records) {
            let value = values[at.index()].as_ref().expect("inputs of activations and the output are kept");
            with(value, |values| record.add(values))?;
        }
    }
    Ok(places.into_iter().zip(records).map(|((node, _), record)| record.finish(node)).collect())
}

/// Keeps the extremes and the magnitudes above the quantile, whose number is known beforehand.
struct Record {
    min: f32,
    max: f32,
    /// How many of the largest magnitudes to keep.
    keep: usize,
    largest: Vec<f32>,
    /// No magnitude below can be among the largest any more.
    floor: f32,
}

impl Record {
    fn new(count: usize) -> Self {
        let keep = (count as f64 * TAIL) as usize + 1;
        Self { min: f32::INFINITY, max: f32::NEG_INFINITY, keep, largest: Vec::new(), floor: 0.0 }
    }

    fn add(&mut self, values: &[f32]) {
        for chunk in values.chunks(256) {
            let (mut min, mut max) = (f32::INFINITY, f32::NEG_INFINITY);
            for &v in chunk {
                (min, max) = (if v < min { v } else { min }, if v > max { v } else { max });
            }
            (self.min, self.max) = (self.min.min(min), self.max.max(max));
            // Most chunks hold nothing large and need no second look.
            if max.max(-min) >= self.floor {
                self.largest.extend(chunk.iter().map(|v| v.abs()).filter(|v| *v >= self.floor));
            }
            if self.largest.len() >= 4 * self.keep + 1024 {
                self.shrink();
            }
        }
    }

    fn shrink(&mut self) {
        if self.largest.len() > self.keep {
            self.largest.select_nth_unstable_by(self.keep - 1, |a, b| b.total_cmp(a));
            self.largest.truncate(self.keep);
        }
        self.floor = self.largest.iter().copied().fold(f32::INFINITY, f32::min);
    }

    fn finish(mut self, node: NodeId) -> ActivationRange {
        self.shrink();
        ActivationRange { node, min: self.min, max: self.max, quantile: self.floor }
    }
}
