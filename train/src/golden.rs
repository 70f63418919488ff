//! Layers and training steps against PyTorch; `tests/golden/make.py` wrote the numbers.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use candle_core::{CustomOp3, Device, Tensor};
use serde::Deserialize;
use striae_spaces::{
    Activation, AvgPool, Conv2d, GraphBuilder, Grouping, Kernel, KernelMask, Linear, Op, Padding, Shape, TypedGraph,
    WeightStore, param_specs,
};

use crate::{
    Conv, Model,
    layers::{Loss, NormOp, targets},
    optim::{Sgd, SgdConfig},
    pass::Penalty,
};

fn close(name: &str, got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((f64::from(*g) - e).abs() <= tolerance * scale, "{name}[{i}]: {g} instead of {e}");
    }
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[derive(Deserialize)]
struct ConvCase {
    size: usize,
    mask: KernelMask,
    groups: usize,
    grouping: Grouping,
    stride: usize,
    padding: Padding,
    out_channels: usize,
    input: [usize; 3],
    x: Vec<f64>,
    w: Vec<f64>,
    g: Vec<f64>,
    y: Vec<f64>,
    dx: Vec<f64>,
    dw: Vec<f64>,
}

#[test]
fn convolutions_equal_pytorch() {
    let cases: Vec<ConvCase> = serde_json::from_str(include_str!("../tests/golden/conv.json")).unwrap();
    for case in cases {
        let ConvCase { size, mask, groups, grouping, stride, padding, out_channels, input: [c, h, w], .. } = case;
        let kernel = Kernel { size, mask };
        let conv = Conv2d { out_channels, kernel, stride, padding, groups, grouping, bias: false };
        let input = Shape::map(c, h, w);
        let mut builder = GraphBuilder::new(input).unwrap();
        builder.then(Op::Conv2d(conv.clone())).unwrap();
        let plan = Conv::new(&conv, input, builder.build().unwrap().output_shape());
        let (x, w, g) = (narrow(&case.x), narrow(&case.w), narrow(&case.g));
        close("y", &plan.forward(&x, &w), &case.y, 1e-6);
        let grads = plan.backward(&x, &w, &g, true);
        close("dx", &grads.input.unwrap(), &case.dx, 1e-6);
        close("dw", &grads.weight, &case.dw, 1e-6);
    }
}

#[derive(Deserialize)]
struct NormCase {
    activation: Activation,
    #[serde(flatten)]
    values: BTreeMap<String, Vec<f64>>,
}

