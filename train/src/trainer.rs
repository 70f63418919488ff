//! The training loop.

use std::{
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use striae_spaces::{TypedGraph, WeightStore};

use crate::{
    ActivationRange, Augment, Dataset, Model, SeedTree, Splits, TrainDevice, TrainError, augment, checkpoint,
    evaluate::{argmax, check_shapes, evaluate_model},
    layers::{CrossEntropy, release},
    optim::{Sgd, SgdConfig},
    pass::{Pass, Penalty},
    range::ranges,
    schedule::learning_rate,
};

/// Images per evaluation pass.
const EVAL_BATCH: usize = 128;
/// Training images whose activation ranges are recorded.
const RANGE_IMAGES: usize = 2048;

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images per step; an incomplete last batch is left out.
    pub batch: usize,
    /// Peak learning rate.
    pub lr: f64,
    /// Nesterov momentum.
    pub momentum: f32,
    /// Weight decay of convolution and linear weights.
    pub weight_decay: f32,
    /// How images are varied.
    pub augment: Augment,
    /// Train on the first so many images only.
    pub subset: Option<usize>,
    /// Weight of the penalty on inputs of quadratic activations beyond `range_limit`; 0 for none.
    pub range_penalty: f64,
    /// Magnitude up to which the penalty is zero.
    pub range_limit: f32,
    /// Largest norm of the gradient; 0 for any.
    pub clip: f32,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f32,
    /// Root of all random choices.
    pub seed: u64,
    /// Where to train. One device repeats its own bits only.
    pub device: TrainDevice,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 5,
            batch: 64,
            lr: 0.05,
            momentum: 0.9,
            weight_decay: 5e-4,
            augment: Augment::None,
            subset: None,
            range_penalty: 0.0,
            range_limit: 4.0,
            clip: 2.0,
            label_smoothing: 0.0,
            seed: 0,
            device: TrainDevice::Cpu,
        }
    }
}

impl TrainConfig {
    fn check(&self, images: usize) -> Result<(), TrainError> {
        let bad = |field, value, expected| Err(TrainError::Config { field, value, expected });
        let share = |v: f32| (0.0..1.0).contains(&v);
        let finite = |v: f64| v.is_finite() && v >= 0.0;
        match self {
            Self { epochs: 0, .. } => bad("epochs", 0.0, "at least 1"),
            Self { batch, .. } if *batch == 0 || *batch > images => {
                bad("batch", *batch as f64, "1 to the number of training images")
            }
            Self { lr, .. } if !finite(*lr) || *lr == 0.0 => bad("lr", *lr, "a positive number"),
            Self { momentum, .. } if !share(*momentum) => bad("momentum", f64::from(*momentum), "0 or more, below 1"),
            Self { label_smoothing: s, .. } if !share(*s) => {
                bad("label_smoothing", f64::from(*s), "0 or more, below 1")
            }
            Self { weight_decay: w, .. } if !finite(f64::from(*w)) => bad("weight_decay", f64::from(*w), "0 or more"),
            Self { clip, .. } if !finite(f64::from(*clip)) => bad("clip", f64::from(*clip), "0 or more"),
            Self { range_penalty: p, .. } if !finite(*p) => bad("range_penalty", *p, "0 or more"),
            Self { range_limit: l, .. } if !finite(f64::from(*l)) => bad("range_limit", f64::from(*l), "0 or more"),
            _ => Ok(()),
        }
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub enum TrainEvent {
    /// A step is done.
    Batch {
        /// Epoch, from 1.
        epoch: usize,
        /// Loss of the batch.
        loss: f32,
        /// Images done in this epoch.
        images: usize,
        /// Images of an epoch.
        epoch_images: usize,
        /// Time that the steps left will take at the speed so far, validation left out.
        time_left: Duration,
    },
    /// An epoch is done.
    Epoch(EpochStats),
}

/// One epoch in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochStats {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the steps, penalty included.
    pub train_loss: f64,
    /// Accuracy on the batches as they were trained on.
    pub train_accuracy: f64,
    /// Loss on the validation images.
    pub validation_loss: f64,
    /// Accuracy on the validation images.
    pub validation_accuracy: f64,
    /// Training speed, validation left out.
    pub images_per_second: f64,
}

/// A trained network.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Its parameters after the last epoch.
    pub weights: WeightStore,
    /// Every epoch, those before a resumed checkpoint included.
    pub history: Vec<EpochStats>,
    /// Ranges of the activations' inputs on training images.
    pub ranges: Vec<ActivationRange>,
    /// Whether the observer stopped training before the last epoch.
    pub stopped: bool,
}

