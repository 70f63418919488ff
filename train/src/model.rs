//! A typed graph with its parameters as candle tensors.
//!
//! Initial weights: He's normal distribution for convolutions and linear layers. Quadratic activations after a batch norm
//! start as the Hermite expansion of the rectifier to degree two, `u^2/sqrt(8 pi) + u/2 + 1/sqrt(8 pi)` (AESPA, Park et
//! al. 2022), with less curvature the more of them there are: every square makes the distribution of its values more
//! heavy-tailed, until single pixels dominate the statistics of the next batch norm. Others, after residual additions for
//! example, start as an identity with the least curvature, and batch norms that end a residual branch start small: squares
//! of squares along the trunk would overflow otherwise. Encrypted evaluation divides by `a`, so training keeps `|a|` at
//! [`MIN_CURVATURE`] or more. In Hermite form all start as the rectifier's expansion.

use std::{collections::BTreeMap, f32::consts::PI, sync::Arc};

use candle_core::{Device, Tensor};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use striae_spaces::{Activation, NodeId, Op, Shape, TypedGraph, WeightStore, param_specs};

use crate::{
    Quadratics, SeedTree, TrainError,
    layers::{ConvPlan, Value},
};

/// Smallest magnitude of a quadratic activation's `a`.
pub const MIN_CURVATURE: f32 = 0.02;

/// Initial scale of a batch norm that is added to a residual trunk.
const BRANCH_SCALE: f32 = 0.25;

/// Number of quadratic activations up to which they start with the rectifier's full curvature.
const SHALLOW: f32 = 4.0;

/// A network with its parameters.
pub struct Model {
    graph: TypedGraph,
    /// Parameters by name; running statistics too, also those of Hermite bases.
    params: BTreeMap<String, Tensor>,
    /// Where the parameters are.
    device: Device,
    quadratics: Quadratics,
    /// Share of each quadratic activation in its value; a rectifier has the rest.
    replaced: f32,
    convs: Vec<Option<Arc<ConvPlan>>>,
    consumers: Vec<Vec<NodeId>>,
}

impl Model {
    /// A network with initial weights drawn from `seed`.
    pub fn new(graph: &TypedGraph, seed: &SeedTree) -> Result<Self, TrainError> {
        Self::from_weights(graph, &initial_weights(graph, seed))
    }

    /// A network with given weights.
    pub fn from_weights(graph: &TypedGraph, weights: &WeightStore) -> Result<Self, TrainError> {
        weights.check(graph)?;
        let mut params = BTreeMap::new();
        for (name, tensor) in weights.iter() {
            let values = Tensor::from_vec(tensor.data.clone(), tensor.shape.as_slice(), &Device::Cpu)?;
            params.insert(name.to_owned(), values);
        }
        let plan = |node: &striae_spaces::Node| {
            let Op::Conv2d(conv) = &node.op else { return None };
            Some(Arc::new(ConvPlan::new(conv, graph.shape(node.inputs[0]), node.shape)))
        };
        let convs = graph.nodes().iter().map(plan).collect();
        let (graph, consumers) = (graph.clone(), graph.consumers());
        let device = Device::Cpu;
        Ok(Self { graph, params, device, quadratics: Quadratics::Plain, replaced: 1.0, convs, consumers })
    }

    /// The same network with other parameters: all that [`Model::params`] has, in their shapes.
    pub(crate) fn with_params(&self, params: BTreeMap<String, Tensor>) -> Self {
        let (graph, convs, consumers) = (self.graph.clone(), self.convs.clone(), self.consumers.clone());
        let device = self.device.clone();
        Self { graph, params, device, quadratics: self.quadratics, replaced: self.replaced, convs, consumers }
    }

