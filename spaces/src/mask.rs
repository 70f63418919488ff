//! Pruned weights: which of them are zero for good. Training holds them there, the lowering leaves out what they alone
//! carried.

use std::collections::BTreeMap;

use crate::{NodeId, Op, TypedGraph, WeightError, WeightStore, param_specs};

/// Which values of which parameters are kept; of parameters that it does not name all are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct WeightMask {
    kept: BTreeMap<String, Vec<bool>>,
}

impl WeightMask {
    /// Keeps those weights of convolutions and fully connected layers that are not zero in `store`.
    ///
    /// # Errors
    ///
    /// [`WeightError::Missing`] where a layer of `graph` has no weights.
    pub fn of_zeros(graph: &TypedGraph, store: &WeightStore) -> Result<Self, WeightError> {
        let mut mask = Self::default();
        for id in graph.ids().filter(|&id| matches!(graph.node(id).op, Op::Conv2d(_) | Op::Linear(_))) {
            let name = format!("{id}.weight");
            let kept = store.get(&name)?.data.iter().map(|w| *w != 0.0).collect();
            mask.insert(name, kept);
        }
        Ok(mask)
    }

    /// Keeps of the parameter `name` the values where `kept` is true, in the order of its tensor.
    pub fn insert(&mut self, name: impl Into<String>, kept: Vec<bool>) {
        self.kept.insert(name.into(), kept);
    }

    /// Which weights of a convolution or fully connected layer are kept; `None` if all are.
    pub fn layer(&self, layer: NodeId) -> Option<&[bool]> {
        self.kept.get(&format!("{layer}.weight")).map(Vec::as_slice)
    }

    /// Number of values that are not kept.
    pub fn pruned(&self) -> usize {
        self.kept.values().flatten().filter(|kept| !**kept).count()
    }

    /// Sets what is not kept of a parameter to zero.
    pub fn apply(&self, name: &str, values: &mut [f32]) {
        if let Some(kept) = self.kept.get(name) {
            values.iter_mut().zip(kept).filter(|(_, kept)| !**kept).for_each(|(v, _)| *v = 0.0);
        }
    }

    /// The weights with zeros where they are not kept.
    #[must_use]
    pub fn masked(&self, weights: &WeightStore) -> WeightStore {
        let mut masked = WeightStore::default();
        for (name, tensor) in weights.iter() {
            let mut tensor = tensor.clone();
            self.apply(name, &mut tensor.data);
            masked.insert(name, tensor);
        }
        masked
    }

    /// Refuses a mask of another network.
    ///
    /// # Errors
    ///
    /// [`WeightError`] for a parameter that `graph` does not have, or of another size.
    pub fn check(&self, graph: &TypedGraph) -> Result<(), WeightError> {
        let specs = param_specs(graph);
        for (name, kept) in &self.kept {
            let Some(spec) = specs.iter().find(|s| s.name == *name) else {
                return Err(WeightError::Unknown { name: name.clone() });
            };
            if spec.shape.iter().product::<usize>() != kept.len() {
                let (name, got, expected) = (name.clone(), vec![kept.len()], spec.shape.clone());
                return Err(WeightError::Shape { name, got, expected });
            }
        }
        Ok(())
    }
}
