//! Batch norm, activations, pooling, linear layers and losses.

use std::sync::{Arc, OnceLock};

use candle_core::{CustomOp1, CustomOp2, CustomOp3, Tensor};
use serde::Deserialize;
use striae_spaces::Activation;

use super::{Computed, close, cross_entropy, draw, read, tensor, values};
use crate::layers::{AVOID_KERNELS, ActivationOp, BiasOp, Bounds, LinearOp, NormOp, Pool, PoolOp};

#[derive(Deserialize)]
struct NormCase {
    activation: Activation,
    shape: [usize; 4],
    y: Vec<f64>,
    dx: Vec<f64>,
    /// Gradients of gamma and beta, then of a, b and c, which are zero for a rectifier.
    d_params: Vec<f64>,
    mean: Vec<f64>,
    var: Vec<f64>,
}

/// `count` rows of parameters, or the curve that a rectifier ignores.
fn curve(rows: &Tensor, activation: Activation) -> Tensor {
    let identity: Vec<f32> = [0.0, 1.0, 0.0].iter().flat_map(|v| vec![*v; rows.dim(1).unwrap()]).collect();
    if activation == Activation::Relu { tensor(identity, rows.dims()) } else { rows.clone() }
}

#[test]
fn batch_norm_with_activation_equals_pytorch() {
    let cases: Vec<NormCase> = read(include_str!("../../tests/golden/norm.json"));
    for NormCase { activation, shape, y, dx, d_params, mean, var } in cases {
        let (channels, relu) = (shape[1], activation == Activation::Relu);
        let x = ((draw(1, &shape) * 2.0).unwrap() + 0.5).unwrap();
        let params = draw(2, &[5, channels]);
        let (norm, curve) = (params.narrow(0, 0, 2).unwrap(), curve(&params.narrow(0, 2, 3).unwrap(), activation));
        let op = NormOp { relu, moments: Arc::new(OnceLock::new()) };
        let (out, grad) = (x.apply_op3_no_bwd(&norm, &curve, &op).unwrap(), draw(3, &shape));
        let (d_x, d_norm, d_curve) = op.bwd(&x, &norm, &curve, &out, &grad).unwrap();
        let again = NormOp { relu, moments: Arc::new(OnceLock::new()) };
        let stock = Computed::stock(&again, &[&x, &norm, &curve], &grad);
        for got in [Computed::new(&out, &[d_x, d_norm, d_curve]), stock] {
            close("y", &got.result, &y);
            close("dx", &got.grads[0], &dx);
            close("d_norm", &got.grads[1], &d_params[..2 * channels]);
            if !relu {
                close("d_curve", &got.grads[2], &d_params[2 * channels..]);
            }
        }
        for moments in [op.moments, again.moments] {
            let moments = moments.get().unwrap();
            // PyTorch's running statistics after one batch: 0.1 of the batch's, with the unbiased variance.
            let n = (shape[0] * shape[2] * shape[3]) as f32;
            let running: Vec<f32> = moments.mean.iter().map(|m| 0.1 * m).collect();
            close("mean", &running, &mean);
            let running: Vec<f32> = moments.var.iter().map(|v| 0.9 + 0.1 * v * n / (n - 1.0)).collect();
            close("var", &running, &var);
        }
    }
}

#[derive(Deserialize)]
struct Layers {
    activation: Vec<ActivationCase>,
    pool: Vec<PoolCase>,
    linear: Vec<LinearCase>,
    loss: Vec<LossCase>,
    bounds: Vec<BoundsCase>,
}

fn golden() -> Layers {
    read(include_str!("../../tests/golden/layers.json"))
}

#[derive(Deserialize)]
struct ActivationCase {
    activation: Activation,
    shape: [usize; 4],
    y: Vec<f64>,
    dx: Vec<f64>,
    d_params: Vec<f64>,
}

#[test]
fn activations_equal_pytorch() {
    for ActivationCase { activation, shape, y, dx, d_params } in golden().activation {
        let (x, curve) = (draw(1, &shape), curve(&draw(2, &[3, shape[1]]), activation));
        let op = ActivationOp { relu: activation == Activation::Relu };
        let (out, grad) = (x.apply_op2_no_bwd(&curve, &op).unwrap(), draw(3, &shape));
        let (d_x, d_curve) = op.bwd(&x, &curve, &out, &grad).unwrap();
        for got in [Computed::new(&out, &[d_x, d_curve]), Computed::stock(&op, &[&x, &curve], &grad)] {
            close("y", &got.result, &y);
            close("dx", &got.grads[0], &dx);
            if activation == Activation::Quadratic {
                close("d_curve", &got.grads[1], &d_params);
            }
        }
    }
}

