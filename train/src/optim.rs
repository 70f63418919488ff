//! Stochastic gradient descent with Nesterov momentum, weight decay and clipping of the gradient's norm.

use std::collections::BTreeMap;

use crate::{MIN_CURVATURE, Model, TrainError, pass::Gradients};

/// Factor of the learning rate for the coefficients of activations: a square amplifies its own coefficient's error.
const CURVE_RATE: f32 = 0.1;

/// Fixed settings of the optimiser.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SgdConfig {
    pub(crate) momentum: f32,
    /// Applied to the weights of convolutions and linear layers only.
    pub(crate) weight_decay: f32,
    /// Largest norm of the whole gradient; 0 for any.
    pub(crate) clip: f32,
}

/// The optimiser's state.
pub(crate) struct Sgd {
    config: SgdConfig,
    /// Momentum of each parameter, by name.
    pub(crate) momentum: BTreeMap<String, Vec<f32>>,
}

impl Sgd {
    pub(crate) fn new(config: SgdConfig, model: &Model) -> Result<Self, TrainError> {
        let mut momentum = BTreeMap::new();
        for name in model.names().filter(|name| !matches!(parameter(name), "mean" | "var")) {
            momentum.insert(name.to_owned(), vec![0.0; model.values(name)?.len()]);
        }
        Ok(Self { config, momentum })
    }

    /// One step at learning rate `rate`.
    pub(crate) fn step(&mut self, model: &mut Model, grads: &Gradients, rate: f32) -> Result<(), TrainError> {
        let mut values = BTreeMap::new();
        for (name, grad) in grads {
            values.insert(name, grad.flatten_all()?.to_vec1::<f32>()?);
        }
        let norm = values.values().flatten().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt() as f32;
        let SgdConfig { momentum, weight_decay, clip } = self.config;
        let scale = if clip > 0.0 && norm > clip { clip / norm } else { 1.0 };
        for (name, grad) in values {
            let mut value = model.values(name)?;
            let rate = if matches!(parameter(name), "a" | "b" | "c") { CURVE_RATE * rate } else { rate };
            let decay = if parameter(name) == "weight" { weight_decay } else { 0.0 };
            let velocity = self.momentum.get_mut(name).expect("every trained parameter has a momentum");
            for ((p, g), v) in value.iter_mut().zip(grad).zip(velocity) {
                let g = scale * g + decay * *p;
                *v = momentum * *v + g;
                *p -= rate * (g + momentum * *v);
            }
            if parameter(name) == "a" {
                for a in &mut value {
                    *a = a.abs().max(MIN_CURVATURE).copysign(*a);
                }
            }
            model.set(name, value)?;
        }
        Ok(())
    }
}

/// The part of a parameter's name after the node.
fn parameter(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, parameter)| parameter)
}
