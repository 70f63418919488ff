//! Pruned weights: which of them are zero for good. Training holds them there, the lowering leaves out what they alone
//! carried.

use std::collections::BTreeMap;

use crate::{NodeId, Op, TypedGraph, WeightError, WeightStore};

/// Which weights of a network's convolutions and fully connected layers are kept. Biases are never pruned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct WeightMask {
    /// By layer, for each weight in the order of its tensor; layers that keep all are left out.
    layers: BTreeMap<NodeId, Vec<bool>>,
}

impl WeightMask {
    /// Keeps the weights of `store` that are not zero.
    ///
    /// # Errors
    ///
    /// [`WeightError::Missing`] where a layer of `graph` has no weights.
    pub fn of_zeros(graph: &TypedGraph, store: &WeightStore) -> Result<Self, WeightError> {
        let mut mask = Self::default();
        for id in graph.ids().filter(|&id| matches!(graph.node(id).op, Op::Conv2d(_) | Op::Linear(_))) {
            mask.set(id, store.get(&format!("{id}.weight"))?.data.iter().map(|w| *w != 0.0).collect());
        }
        Ok(mask)
    }

    /// Says of each weight of a layer whether it is kept.
    pub fn set(&mut self, layer: NodeId, kept: Vec<bool>) {
        if kept.iter().all(|kept| *kept) {
            self.layers.remove(&layer);
        } else {
            self.layers.insert(layer, kept);
        }
    }

    /// The layers that lose weights, each with which of them it keeps.
    pub fn layers(&self) -> impl Iterator<Item = (NodeId, &[bool])> {
        self.layers.iter().map(|(layer, kept)| (*layer, kept.as_slice()))
    }

    /// Which weights of a layer are kept; `None` if all are.
    pub fn layer(&self, layer: NodeId) -> Option<&[bool]> {
        self.layers.get(&layer).map(Vec::as_slice)
    }

    /// Number of pruned weights.
    pub fn pruned(&self) -> usize {
        self.layers.values().flatten().filter(|kept| !**kept).count()
    }

    /// Sets the pruned weights of `store` to zero.
    ///
    /// # Errors
    ///
    /// [`WeightError`] where a layer's weights are missing or of another number.
    pub fn apply(&self, store: &mut WeightStore) -> Result<(), WeightError> {
        for (layer, kept) in &self.layers {
            let name = format!("{layer}.weight");
            let mut tensor = store.get(&name)?.clone();
            if tensor.data.len() != kept.len() {
                return Err(WeightError::Shape { name, got: tensor.shape, expected: vec![kept.len()] });
            }
            tensor.data.iter_mut().zip(kept).filter(|(_, kept)| !**kept).for_each(|(w, _)| *w = 0.0);
            store.insert(name, tensor);
        }
        Ok(())
    }
}