#[derive(Deserialize)]
struct PoolCase {
    size: usize,
    stride: usize,
    shape: [usize; 4],
    output: (usize, usize),
    y: Vec<f64>,
    dx: Vec<f64>,
}

#[test]
fn pooling_equals_pytorch() {
    for PoolCase { size, stride, shape, output, y, dx } in golden().pool {
        let (x, op) = (draw(1, &shape), PoolOp(Pool { size, stride, input: (shape[2], shape[3]), output }));
        let out = x.apply_op1_no_bwd(&op).unwrap();
        let grad = draw(3, out.dims());
        let d_x = op.bwd(&x, &out, &grad).unwrap();
        for got in [Computed::new(&out, &[d_x]), Computed::stock(&op, &[&x], &grad)] {
            close("y", &got.result, &y);
            close("dx", &got.grads[0], &dx);
        }
    }
}

#[derive(Deserialize)]
struct LinearCase {
    batch: usize,
    features: usize,
    outputs: usize,
    y: Vec<f64>,
    dx: Vec<f64>,
    dw: Vec<f64>,
    db: Vec<f64>,
}

#[test]
fn linear_layers_equal_pytorch() {
    for LinearCase { batch, features, outputs, y, dx, dw, db } in golden().linear {
        let (x, weight, bias) = (draw(1, &[batch, features]), draw(2, &[outputs, features]), draw(4, &[outputs]));
        let op = LinearOp { need_input: true };
        let product = x.apply_op2_no_bwd(&weight, &op).unwrap();
        let out = product.apply_op2_no_bwd(&bias, &BiasOp).unwrap();
        let grad = draw(3, out.dims());
        let (d_product, d_bias) = BiasOp.bwd(&product, &bias, &out, &grad).unwrap();
        let biased = Computed::new(&out, &[d_product, d_bias]);
        for got in [biased, Computed::stock(&BiasOp, &[&product, &bias], &grad)] {
            close("y", &got.result, &y);
            close("db", &got.grads[1], &db);
        }
        let (d_x, d_weight) = op.bwd(&x, &weight, &product, &grad).unwrap();
        for got in [Computed::new(&product, &[d_x, d_weight]), Computed::stock(&op, &[&x, &weight], &grad)] {
            close("dx", &got.grads[0], &dx);
            close("dw", &got.grads[1], &dw);
        }
    }
}

#[derive(Deserialize)]
struct LossCase {
    batch: usize,
    classes: usize,
    smoothing: f32,
    labels: Vec<u8>,
    loss: f64,
    grad: Vec<f64>,
}

#[derive(Deserialize)]
struct BoundsCase {
    count: usize,
    limit: f32,
    weight: f32,
    clamp: Option<f32>,
    penalty: f64,
    clamped: Vec<f64>,
    slope: Vec<f64>,
}

#[test]
fn losses_equal_pytorch() {
    let Layers { loss, bounds, .. } = golden();
    for LossCase { batch, classes, smoothing, labels, loss, grad } in loss {
        let logits = (draw(1, &[batch, classes]) * 8.0).unwrap();
        let (value, d_logits) = cross_entropy(&labels, smoothing, &logits);
        close("loss", &[value], &[loss]);
        close("grad", &values(&d_logits), &grad);
    }
    for BoundsCase { count, limit, weight, clamp, penalty, clamped, slope } in bounds {
        for avoid in [false, true] {
            AVOID_KERNELS.set(avoid);
            let (x, grad, bounds) =
                (draw(1, &[count]), draw(2, &[count]), Bounds { limit, weight, clamp: clamp.unwrap_or(f32::INFINITY) });
            close("penalty", &[bounds.penalty(&x).unwrap()], &[penalty]);
            close("clamped", &values(&bounds.clamped(&x).unwrap()), &clamped);
            close("slope", &values(&bounds.gradient(&x, &grad).unwrap()), &slope);
        }
    }
}
