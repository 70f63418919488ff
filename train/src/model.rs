//! A typed graph as a candle model: parameters as variables, one operation per node.
//!
//! Initial weights: He's normal distribution for convolutions and linear layers. Quadratic activations after a batch norm
//! start as the Hermite expansion of the rectifier to degree two, `u^2/sqrt(8 pi) + u/2 + 1/sqrt(8 pi)` (AESPA, Park et
//! al. 2022), others, after residual additions for example, as a slightly curved identity. Encrypted evaluation divides by
//! `a`, so training keeps `|a|` at [`MIN_CURVATURE`] or more.

use std::{
    collections::BTreeMap,
    f32::consts::PI,
    sync::{Arc, OnceLock},
};

use candle_core::{Device, Tensor, Var};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use striae_spaces::{Activation, Linear, NodeId, Op, Shape, TypedGraph, WeightStore, param_specs};

use crate::{
    SeedTree, TrainError,
    layers::{ActivationOp, BiasOp, Conv, ConvOp, LinearOp, Moments, NormOp, Pool, PoolOp, RangePenalty},
};

/// Smallest magnitude of a quadratic activation's `a`.
pub const MIN_CURVATURE: f32 = 0.02;
/// Share of a batch in the running mean and variance.
const RUNNING_SHARE: f32 = 0.1;

/// A network with its parameters.
pub struct Model {
    graph: TypedGraph,
    /// Trained parameters by name.
    vars: BTreeMap<String, Var>,
    /// Running means and variances by name.
    running: BTreeMap<String, Vec<f32>>,
    convs: Vec<Option<Arc<Conv>>>,
    /// Batch norms whose only reader is an activation.
    fused: Vec<bool>,
}

/// What a training pass needs besides the images.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Penalty {
    /// Inputs of quadratic activations may lie in `-limit..limit` for free.
    pub(crate) limit: f32,
}

/// Result of a pass.
pub(crate) struct Pass {
    /// Value of every node; none where a batch norm was fused into the activation after it.
    pub(crate) values: Vec<Option<Tensor>>,
    /// Range penalties, one per quadratic activation.
    pub(crate) penalties: Vec<Tensor>,
    moments: Vec<(NodeId, Arc<OnceLock<Moments>>)>,
}

impl Pass {
    pub(crate) fn logits(&self) -> &Tensor {
        self.values.last().and_then(Option::as_ref).expect("the output is never fused away")
    }
}

impl Model {
    /// A network with initial weights drawn from `seed`.
    pub fn new(graph: &TypedGraph, seed: &SeedTree) -> Result<Self, TrainError> {
        Self::from_weights(graph, &initial_weights(graph, seed))
    }

    /// A network with given weights.
    pub fn from_weights(graph: &TypedGraph, weights: &WeightStore) -> Result<Self, TrainError> {
        weights.check(graph)?;
        let (mut vars, mut running) = (BTreeMap::new(), BTreeMap::new());
        for (name, tensor) in weights.iter() {
            if name.ends_with(".mean") || name.ends_with(".var") {
                running.insert(name.to_owned(), tensor.data.clone());
            } else {
                let var = Var::from_vec(tensor.data.clone(), tensor.shape.as_slice(), &Device::Cpu)?;
                vars.insert(name.to_owned(), var);
            }
        }
        let convs = graph.nodes().iter().map(|node| match &node.op {
            Op::Conv2d(conv) => Some(Arc::new(Conv::new(conv, graph.shape(node.inputs[0]), node.shape))),
            _ => None,
        });
        let consumers = graph.consumers();
        let fused = graph.ids().map(|id| {
            let reader = |r: &NodeId| matches!(graph.node(*r).op, Op::Activation(_));
            graph.node(id).op == Op::BatchNorm
                && consumers[id.index()].len() == 1
                && consumers[id.index()].iter().all(reader)
        });
        Ok(Self { graph: graph.clone(), vars, running, convs: convs.collect(), fused: fused.collect() })
    }

    /// The network.
    pub fn graph(&self) -> &TypedGraph {
        &self.graph
    }

    /// The parameters.
    pub fn weights(&self) -> Result<WeightStore, TrainError> {
        let mut store = WeightStore::default();
        for spec in param_specs(&self.graph) {
            let data = match self.running.get(&spec.name) {
                Some(values) => values.clone(),
                None => self.vars[&spec.name].flatten_all()?.to_vec1()?,
            };
            store.insert(spec.name, striae_spaces::Tensor { shape: spec.shape, data });
        }
        Ok(store)
    }

