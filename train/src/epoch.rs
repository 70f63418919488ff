//! One pass over the training images.

use std::{ops::ControlFlow, time::Instant};

use rand::seq::SliceRandom;
use striae_spaces::{Op, WeightMask};

use crate::{
    Dataset, EpochStats, Model, SeedTree, TeacherConfig, TrainConfig, TrainError, TrainEvent,
    augment::{self, Variation},
    evaluate::{argmax, model_logits},
    layers::{Loss, Teacher, targets},
    pass::{Pass, RUNNING_SHARE},
    state::State,
    trainer::Observer,
};

/// A trained twin to learn from.
#[derive(Clone, Copy)]
pub(crate) struct Answers<'a> {
    pub(crate) model: &'a Model,
    pub(crate) teacher: &'a TeacherConfig,
}

/// One epoch in progress.
pub(crate) struct Epoch<'a> {
    pub(crate) answers: Option<Answers<'a>>,
    pub(crate) mask: Option<&'a WeightMask>,
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
    /// Epoch `index`, from 0, over the first `images` images.
    pub(crate) fn new(config: &'a TrainConfig, data: &'a Dataset, images: usize, index: usize) -> Self {
        let seed = SeedTree::new(config.seed).child("epoch").index(index as u64);
        let mut order: Vec<usize> = (0..images).collect();
        order.shuffle(&mut seed.child("order").rng());
        order.truncate(images / config.batch * config.batch);
        let (answers, mask, started) = (None, None, Instant::now());
        Self { answers, mask, config, data, order, seed, index, losses: 0.0, right: 0, done: 0, started }
    }

    pub(crate) fn run(
        &mut self,
        state: &mut State,
        observer: &mut Observer<'_>,
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

    /// Steps done in all epochs.
    fn steps(&self) -> usize {
        let per_epoch = self.order.len() / self.config.batch;
        self.index * per_epoch + self.done / self.config.batch
    }

    fn step(&mut self, state: &mut State) -> Result<f32, TrainError> {
        let config = self.config;
        let (step, steps) = (self.steps(), self.order.len() / config.batch * config.epochs);
        let replacing = config.replacement * steps as f64;
        state.model.replace(if (step as f64) < replacing { step as f32 / replacing as f32 } else { 1.0 });
        let (images, targets) = self.batch(state.model.graph().output_shape().len());
        let answers = self.answers.map(|a| model_logits(a.model, images.clone())).transpose()?.map(|a| a.concat());
        let input = state.model.input(images)?;
        let pass = state.model.train_pass(&input, config.bounds(step as f64 / steps as f64))?;
        let teacher = self.answers.zip(answers.as_ref()).map(|(Answers { teacher, .. }, logits)| {
            let TeacherConfig { share, temperature, .. } = *teacher;
            Teacher { logits, share, temperature }
        });
        let (value, grad) = Loss { targets: &targets, teacher }.value_and_grad(pass.logits())?;
        let value = value + pass.penalty;
        if !value.is_finite() {
            return Err(self.diverged(&state.model, &pass, value)?);
        }
        let rows = pass.logits().to_vec2::<f32>()?;
        let wanted = targets.chunks_exact(targets.len() / config.batch);
        self.right += rows.iter().zip(wanted).filter(|(row, target)| argmax(row) == argmax(target)).count();
        self.losses += f64::from(value) * config.batch as f64;
        let grads = state.model.gradients(&pass, grad)?;
        let rate = config.schedule.rate(config.lr, config.warm_up, step, steps);
        state.sgd.step(&mut state.model, &grads, rate as f32, self.mask)?;
        state.model.update_running(&pass, RUNNING_SHARE)?;
        if let Some(ema) = &mut state.ema {
            ema.add(&state.model, step)?;
        }
        self.done += config.batch;
        Ok(value)
    }

    /// The next images and their target distributions.
    fn batch(&self, classes: usize) -> (Vec<f32>, Vec<f32>) {
        let TrainConfig { augment, cutout, mixup, label_smoothing, batch, .. } = *self.config;
        let indices = &self.order[self.done..self.done + batch];
        let labels: Vec<u8> = indices.iter().map(|&i| self.data.labels()[i]).collect();
        let mut images = augment::batch(self.data, indices, Variation { augment, cutout }, &self.seed);
        let mut targets = targets(&labels, classes, label_smoothing);
        if mixup > 0.0 {
            let seed = self.seed.child("mixup").index(self.done as u64);
            augment::mix(&mut images, &mut targets, batch, mixup, &seed);
        }
        (images, targets)
    }

    /// Names the first node whose value is not finite.
    fn diverged(&self, model: &Model, pass: &Pass, loss: f32) -> Result<TrainError, TrainError> {
        let mut place = "the loss".to_owned();
        for id in model.graph().ids() {
            let Some(value) = &pass.values[id.index()] else { continue };
            if value.flatten_all()?.to_vec1::<f32>()?.iter().any(|v| !v.is_finite()) {
                place = format!("node {id} ({})", kind(&model.graph().node(id).op));
                break;
            }
        }
        Ok(self.error(loss, place))
    }

    pub(crate) fn error(&self, loss: f32, place: String) -> TrainError {
        TrainError::Diverged { epoch: self.index + 1, step: self.done / self.config.batch + 1, loss, place }
    }

    pub(crate) fn stats(&self, validation_loss: f64, validation_accuracy: f64) -> EpochStats {
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

/// What a layer is to a reader.
fn kind(op: &Op) -> &'static str {
    match op {
        Op::Input => "the image",
        Op::Conv2d(_) => "a convolution",
        Op::Linear(_) => "a linear layer",
        Op::AvgPool(_) => "a pool",
        Op::Activation(_) => "an activation",
        Op::Add => "a residual addition",
        Op::Flatten => "the flattened maps",
        Op::BatchNorm => "a batch norm",
    }
}