#[test]
fn batch_norm_with_activation_equals_pytorch() {
    let cases: Vec<NormCase> = serde_json::from_str(include_str!("../tests/golden/norm.json")).unwrap();
    for NormCase { activation, values: golden } in cases {
        let get = |name: &str| golden.get(name).map(|v| narrow(v));
        let stack = |names: [&str; 2]| names.iter().flat_map(|n| get(n).unwrap()).collect::<Vec<f32>>();
        let norm = tensor(stack(["gamma", "beta"]), &[2, 2]);
        let relu = activation == Activation::Relu;
        let curve = if relu {
            vec![0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
        } else {
            ["a", "b", "c"].iter().flat_map(|n| get(n).unwrap()).collect()
        };
        let curve = tensor(curve, &[3, 2]);
        let (x, g) = (tensor(get("x").unwrap(), &[3, 2, 3, 5]), tensor(get("g").unwrap(), &[3, 2, 3, 5]));
        let op = NormOp { relu, moments: Arc::new(OnceLock::new()) };
        let y = x.apply_op3_no_bwd(&norm, &curve, &op).unwrap();
        close("y", &values(&y), &golden["y"], 1e-5);
        let (dx, d_norm, d_curve) = op.bwd(&x, &norm, &curve, &y, &g).unwrap();
        close("dx", &values(&dx.unwrap()), &golden["dx"], 1e-5);
        let rows = |t: Option<Tensor>| values(&t.unwrap()).chunks(2).map(<[f32]>::to_vec).collect::<Vec<_>>();
        let names = ["dgamma", "dbeta", "da", "db", "dc"];
        for (name, row) in names.iter().zip(rows(d_norm).into_iter().chain(rows(d_curve))) {
            if let Some(expected) = golden.get(*name) {
                close(name, &row, expected, 1e-5);
            }
        }
        // PyTorch's running statistics after one batch: 0.1 of the batch's, with the unbiased variance.
        let moments = op.moments.get().unwrap();
        let mean: Vec<f32> = moments.mean.iter().map(|m| 0.1 * m).collect();
        let var: Vec<f32> = moments.var.iter().map(|v| 0.9 + 0.1 * v * 45.0 / 44.0).collect();
        close("mean", &mean, &golden["mean"], 1e-5);
        close("var", &var, &golden["var"], 1e-5);
    }
}

#[derive(Deserialize)]
struct Steps {
    x: Vec<f64>,
    labels: Vec<u8>,
    initial: BTreeMap<String, Vec<f64>>,
    #[serde(rename = "final")]
    trained: BTreeMap<String, Vec<f64>>,
    losses: Vec<f64>,
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

#[test]
fn training_steps_equal_pytorch() {
    let golden: Steps = serde_json::from_str(include_str!("../tests/golden/steps.json")).unwrap();
    let graph = steps_network();
    let mut store = WeightStore::default();
    for spec in param_specs(&graph) {
        let initial = golden.initial.get(&spec.name).map(|v| narrow(v));
        let data = initial.unwrap_or_else(|| vec![if spec.name.ends_with("var") { 1.0 } else { 0.0 }; 4]);
        store.insert(spec.name, striae_spaces::Tensor { shape: spec.shape, data });
    }
    let mut model = Model::from_weights(&graph, &store).unwrap();
    let mut sgd = Sgd::new(SgdConfig { momentum: 0.9, weight_decay: 0.01, clip: 1.0 }, &model).unwrap();
    let penalty = Some(Penalty { limit: 1.0, weight: 0.3 });
    for expected in &golden.losses {
        let input = model.input(narrow(&golden.x)).unwrap();
        let pass = model.train_pass(&input, penalty).unwrap();
        let targets = targets(&golden.labels, 3, 0.1);
        let entropy = Loss { targets: &targets, teacher: None };
        let (loss, grad) = entropy.value_and_grad(pass.logits()).unwrap();
        close("loss", &[loss + pass.penalty], &[*expected], 1e-5);
        let grads = model.gradients(&pass, grad, penalty).unwrap();
        sgd.step(&mut model, &grads, 0.1, None).unwrap();
        model.update_running(&pass).unwrap();
    }
    for (name, expected) in &golden.trained {
        close(name, &model.values(name).unwrap(), expected, 1e-4);
    }
}

#[test]
fn fused_and_separate_activation_agree() {
    let golden: Steps = serde_json::from_str(include_str!("../tests/golden/steps.json")).unwrap();
    let model = Model::new(&steps_network(), &crate::SeedTree::new(3)).unwrap();
    let input = model.input(narrow(&golden.x)).unwrap();
    let targets = targets(&golden.labels, 4, 0.0);
    let entropy = Loss { targets: &targets, teacher: None };
    // A penalty of weight zero keeps batch norm and activation apart.
    let grads = [None, Some(Penalty { limit: 1.0, weight: 0.0 })].map(|penalty| {
        let pass = model.train_pass(&input, penalty).unwrap();
        model.gradients(&pass, entropy.value_and_grad(pass.logits()).unwrap().1, penalty).unwrap()
    });
    assert_eq!(grads[0].len(), grads[1].len());
    for (name, fused) in &grads[0] {
        let separate: Vec<f64> = values(&grads[1][name]).into_iter().map(f64::from).collect();
        close(name, &values(fused), &separate, 1e-4);
    }
}

/// Residual additions, overlapping pools, biases and lone batch norms: what the PyTorch cases leave out.
fn residual_network() -> TypedGraph {
    let quadratic = Op::Activation(Activation::Quadratic);
    let mut b = GraphBuilder::new(Shape::map(2, 9, 9)).unwrap();
    b.then(Op::Conv2d(Conv2d { bias: true, ..Conv2d::dense(4, 3) })).unwrap();
    let trunk = b.then(quadratic.clone()).unwrap();
    b.then(Op::Conv2d(Conv2d { bias: true, groups: 4, ..Conv2d::dense(4, 3) })).unwrap();
    let branch = b.then(Op::BatchNorm).unwrap();
    b.push(Op::Add, &[trunk, branch]).unwrap();
    b.then(quadratic).unwrap();
    let pool = b.then(Op::AvgPool(AvgPool { size: 3, stride: 2 })).unwrap();
    b.push(Op::Add, &[pool, pool]).unwrap();
    b.then(Op::BatchNorm).unwrap();
    b.then(Op::Activation(Activation::Relu)).unwrap();
    b.then(Op::Flatten).unwrap();
    b.then(Op::Linear(Linear { out_features: 3, bias: true })).unwrap();
    b.build().unwrap()
}

#[test]
fn gradients_equal_finite_differences() {
    let graph = residual_network();
    let mut model = Model::new(&graph, &crate::SeedTree::new(5)).unwrap();
    let images: Vec<f32> = (0..8 * 162).map(|i| ((i * 37 % 101) as f32 - 50.0) / 40.0).collect();
    let targets = targets(&[0, 1, 2, 0, 1, 2, 0, 1], 3, 0.05);
    let entropy = Loss { targets: &targets, teacher: None };
    let penalty = Some(Penalty { limit: 0.5, weight: 0.2 });
    let loss = |model: &Model| {
        let pass = model.train_pass(&model.input(images.clone()).unwrap(), penalty).unwrap();
        let (loss, grad) = entropy.value_and_grad(pass.logits()).unwrap();
        (f64::from(loss + pass.penalty), model.gradients(&pass, grad, penalty).unwrap())
    };
    let (_, grads) = loss(&model);
    for (name, grad) in grads {
        // Along the gradient itself the derivative is its norm, large enough to stand above f32 rounding.
        let (start, grad) = (model.values(&name).unwrap(), values(&grad));
        let norm = grad.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let step = 1e-3;
        let ends = [step, -step].map(|step| {
            let moved = start.iter().zip(&grad).map(|(p, g)| p + (step * f64::from(*g) / norm.max(1e-9)) as f32);
            model.set(&name, moved.collect()).unwrap();
            loss(&model).0
        });
        model.set(&name, start).unwrap();
        let slope = (ends[0] - ends[1]) / (2.0 * step);
        assert!((slope - norm).abs() <= 0.02 * norm + 2e-4, "{name}: {slope} instead of {norm}");
    }
}
