//! Gradients of every layer, of a network and of training steps against PyTorch; `tests/golden/make.py` wrote the numbers.
//!
//! Inputs are drawn from the same generator on both sides, and long results compared by weighted sums of neighbours, so that
//! the files stay small although the maps reach the sizes at which other kernels take over. Everything is compared twice:
//! as the kernels compute it, and as candle's own operations do where there are no kernels.

mod conv;
mod layers;
mod training;

use candle_core::{Device, Tensor};
use serde::de::DeserializeOwned;

use crate::layers::{Loss, Stock, Value, targets};

/// Largest difference, relative to the largest number of the tensor.
const TOLERANCE: f64 = 1e-4;
/// Most numbers stored of one tensor.
const LIMIT: usize = 160;

/// Multiples of 1/1024 in [-1, 1), from the high bits of a linear congruential generator.
fn sequence(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        ((state >> 16) % 2048) as f32 / 1024.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Sums of neighbours with fixed factors between 1/2 and 1 in magnitude; the values themselves if they are few.
fn folded(values: &[f32]) -> Vec<f64> {
    let width = values.len().div_ceil(LIMIT);
    if width == 1 {
        return values.iter().map(|v| f64::from(*v)).collect();
    }
    let factors: Vec<f64> = sequence(0, width).into_iter().map(|v| f64::from(v + 1f32.copysign(v)) / 2.0).collect();
    values.chunks(width).map(|chunk| chunk.iter().zip(&factors).map(|(v, f)| f64::from(*v) * f).sum()).collect()
}

/// Compares values with what is stored of them. Gradients that cancel to nothing are measured against 1/100.
fn close(name: &str, values: &[f32], expected: &[f64]) {
    close_within(TOLERANCE, name, values, expected);
}

fn close_within(tolerance: f64, name: &str, values: &[f32], expected: &[f64]) {
    let got = folded(values);
    assert_eq!(got.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(1e-2f64, |m, v| m.max(v.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance * scale, "{name}[{i}]: {g} instead of {e}");
    }
}

/// Value and gradient of the loss of logits `[batch, classes]`.
fn cross_entropy(labels: &[u8], smoothing: f32, logits: &Tensor) -> (f32, Value) {
    let targets = targets(labels, logits.dim(1).unwrap(), smoothing);
    Loss { targets: &targets, teacher: None }.value_and_grad(logits).unwrap()
}

fn read<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap()
}

fn draw(seed: u32, shape: &[usize]) -> Tensor {
    tensor(sequence(seed, shape.iter().product()), shape)
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

/// What an operation computes: its result, and the gradients of its inputs.
struct Computed {
    result: Vec<f32>,
    grads: Vec<Vec<f32>>,
}

impl Computed {
    fn new(result: &Tensor, grads: &[Option<Tensor>]) -> Self {
        let grads = grads.iter().map(|g| g.as_ref().map(values).unwrap_or_default()).collect();
        Self { result: values(result), grads }
    }

    /// By candle's own operations.
    fn stock(op: &impl Stock, inputs: &[&Tensor], grad: &Tensor) -> Self {
        Self::new(&op.compute(inputs).unwrap(), &op.gradients(inputs, grad).unwrap())
    }
}