impl Trained {
    /// Validation accuracy after the last epoch; 0 before the first.
    pub fn validation_accuracy(&self) -> f64 {
        self.history.last().map_or(0.0, |e| e.validation_accuracy)
    }
}

/// Trains `graph` from initial weights. The observer sees every step and epoch and may stop training. With `checkpoint`,
/// the state is saved there after each epoch; if that file exists already, training goes on from it, bit for bit.
pub fn train(
    graph: &TypedGraph,
    splits: &Splits,
    config: &TrainConfig,
    checkpoint: Option<&Path>,
    observer: &mut dyn FnMut(&TrainEvent) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    check_shapes(graph, &splits.train)?;
    let images = config.subset.unwrap_or(usize::MAX).min(splits.train.len());
    config.check(images)?;
    let seed = SeedTree::new(config.seed);
    let mut state = State::start(graph, config, checkpoint, &seed)?;
    let mut stopped = false;
    while state.history.len() < config.epochs && !stopped {
        let mut epoch = Epoch::new(config, &splits.train, images, &seed, state.history.len());
        if epoch.run(&mut state, observer)?.is_break() {
            stopped = true;
            break;
        }
        let validation = evaluate_model(&state.model, &splits.validation, EVAL_BATCH)?;
        if !validation.loss.is_finite() && !splits.validation.is_empty() {
            return Err(epoch.error(validation.loss as f32, "a network run on the validation images".to_owned()));
        }
        let stats = epoch.stats(validation.loss, validation.accuracy);
        state.history.push(stats);
        if let Some(path) = checkpoint {
            checkpoint::save(path, &state.model, &state.sgd, config, &state.history)?;
        }
        stopped = observer(&TrainEvent::Epoch(stats)).is_break() && state.history.len() < config.epochs;
    }
    let weights = state.model.weights()?;
    let ranges = ranges(graph, &weights, &splits.train.take(RANGE_IMAGES))?;
    release();
    Ok(Trained { weights, history: state.history, ranges, stopped })
}

struct State {
    model: Model,
    sgd: Sgd,
    history: Vec<EpochStats>,
}

impl State {
    fn start(
        graph: &TypedGraph,
        config: &TrainConfig,
        checkpoint: Option<&Path>,
        seed: &SeedTree,
    ) -> Result<Self, TrainError> {
        let TrainConfig { momentum, weight_decay, clip, .. } = *config;
        let settings = SgdConfig { momentum, weight_decay, clip };
        let device = config.device.open()?;
        if let Some(path) = checkpoint.filter(|path| path.exists()) {
            let resumed = checkpoint::load(path, graph, config)?;
            let mut model = Model::from_weights(graph, &resumed.weights)?;
            model.move_to(&device)?;
            let mut sgd = Sgd::new(settings, &model)?;
            sgd.momentum.extend(resumed.momentum);
            return Ok(Self { model, sgd, history: resumed.history });
        }
        let mut model = Model::new(graph, &seed.child("weights"))?;
        model.move_to(&device)?;
        let sgd = Sgd::new(settings, &model)?;
        Ok(Self { model, sgd, history: Vec::new() })
    }
}