    pub(crate) fn vars(&self) -> &BTreeMap<String, Var> {
        &self.vars
    }

    /// A batch as a tensor.
    pub(crate) fn input(&self, images: Vec<f32>) -> Result<Tensor, TrainError> {
        let shape = self.graph.input_shape();
        let batch = images.len() / shape.len();
        let dims = match shape {
            Shape::Map { channels, height, width } => vec![batch, channels, height, width],
            Shape::Vector { features } => vec![batch, features],
        };
        Ok(Tensor::from_vec(images, dims, &Device::Cpu)?)
    }

    /// Runs the network with the batch's own statistics, recording gradients.
    pub(crate) fn train_pass(&self, input: &Tensor, penalty: Option<Penalty>) -> Result<Pass, TrainError> {
        let mut pass = Pass { values: vec![Some(input.clone())], penalties: Vec::new(), moments: Vec::new() };
        for id in self.graph.ids().skip(1) {
            let node = self.graph.node(id);
            // The penalty needs the value between batch norm and activation.
            let fuse = |id: NodeId| self.fused[id.index()] && penalty.is_none();
            let before = node.inputs[0];
            let value = match &node.op {
                Op::BatchNorm if fuse(id) => None,
                Op::BatchNorm => Some(self.norm(&mut pass, id, None)?),
                Op::Activation(_) if fuse(before) => Some(self.norm(&mut pass, before, Some(id))?),
                Op::Activation(activation) => {
                    let x = pass.values[before.index()].as_ref().expect("computed before");
                    if let (Some(Penalty { limit }), Activation::Quadratic) = (penalty, activation) {
                        pass.penalties.push(x.apply_op1(RangePenalty { limit })?);
                    }
                    Some(self.node_value(id, &pass.values, false)?)
                }
                _ => Some(self.node_value(id, &pass.values, false)?),
            };
            pass.values.push(value);
        }
        Ok(pass)
    }

    /// Runs the network with the running statistics, recording nothing; returns every node's value.
    pub(crate) fn eval_pass(&self, input: &Tensor) -> Result<Vec<Option<Tensor>>, TrainError> {
        let mut values = vec![Some(input.clone())];
        let consumers = self.graph.consumers();
        for id in self.graph.ids().skip(1) {
            let value = self.node_value(id, &values, true)?;
            values.push(Some(value));
            // What nobody reads any more is freed, except the inputs of activations, whose ranges are asked for.
            for input in &self.graph.node(id).inputs {
                let feeds_activation =
                    consumers[input.index()].iter().any(|r| matches!(self.graph.node(*r).op, Op::Activation(_)));
                if consumers[input.index()].iter().all(|r| *r <= id) && !feeds_activation {
                    values[input.index()] = None;
                }
            }
        }
        Ok(values)
    }

    /// Moves the running statistics towards those of a batch.
    pub(crate) fn update_running(&mut self, pass: &Pass, batch: usize) {
        for (id, moments) in &pass.moments {
            let Some(moments) = moments.get() else { continue };
            let (height, width) = self.graph.shape(*id).spatial();
            let n = (batch * height * width) as f32;
            let unbiased = if n > 1.0 { n / (n - 1.0) } else { 1.0 };
            for (name, values, factor) in [("mean", &moments.mean, 1.0), ("var", &moments.var, unbiased)] {
                let running = self.running.get_mut(&format!("{id}.{name}")).expect("every batch norm has statistics");
                running.iter_mut().zip(values).for_each(|(r, v)| *r += RUNNING_SHARE * (factor * v - *r));
            }
        }
    }

    fn param(&self, id: NodeId, name: &str, detached: bool) -> Tensor {
        let var = &self.vars[&format!("{id}.{name}")];
        if detached { var.as_detached_tensor() } else { var.as_tensor().clone() }
    }

    /// `[a, b, c]` of an activation, the identity where there is none.
    fn curve(&self, id: Option<NodeId>, channels: usize, detached: bool) -> Result<Tensor, TrainError> {
        match id.map(|id| (id, &self.graph.node(id).op)) {
            Some((id, Op::Activation(Activation::Quadratic))) => {
                Ok(Tensor::stack(&["a", "b", "c"].map(|name| self.param(id, name, detached)), 0)?)
            }
            _ => {
                let values = (0..3 * channels).map(|i| if i / channels == 1 { 1.0f32 } else { 0.0 }).collect();
                Ok(Tensor::from_vec(values, (3, channels), &Device::Cpu)?)
            }
        }
    }

