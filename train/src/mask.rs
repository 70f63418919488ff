//! Weights that stay zero: what is left of a network after pruning.

use std::collections::BTreeMap;

use striae_spaces::{TypedGraph, WeightError, WeightStore};

use crate::TrainError;

/// Which values of which parameters are kept; parameters that it does not name are kept whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightMask {
    kept: BTreeMap<String, Vec<bool>>,
}

impl WeightMask {
    /// Keeps of the parameter `name` the values where `kept` is true, in the order of its tensor.
    pub fn insert(&mut self, name: impl Into<String>, kept: Vec<bool>) {
        self.kept.insert(name.into(), kept);
    }

    /// The parameters it names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[bool])> {
        self.kept.iter().map(|(name, kept)| (name.as_str(), kept.as_slice()))
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
    pub(crate) fn check(&self, graph: &TypedGraph) -> Result<(), TrainError> {
        let specs = striae_spaces::param_specs(graph);
        for (name, kept) in &self.kept {
            let Some(spec) = specs.iter().find(|s| s.name == *name) else {
                return Err(WeightError::Unknown { name: name.clone() }.into());
            };
            if spec.shape.iter().product::<usize>() != kept.len() {
                let (name, got, expected) = (name.clone(), vec![kept.len()], spec.shape.clone());
                return Err(WeightError::Shape { name, got, expected }.into());
            }
        }
        Ok(())
    }
}