/// One epoch in progress.
struct Epoch<'a> {
    config: &'a TrainConfig,
    data: &'a Dataset,
    /// Image numbers in this epoch's order.
    order: Vec<usize>,
    seed: SeedTree,
    /// From 0.
    index: usize,
    losses: f64,
    right: usize,
    done: usize,
    started: Instant,
}

impl<'a> Epoch<'a> {
    fn new(config: &'a TrainConfig, data: &'a Dataset, images: usize, seed: &SeedTree, index: usize) -> Self {
        let seed = seed.child("epoch").index(index as u64);
        let mut order: Vec<usize> = (0..images).collect();
        order.shuffle(&mut seed.child("order").rng());
        order.truncate(images / config.batch * config.batch);
        Self { config, data, order, seed, index, losses: 0.0, right: 0, done: 0, started: Instant::now() }
    }

    fn run(
        &mut self,
        state: &mut State,
        observer: &mut dyn FnMut(&TrainEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, TrainError> {
        self.started = Instant::now();
        let epoch_images = self.order.len();
        while self.done < epoch_images {
            let loss = self.step(state)?;
            let left = epoch_images * (self.config.epochs - self.index) - self.done;
            let time_left = self.started.elapsed().mul_f64(left as f64 / self.done as f64);
            let (epoch, images) = (self.index + 1, self.done);
            let event = TrainEvent::Batch { epoch, loss, images, epoch_images, time_left };
            if observer(&event).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn step(&mut self, state: &mut State) -> Result<f32, TrainError> {
        let config = self.config;
        let indices = &self.order[self.done..self.done + config.batch];
        let labels: Vec<u8> = indices.iter().map(|&i| self.data.labels()[i]).collect();
        let input = state.model.input(augment::batch(self.data, indices, config.augment, &self.seed))?;
        let weight = config.range_penalty as f32;
        let penalty = (weight > 0.0).then_some(Penalty { limit: config.range_limit, weight });
        let pass = state.model.train_pass(&input, penalty)?;
        let entropy = CrossEntropy { labels: &labels, smoothing: config.label_smoothing };
        let (value, grad) = entropy.value_and_grad(pass.logits())?;
        let value = value + pass.penalty;
        if !value.is_finite() {
            return Err(self.diverged(&state.model, &pass, value)?);
        }
        let rows = pass.logits().to_vec2::<f32>()?;
        self.right += rows.iter().zip(&labels).filter(|(row, label)| argmax(row) == usize::from(**label)).count();
        self.losses += f64::from(value) * config.batch as f64;
        let grads = state.model.gradients(&pass, grad, penalty)?;
        let per_epoch = self.order.len() / config.batch;
        let step = self.index * per_epoch + self.done / config.batch;
        let rate = learning_rate(config.lr, step, per_epoch * config.epochs);
        state.sgd.step(&mut state.model, &grads, rate as f32)?;
        state.model.update_running(&pass)?;
        self.done += config.batch;
        Ok(value)
    }

    /// Names the first node whose value is not finite.
    fn diverged(&self, model: &Model, pass: &Pass, loss: f32) -> Result<TrainError, TrainError> {
        let mut place = "the loss".to_owned();
        for id in model.graph().ids() {
            let Some(value) = &pass.values[id.index()] else { continue };
            if value.flatten_all()?.to_vec1::<f32>()?.iter().any(|v| !v.is_finite()) {
                place = format!("node {id}");
                break;
            }
        }
        Ok(self.error(loss, place))
    }

    fn error(&self, loss: f32, place: String) -> TrainError {
        TrainError::Diverged { epoch: self.index + 1, step: self.done / self.config.batch + 1, loss, place }
    }

    fn stats(&self, validation_loss: f64, validation_accuracy: f64) -> EpochStats {
        let images = self.done.max(1) as f64;
        EpochStats {
            epoch: self.index + 1,
            train_loss: self.losses / images,
            train_accuracy: self.right as f64 / images,
            validation_loss,
            validation_accuracy,
            images_per_second: images / self.started.elapsed().as_secs_f64(),
        }
    }
}
