//! What training changes: parameters, momentum, their moving average, and the record of epochs.

use striae_spaces::{TypedGraph, WeightMask, WeightStore};

use crate::{
    Dataset, EpochStats, Model, Quadratics, SeedTree, TrainConfig, TrainError,
    ema::Ema,
    optim::{Sgd, SgdConfig},
    twin::inherit,
};

/// The state of a training run.
pub(crate) struct State {
    pub(crate) model: Model,
    pub(crate) sgd: Sgd,
    pub(crate) ema: Option<Ema>,
    pub(crate) history: Vec<EpochStats>,
}

/// Where the weights come from.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    /// Drawn.
    Fresh,
    /// Those of a trained rectifier twin, with fresh quadratics.
    Twin(&'a WeightStore),
    /// Given, with a batch of images `[batch, ..]` that shows how wide its activations are.
    Given(&'a WeightStore, &'a [f32]),
}

impl State {
    pub(crate) fn start(
        graph: &TypedGraph,
        config: &TrainConfig,
        start: Start<'_>,
        mask: Option<&WeightMask>,
        seed: &SeedTree,
    ) -> Result<Self, TrainError> {
        let fresh = Model::new(graph, &seed.child("weights"))?;
        let weights = match start {
            Start::Fresh => fresh.weights()?,
            Start::Twin(twin) => inherit(&fresh.weights()?, twin),
            Start::Given(weights, _) => weights.clone(),
        };
        let weights = mask.map_or_else(|| weights.clone(), |mask| mask.masked(&weights));
        let mut model = Model::from_weights(graph, &weights)?;
        if config.quadratics == Quadratics::Hermite {
            match start {
                Start::Fresh | Start::Twin(_) => model.start_hermite()?,
                Start::Given(_, images) => model.bring_to_hermite(&model.input(images.to_vec())?)?,
            }
        }
        let TrainConfig { momentum, weight_decay, clip, ema, .. } = *config;
        let model = model.on(&config.device.open()?)?;
        let sgd = Sgd::new(SgdConfig { momentum, weight_decay, clip }, &model)?;
        let ema = (ema > 0.0).then(|| Ema::new(ema, &model)).transpose()?;
        Ok(Self { model, sgd, ema, history: Vec::new() })
    }

    /// The network that is evaluated and kept after so many epochs: the moving average if there is one, settled on the images
    /// of `data`.
    pub(crate) fn settled(&self, data: &Dataset, config: &TrainConfig, epochs: usize) -> Result<Model, TrainError> {
        match &self.ema {
            Some(ema) => ema.model(&self.model)?,
            None => self.model.with_params(self.model.params().clone()),
        }
        .settled(data, config.bounds(epochs as f64 / config.epochs as f64))
    }
}