    /// The network with its parameters on a device; passes run there.
    pub(crate) fn on(mut self, device: &Device) -> Result<Self, TrainError> {
        for param in self.params.values_mut() {
            *param = param.to_device(device)?;
        }
        self.device = device.clone();
        Ok(self)
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// The network.
    pub fn graph(&self) -> &TypedGraph {
        &self.graph
    }

    /// The parameters, Hermite forms folded.
    pub fn weights(&self) -> Result<WeightStore, TrainError> {
        let mut store = WeightStore::default();
        for spec in param_specs(&self.graph) {
            let data = self.values(&spec.name)?;
            store.insert(spec.name, striae_spaces::Tensor { shape: spec.shape, data });
        }
        for id in self.quadratic_nodes() {
            for (name, data) in ["a", "b", "c"].into_iter().zip(self.folded(id)?) {
                store.insert(format!("{id}.{name}"), striae_spaces::Tensor { shape: vec![data.len()], data });
            }
        }
        Ok(store)
    }

    /// How its quadratic activations are parametrised.
    pub(crate) fn quadratics(&self) -> Quadratics {
        self.quadratics
    }

    /// Share of each quadratic activation in its value.
    pub(crate) fn replaced(&self) -> f32 {
        self.replaced
    }

    /// Mixes quadratic activations with rectifiers: `share` of each value is the quadratic's.
    pub(crate) fn replace(&mut self, share: f32) {
        self.replaced = share;
    }

    /// The quadratic activations.
    pub(crate) fn quadratic_nodes(&self) -> Vec<NodeId> {
        self.graph.ids().filter(|&id| self.graph.node(id).op == Op::Activation(Activation::Quadratic)).collect()
    }

    /// Every parameter by name.
    pub(crate) fn params(&self) -> &BTreeMap<String, Tensor> {
        &self.params
    }

    /// The values of a parameter.
    pub(crate) fn values(&self, name: &str) -> Result<Vec<f32>, TrainError> {
        Ok(self.params[name].flatten_all()?.to_vec1()?)
    }

    /// Replaces the values of a parameter.
    pub(crate) fn set(&mut self, name: &str, values: Vec<f32>) -> Result<(), TrainError> {
        let param = self.params.get_mut(name).expect("a parameter of this network");
        *param = Tensor::from_vec(values, param.shape(), &self.device)?;
        Ok(())
    }

    /// Adds running statistics that the graph does not list, and with them another form of its quadratics.
    pub(crate) fn extend(&mut self, quadratics: Quadratics, values: impl IntoIterator<Item = (String, Vec<f32>)>) {
        self.quadratics = quadratics;
        for (name, values) in values {
            let param = Tensor::from_vec(values.clone(), values.len(), &self.device);
            self.params.insert(name, param.expect("as many values as the shape says"));
        }
    }

    pub(crate) fn param(&self, id: NodeId, name: &str) -> &Tensor {
        &self.params[&format!("{id}.{name}")]
    }

    pub(crate) fn conv(&self, id: NodeId) -> Arc<ConvPlan> {
        self.convs[id.index()].clone().expect("every convolution is planned")
    }

    pub(crate) fn consumers(&self, id: NodeId) -> &[NodeId] {
        &self.consumers[id.index()]
    }

    /// A batch as a tensor.
    pub(crate) fn input(&self, images: Vec<f32>) -> Result<Value, TrainError> {
        let shape = self.graph.input_shape();
        let batch = images.len() / shape.len();
        let dims = match shape {
            Shape::Map { channels, height, width } => vec![batch, channels, height, width],
            Shape::Vector { features } => vec![batch, features],
        };
        Ok(Value::foreign(Tensor::from_vec(images, dims, &self.device)?))
    }
}

fn initial_weights(graph: &TypedGraph, seed: &SeedTree) -> WeightStore {
    let hermite = 1.0 / (8.0 * PI).sqrt();
    let quadratics = graph.nodes().iter().filter(|n| n.op == Op::Activation(Activation::Quadratic)).count();
    let curvature = (hermite * SHALLOW / (quadratics.max(1) as f32).max(SHALLOW)).max(MIN_CURVATURE);
    let consumers = graph.consumers();
    let mut store = WeightStore::default();
    for spec in param_specs(graph) {
        let (node, name) = spec.name.split_once('.').expect("names are node.parameter");
        let id = graph.ids().find(|id| id.to_string() == node).expect("the node exists");
        let after_norm = graph.node(id).inputs.iter().any(|&i| graph.node(i).op == Op::BatchNorm);
        let count = spec.shape.iter().product::<usize>();
        let data = match name {
            "weight" => {
                let fan_in: usize = spec.shape[1..].iter().product();
                let gain = if id == graph.output() { 1.0 } else { 2.0 };
                let std = (gain / fan_in as f32).sqrt();
                let mut rng = seed.child(&spec.name).rng();
                (0..count).map(|_| std * normal(&mut rng)).collect()
            }
            "gamma" if consumers[id.index()].iter().all(|&r| graph.node(r).op == Op::Add) => vec![BRANCH_SCALE; count],
            "gamma" | "var" => vec![1.0; count],
            "a" => vec![if after_norm { curvature } else { MIN_CURVATURE }; count],
            "b" => vec![if after_norm { 0.5 } else { 1.0 }; count],
            "c" => vec![if after_norm { hermite } else { 0.0 }; count],
            _ => vec![0.0; count],
        };
        store.insert(spec.name, striae_spaces::Tensor { shape: spec.shape, data });
    }
    store
}

/// A standard normal number (Box and Muller).
fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    ((-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}
