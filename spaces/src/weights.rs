//! Trained parameters as named f32 tensors, the meeting point of training and encrypted evaluation.
//!
//! Names are `"<node>.<parameter>"`, for example `n3.weight`. Which parameters a network has, and their shapes, follow
//! from its graph alone ([`param_specs`]). Files are safetensors.

use std::{collections::BTreeMap, path::Path};

use rand::{Rng, RngExt};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{Activation, Op, TypedGraph, WeightError};

/// A dense f32 tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Values; as many as the product of `shape`.
    pub data: Vec<f32>,
}

/// Name and shape of one parameter of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamSpec {
    /// `"<node>.<parameter>"`.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
}

/// The parameters of `graph` in node order: conv and linear `weight`, `bias`; batch norm `gamma`, `beta`, `mean`, `var`;
/// quadratic activation `a`, `b`, `c`.
pub fn param_specs(graph: &TypedGraph) -> Vec<ParamSpec> {
    let mut specs = Vec::new();
    for id in graph.ids() {
        let node = graph.node(id);
        let channels = node.shape.channels();
        let mut add = |name: &str, shape: Vec<usize>| specs.push(ParamSpec { name: format!("{id}.{name}"), shape });
        match &node.op {
            Op::Conv2d(conv) => {
                let in_channels = graph.shape(node.inputs[0]).channels();
                add("weight", vec![conv.out_channels, in_channels / conv.groups, conv.kernel.tap_count()]);
                if conv.bias {
                    add("bias", vec![conv.out_channels]);
                }
            }
            Op::Linear(linear) => {
                add("weight", vec![linear.out_features, graph.shape(node.inputs[0]).len()]);
                if linear.bias {
                    add("bias", vec![linear.out_features]);
                }
            }
            Op::BatchNorm => ["gamma", "beta", "mean", "var"].into_iter().for_each(|p| add(p, vec![channels])),
            Op::Activation(Activation::Quadratic) => ["a", "b", "c"].into_iter().for_each(|p| add(p, vec![channels])),
            Op::Input | Op::AvgPool(_) | Op::Activation(Activation::Relu) | Op::Add | Op::Flatten => {}
        }
    }
    specs
}

/// Named tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightStore {
    tensors: BTreeMap<String, Tensor>,
}

impl WeightStore {
    /// Random parameters for `graph` that keep values near one through any depth: weights scaled by their fan-in, batch
    /// norms that change little, quadratics close to a bent identity.
    pub fn random(graph: &TypedGraph, rng: &mut impl Rng) -> Self {
        let mut store = Self::default();
        for ParamSpec { name, shape } in param_specs(graph) {
            let len: usize = shape.iter().product();
            let fan_in = shape[1..].iter().product::<usize>().max(1) as f32;
            let bounds = match name.rsplit('.').next() {
                Some("weight") => -1.0..1.0,
                Some("bias" | "beta") => -0.2..0.2,
                Some("gamma" | "var") => 0.9..1.1,
                Some("a") => 0.1..0.3,
                Some("b") => 0.3..0.7,
                _ => -0.1..0.1,
            };
            let factor = if name.ends_with(".weight") { (3.0 / fan_in).sqrt() * 0.7 } else { 1.0 };
            let data = (0..len).map(|_| factor * rng.random_range(bounds.clone())).collect();
            store.insert(name, Tensor { shape, data });
        }
        store
    }

    /// Adds or replaces a tensor.
    ///
    /// # Panics
    /// If the number of values is not the product of the shape: a bug of the caller.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        assert_eq!(tensor.shape.iter().product::<usize>(), tensor.data.len(), "values of a tensor match its shape");
        self.tensors.insert(name.into(), tensor);
    }

    /// A tensor by name.
    pub fn get(&self, name: &str) -> Result<&Tensor, WeightError> {
        self.tensors.get(name).ok_or_else(|| WeightError::Missing { name: name.to_owned() })
    }

    /// All tensors, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Number of values in all tensors.
    pub fn value_count(&self) -> usize {
        self.tensors.values().map(|t| t.data.len()).sum()
    }

    /// Checks that the store holds exactly the parameters of `graph`, in their shapes, all finite.
    pub fn check(&self, graph: &TypedGraph) -> Result<(), WeightError> {
        let specs = param_specs(graph);
        for spec in &specs {
            let tensor = self.get(&spec.name)?;
            if tensor.shape != spec.shape {
                let (name, got, expected) = (spec.name.clone(), tensor.shape.clone(), spec.shape.clone());
                return Err(WeightError::Shape { name, got, expected });
            }
            if let Some(index) = tensor.data.iter().position(|v| !v.is_finite()) {
                return Err(WeightError::NotFinite { name: spec.name.clone(), index, value: tensor.data[index] });
            }
        }
        match self.tensors.keys().find(|name| !specs.iter().any(|s| s.name == **name)) {
            Some(name) => Err(WeightError::Unknown { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// Writes a safetensors file; it appears by rename, so a reader never sees half of it.
    pub fn save(&self, path: &Path) -> Result<(), WeightError> {
        let io = |source| WeightError::Io { path: path.to_owned(), source };
        let bytes: Vec<(&str, &Tensor, Vec<u8>)> =
            self.iter().map(|(name, t)| (name, t, t.data.iter().flat_map(|v| v.to_le_bytes()).collect())).collect();
        let format = |source| WeightError::Format { path: path.to_owned(), source };
        let views = bytes
            .iter()
            .map(|(name, t, data)| Ok((*name, TensorView::new(Dtype::F32, t.shape.clone(), data).map_err(format)?)))
            .collect::<Result<Vec<_>, WeightError>>()?;
        let file = safetensors::serialize(views, None).map_err(format)?;
        let partial = path.with_extension("partial");
        let written = fs_err::write(&partial, file).and_then(|()| fs_err::rename(&partial, path));
        if written.is_err() {
            // On a full disk what is half-written would take the room that the next attempt needs.
            let _ = fs_err::remove_file(&partial);
        }
        written.map_err(io)
    }

    /// Reads a safetensors file of f32 tensors.
    pub fn load(path: &Path) -> Result<Self, WeightError> {
        let bytes = fs_err::read(path).map_err(|source| WeightError::Io { path: path.to_owned(), source })?;
        Self::from_safetensors(&bytes, path)
    }

    /// Reads the contents of a safetensors file; `path` is where they came from, for messages.
    pub fn from_safetensors(bytes: &[u8], path: &Path) -> Result<Self, WeightError> {
        let format = |source| WeightError::Format { path: path.to_owned(), source };
        let file = SafeTensors::deserialize(bytes).map_err(format)?;
        let mut store = Self::default();
        for (name, view) in file.tensors() {
            if view.dtype() != Dtype::F32 {
                let dtype = format!("{:?}", view.dtype());
                return Err(WeightError::Type { path: path.to_owned(), name, dtype });
            }
            let data = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            store.insert(name, Tensor { shape: view.shape().to_vec(), data });
        }
        Ok(store)
    }
}
