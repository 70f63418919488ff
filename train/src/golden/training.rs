//! A residual network's gradients, and steps of training.

use std::collections::BTreeMap;

use serde::Deserialize;
use striae_spaces::{
    Activation, AvgPool, Conv2d, GraphBuilder, Grouping, Kernel, KernelMask, Linear, Op, Shape, TypedGraph,
    WeightStore, param_specs,
};

use super::{TOLERANCE, close, close_within, cross_entropy, narrow, read, sequence, values};
use crate::{
    Model, SeedTree,
    layers::{AVOID_KERNELS, Bounds},
    optim::{Sgd, SgdConfig},
    pass::RUNNING_SHARE,
};

#[derive(Deserialize)]
struct Steps {
    x: Vec<f64>,
    labels: Vec<u8>,
    initial: BTreeMap<String, Vec<f64>>,
    #[serde(rename = "final")]
    trained: BTreeMap<String, Vec<f64>>,
    losses: Vec<f64>,
}

fn steps() -> Steps {
    read(include_str!("../../tests/golden/steps.json"))
}

fn steps_network() -> TypedGraph {
    let conv = Conv2d { stride: 2, groups: 2, grouping: Grouping::Interleaved, ..Conv2d::dense(4, 3) };
    let mut b = GraphBuilder::new(Shape::map(2, 8, 8)).unwrap();
    let pool = AvgPool { size: 2, stride: 2 };
    let quadratic = Op::Activation(Activation::Quadratic);
    let linear = Linear { out_features: 3, bias: true };
    for op in [Op::Conv2d(conv), Op::BatchNorm, quadratic, Op::AvgPool(pool), Op::Flatten, Op::Linear(linear)] {
        b.then(op).unwrap();
    }
    b.build().unwrap()
}

/// A model with given parameters; running statistics start at mean 0 and variance 1.
fn model(graph: &TypedGraph, params: &BTreeMap<String, Vec<f32>>) -> Model {
    let mut store = WeightStore::default();
    for spec in param_specs(graph) {
        let running = || vec![if spec.name.ends_with("var") { 1.0 } else { 0.0 }; spec.shape.iter().product()];
        let data = params.get(&spec.name).cloned().unwrap_or_else(running);
        store.insert(spec.name, striae_spaces::Tensor { shape: spec.shape, data });
    }
    Model::from_weights(graph, &store).unwrap()
}

#[test]
fn training_steps_equal_pytorch() {
    let golden = steps();
    let initial = golden.initial.iter().map(|(name, v)| (name.clone(), narrow(v))).collect();
    let mut model = model(&steps_network(), &initial);
    let mut sgd = Sgd::new(SgdConfig { momentum: 0.9, weight_decay: 0.01, clip: 1.0 }, &model).unwrap();
    let bounds = Some(Bounds { limit: 1.0, weight: 0.3, clamp: f32::INFINITY });
    for expected in &golden.losses {
        let input = model.input(narrow(&golden.x)).unwrap();
        let pass = model.train_pass(&input, bounds).unwrap();
        let (loss, grad) = cross_entropy(&golden.labels, 0.1, pass.logits());
        close("loss", &[loss + pass.penalty], &[*expected]);
        let grads = model.gradients(&pass, grad).unwrap();
        sgd.step(&mut model, &grads, 0.1, None).unwrap();
        model.update_running(&pass, RUNNING_SHARE).unwrap();
    }
    for (name, expected) in &golden.trained {
        close(name, &model.values(name).unwrap(), expected);
    }
}

#[test]
fn fused_and_separate_activation_agree() {
    let golden = steps();
    let model = Model::new(&steps_network(), &SeedTree::new(3)).unwrap();
    let input = model.input(narrow(&golden.x)).unwrap();
    // Bounds of no weight keep batch norm and activation apart.
    let grads = [None, Some(Bounds { limit: 1.0, weight: 0.0, clamp: f32::INFINITY })].map(|bounds| {
        let pass = model.train_pass(&input, bounds).unwrap();
        model.gradients(&pass, cross_entropy(&golden.labels, 0.0, pass.logits()).1).unwrap()
    });
    assert_eq!(grads[0].len(), grads[1].len());
    for (name, fused) in &grads[0] {
        let separate: Vec<f64> = values(&grads[1][name]).into_iter().map(f64::from).collect();
        close(name, &values(fused), &separate);
    }
}

