//! Stochastic gradient descent with Nesterov momentum, weight decay and clipping of the gradient's norm.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, backprop::GradStore};

use crate::{MIN_CURVATURE, Model, TrainError};

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
    pub(crate) fn new(config: SgdConfig, model: &Model) -> Self {
        let momentum = model.vars().iter().map(|(name, var)| (name.clone(), vec![0.0; var.elem_count()])).collect();
        Self { config, momentum }
    }

    /// One step at learning rate `rate`.
    pub(crate) fn step(&mut self, model: &Model, grads: &GradStore, rate: f32) -> Result<(), TrainError> {
        let mut values = BTreeMap::new();
        for (name, var) in model.vars() {
            if let Some(grad) = grads.get(var) {
                values.insert(name, grad.flatten_all()?.to_vec1::<f32>()?);
            }
        }
        let norm = values.values().flatten().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt() as f32;
        let SgdConfig { momentum, weight_decay, clip } = self.config;
        let scale = if clip > 0.0 && norm > clip { clip / norm } else { 1.0 };
        for (name, grad) in values {
            let var = &model.vars()[name];
            let mut value: Vec<f32> = var.flatten_all()?.to_vec1()?;
            let decay = if name.ends_with(".weight") { weight_decay } else { 0.0 };
            let velocity = self.momentum.get_mut(name).expect("every parameter has a momentum");
            for ((p, g), v) in value.iter_mut().zip(grad).zip(velocity) {
                let g = scale * g + decay * *p;
                *v = momentum * *v + g;
                *p -= rate * (g + momentum * *v);
            }
            if name.ends_with(".a") {
                value.iter_mut().for_each(|a| *a = a.abs().max(MIN_CURVATURE).copysign(*a));
            }
            var.set(&Tensor::from_vec(value, var.shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }
}
