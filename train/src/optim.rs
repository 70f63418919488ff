//! Stochastic gradient descent with Nesterov momentum, weight decay and clipping of the gradient's norm.

use std::collections::BTreeMap;

use striae_spaces::WeightMask;

use crate::{Model, Quadratics, TrainError, hermite::STATISTICS, reverse::Gradients};

/// Factor of the learning rate for the coefficients of plain quadratics: a square amplifies its own coefficient's error.
/// Normalised bases need none.
const CURVE_RATE: f32 = 0.1;

/// Fixed settings of the optimiser.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SgdConfig {
    pub(crate) momentum: f32,
    /// Applied to the weights of convolutions and linear layers only.
    pub(crate) weight_decay: f32,
    /// Largest norm of the gradient; 0 for any. Scales and offsets of batch norms neither count nor shrink: they follow
    /// from the statistics of the batch, and clipped with the rest they would lag behind them.
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
        for name in model.params().keys().filter(|name| !STATISTICS.contains(&parameter(name))) {
            momentum.insert(name.to_owned(), vec![0.0; model.values(name)?.len()]);
        }
        Ok(Self { config, momentum })
    }

    /// One step at learning rate `rate`; what `mask` removes stays zero.
    pub(crate) fn step(
        &mut self,
        model: &mut Model,
        grads: &Gradients,
        rate: f32,
        mask: Option<&WeightMask>,
    ) -> Result<(), TrainError> {
        let mut values = BTreeMap::new();
        for (name, grad) in grads {
            let mut grad = grad.flatten_all()?.to_vec1::<f32>()?;
            mask.inspect(|mask| mask.apply(name, &mut grad));
            values.insert(name, grad);
        }
        let counted = values.iter().filter(|(name, _)| !spared(name)).flat_map(|(_, grad)| grad);
        let norm = counted.map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt() as f32;
        let SgdConfig { momentum, weight_decay, clip } = self.config;
        let clipped = if clip > 0.0 && norm > clip { clip / norm } else { 1.0 };
        let curve_rate = if model.quadratics() == Quadratics::Plain { CURVE_RATE } else { 1.0 };
        for (name, grad) in values {
            let mut value = model.values(name)?;
            let rate = if matches!(parameter(name), "a" | "b" | "c") { curve_rate * rate } else { rate };
            let decay = if parameter(name) == "weight" { weight_decay } else { 0.0 };
            let scale = if spared(name) { 1.0 } else { clipped };
            let velocity = self.momentum.get_mut(name).expect("every trained parameter has a momentum");
            for ((p, g), v) in value.iter_mut().zip(grad).zip(velocity) {
                let g = scale * g + decay * *p;
                *v = momentum * *v + g;
                *p -= rate * (g + momentum * *v);
            }
            mask.inspect(|mask| mask.apply(name, &mut value));
            model.set(name, value)?;
        }
        model.keep_curved()
    }
}

/// Whether clipping leaves a parameter alone.
fn spared(name: &str) -> bool {
    matches!(parameter(name), "gamma" | "beta")
}

/// The part of a parameter's name after the node.
fn parameter(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, parameter)| parameter)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::SeedTree;

    #[test]
    fn clipping_spares_batch_norms_and_masks_hold() {
        let graph = "1x4x4: conv(2,k3) bn quad flatten linear(3)".parse().unwrap();
        let mut model = Model::new(&graph, &SeedTree::new(1)).unwrap();
        let config = SgdConfig { momentum: 0.0, weight_decay: 0.0, clip: 1.0 };
        let mut sgd = Sgd::new(config, &model).unwrap();
        let before = model.weights().unwrap();
        let grad = |name: &str| {
            let count = before.get(name).unwrap().data.len();
            (name.to_owned(), Tensor::from_vec(vec![100.0f32; count], count, &Device::Cpu).unwrap())
        };
        let grads: Gradients = ["n1.weight", "n2.gamma", "n2.beta"].map(grad).into();
        let mut mask = WeightMask::default();
        mask.insert("n1.weight", (0..18).map(|i| i % 2 == 0).collect());
        sgd.step(&mut model, &grads, 0.1, Some(&mask)).unwrap();
        let after = model.weights().unwrap();
        let moves = |name: &str| -> Vec<f32> {
            after.get(name).unwrap().data.iter().zip(&before.get(name).unwrap().data).map(|(a, b)| a - b).collect()
        };
        // Nine equal entries of a gradient of norm one.
        assert!(moves("n1.weight").iter().step_by(2).all(|m| (m + 0.1 / 3.0).abs() < 1e-6));
        assert!(after.get("n1.weight").unwrap().data.iter().skip(1).step_by(2).all(|w| *w == 0.0));
        assert!(moves("n2.gamma").iter().chain(&moves("n2.beta")).all(|m| (m + 10.0).abs() < 1e-4));
    }
}