    fn is_relu(&self, id: Option<NodeId>) -> bool {
        id.is_some_and(|id| self.graph.node(id).op == Op::Activation(Activation::Relu))
    }

    /// Batch norm `id` with the batch's statistics, followed by `activation`.
    fn norm(&self, pass: &mut Pass, id: NodeId, activation: Option<NodeId>) -> Result<Tensor, TrainError> {
        let x = pass.values[self.graph.node(id).inputs[0].index()].as_ref().expect("computed before");
        let norm = Tensor::stack(&[self.param(id, "gamma", false), self.param(id, "beta", false)], 0)?;
        let curve = self.curve(activation, norm.dim(1)?, false)?;
        let moments = Arc::new(OnceLock::new());
        let op = NormOp { relu: self.is_relu(activation), moments: moments.clone() };
        let y = x.apply_op3(&norm, &curve, op)?;
        pass.moments.push((id, moments));
        Ok(y)
    }

    /// The value of a node from those of its inputs; batch norms use running statistics.
    fn node_value(&self, id: NodeId, values: &[Option<Tensor>], detached: bool) -> Result<Tensor, TrainError> {
        let node = self.graph.node(id);
        let x = |i: usize| values[node.inputs[i].index()].as_ref().expect("computed before");
        let need_input = node.inputs.iter().any(|i| i.index() != 0);
        let channels = node.shape.channels();
        let y = match &node.op {
            Op::Input => unreachable!("the input is given"),
            Op::Conv2d(conv) => {
                let plan = self.convs[id.index()].clone().expect("every convolution is planned");
                let op = ConvOp { conv: plan, output: node.shape.spatial(), need_input };
                self.biased(x(0).apply_op2(&self.param(id, "weight", detached), op)?, id, conv.bias, detached)?
            }
            Op::Linear(Linear { bias, .. }) => {
                let y = x(0).apply_op2(&self.param(id, "weight", detached), LinearOp { need_input })?;
                self.biased(y, id, *bias, detached)?
            }
            Op::AvgPool(pool) => {
                let (input, output) = (self.graph.shape(node.inputs[0]).spatial(), node.shape.spatial());
                x(0).apply_op1(PoolOp(Pool { size: pool.size, stride: pool.stride, input, output }))?
            }
            Op::Activation(_) => {
                let curve = self.curve(Some(id), channels, detached)?;
                x(0).apply_op2(&curve, ActivationOp { relu: self.is_relu(Some(id)) })?
            }
            Op::Add => (x(0) + x(1))?,
            Op::Flatten => x(0).flatten_from(1)?,
            Op::BatchNorm => x(0).apply_op2(&self.running_curve(id)?, ActivationOp { relu: false })?,
        };
        Ok(y)
    }

    fn biased(&self, y: Tensor, id: NodeId, bias: bool, detached: bool) -> Result<Tensor, TrainError> {
        if bias { Ok(y.apply_op2(&self.param(id, "bias", detached), BiasOp)?) } else { Ok(y) }
    }

    /// Batch norm with the running statistics as `[0, k, d]`.
    fn running_curve(&self, id: NodeId) -> Result<Tensor, TrainError> {
        let running = |name: &str| self.running[&format!("{id}.{name}")].clone();
        let moments = Moments { mean: running("mean"), var: running("var") };
        let gamma: Vec<f32> = self.param(id, "gamma", true).to_vec1()?;
        let beta: Vec<f32> = self.param(id, "beta", true).to_vec1()?;
        let n = gamma.len();
        let mut values = vec![0.0; 3 * n];
        for c in 0..n {
            let curve = moments.curve(c, gamma[c], beta[c], [0.0, 1.0, 0.0]);
            values[n + c] = curve.k;
            values[2 * n + c] = curve.d;
        }
        Ok(Tensor::from_vec(values, (3, n), &Device::Cpu)?)
    }
}

fn initial_weights(graph: &TypedGraph, seed: &SeedTree) -> WeightStore {
    let hermite = 1.0 / (8.0 * PI).sqrt();
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
            "gamma" | "var" => vec![1.0; count],
            "a" => vec![if after_norm { hermite } else { 0.05 }; count],
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