/// Residual additions, overlapping pools, biases, lone batch norms, and a convolution in tiles.
fn residual_network() -> TypedGraph {
    let quadratic = || Op::Activation(Activation::Quadratic);
    let mut b = GraphBuilder::new(Shape::map(3, 12, 12)).unwrap();
    b.then(Op::Conv2d(Conv2d { bias: true, ..Conv2d::dense(16, 3) })).unwrap();
    b.then(Op::BatchNorm).unwrap();
    let trunk = b.then(quadratic()).unwrap();
    b.then(Op::Conv2d(Conv2d::dense(16, 3))).unwrap();
    b.then(Op::BatchNorm).unwrap();
    b.then(quadratic()).unwrap();
    let kernel = Kernel { size: 3, mask: KernelMask::Cross };
    b.then(Op::Conv2d(Conv2d { kernel, groups: 16, ..Conv2d::dense(16, 3) })).unwrap();
    let branch = b.then(Op::BatchNorm).unwrap();
    b.push(Op::Add, &[trunk, branch]).unwrap();
    b.then(quadratic()).unwrap();
    b.then(Op::AvgPool(AvgPool { size: 3, stride: 2 })).unwrap();
    b.then(Op::Conv2d(Conv2d { groups: 4, grouping: Grouping::Interleaved, ..Conv2d::dense(8, 1) })).unwrap();
    b.then(Op::BatchNorm).unwrap();
    b.then(Op::Activation(Activation::Relu)).unwrap();
    let pool = b.then(Op::AvgPool(AvgPool { size: 2, stride: 2 })).unwrap();
    b.push(Op::Add, &[pool, pool]).unwrap();
    b.then(Op::Flatten).unwrap();
    b.then(Op::Linear(Linear { out_features: 3, bias: true })).unwrap();
    b.build().unwrap()
}

#[derive(Deserialize)]
struct Network {
    labels: Vec<u8>,
    limit: f32,
    weight: f32,
    clamp: Option<f32>,
    loss: f64,
    grads: Vec<Param>,
}

#[derive(Deserialize)]
struct Param {
    name: String,
    count: usize,
    grad: Vec<f64>,
}

#[test]
fn gradients_of_a_residual_network_equal_pytorch() {
    let golden: Vec<Network> = read(include_str!("../../tests/golden/network.json"));
    let graph = residual_network();
    // Batch norms cancel most of what reaches the constants before them, and candle adds up in f32, in order.
    for (golden, (avoid, tolerance)) in golden.iter().flat_map(|g| [(g, (false, TOLERANCE)), (g, (true, 1e-3))]) {
        AVOID_KERNELS.set(avoid);
        let draw = |(i, p): (usize, &Param)| (p.name.clone(), sequence(10 + i as u32, p.count));
        let model = model(&graph, &golden.grads.iter().enumerate().map(draw).collect());
        let bounds =
            Some(Bounds { limit: golden.limit, weight: golden.weight, clamp: golden.clamp.unwrap_or(f32::INFINITY) });
        let input = model.input(sequence(1, golden.labels.len() * graph.input_shape().len())).unwrap();
        let pass = model.train_pass(&input, bounds).unwrap();
        let (loss, grad) = cross_entropy(&golden.labels, 0.05, pass.logits());
        close("loss", &[loss + pass.penalty], &[golden.loss]);
        let grads = model.gradients(&pass, grad).unwrap();
        assert_eq!(grads.len(), golden.grads.len());
        for Param { name, grad, .. } in &golden.grads {
            // Where batch norm cancels a gradient, rounding is all there is.
            let nothing = grad.iter().all(|g| g.abs() < 1e-9);
            close_within(if nothing { 1e-3 } else { tolerance }, name, &values(&grads[name]), grad);
        }
    }
}
