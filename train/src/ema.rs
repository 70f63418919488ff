//! A moving average of all parameters, running statistics included.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::{Model, TrainError};

/// The average.
pub(crate) struct Ema {
    decay: f64,
    /// By the names of the model's parameters.
    pub(crate) values: BTreeMap<String, Vec<f32>>,
}

impl Ema {
    /// Starts at the model's own parameters.
    pub(crate) fn new(decay: f64, model: &Model) -> Result<Self, TrainError> {
        let mut values = BTreeMap::new();
        for name in model.params().keys() {
            values.insert(name.clone(), model.values(name)?);
        }
        Ok(Self { decay, values })
    }

    /// Takes in the parameters after step `step`, from 0. Early steps count more, so that the start is soon forgotten.
    pub(crate) fn add(&mut self, model: &Model, step: usize) -> Result<(), TrainError> {
        let decay = self.decay.min((1.0 + step as f64) / (10.0 + step as f64));
        let share = (1.0 - decay) as f32;
        for (name, values) in &mut self.values {
            let new = model.values(name)?;
            values.iter_mut().zip(new).for_each(|(v, new)| *v += share * (new - *v));
        }
        Ok(())
    }

    /// The network with the averages as its parameters.
    pub(crate) fn model(&self, of: &Model) -> Result<Model, TrainError> {
        let mut params = BTreeMap::new();
        for (name, values) in &self.values {
            params.insert(name.clone(), Tensor::from_vec(values.clone(), of.params()[name].shape(), of.device())?);
        }
        Ok(of.with_params(params))
    }
}
