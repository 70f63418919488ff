//! A training run: a network, its data, how to train it, and what it starts from.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use striae_spaces::{TypedGraph, WeightMask, WeightStore};

use crate::{
    Dataset, SeedTree, Splits, TrainConfig, TrainError, checkpoint,
    epoch::{Answers, Epoch},
    evaluate::{check_shapes, evaluate_model},
    layers::release,
    model::Model,
    settle::SETTLE_IMAGES,
    state::{Start, State},
    twin::rectifier_twin,
};

/// Images per evaluation pass.
const EVAL_BATCH: usize = 128;
/// Images that show how wide the activations of given weights are.
const START_IMAGES: usize = 512;

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
    /// Something happened to the teacher, which is trained first.
    Teacher(Box<TrainEvent>),
}

/// What sees every step and epoch, and may stop training.
pub type Observer<'o> = dyn FnMut(&TrainEvent) -> ControlFlow<()> + 'o;

/// One epoch in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochStats {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the steps, penalty and teacher included.
    pub train_loss: f64,
    /// Accuracy on the batches as they were trained on; under `MixUp` on the labels of the larger part.
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
    /// Whether the observer stopped training before the last epoch.
    pub stopped: bool,
}

impl Trained {
    /// Validation accuracy after the last epoch; 0 before the first.
    pub fn validation_accuracy(&self) -> f64 {
        self.history.last().map_or(0.0, |e| e.validation_accuracy)
    }
}

/// Trains `graph` from initial weights; see [`Training`].
pub fn train(
    graph: &TypedGraph,
    splits: &Splits,
    config: &TrainConfig,
    checkpoint: Option<&Path>,
    observer: &mut Observer<'_>,
) -> Result<Trained, TrainError> {
    Training { checkpoint, ..Training::new(graph, splits, config) }.run(observer)
}

/// A training run that has yet to begin.
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// The network.
    pub graph: &'a TypedGraph,
    /// Its data; the test images are not looked at.
    pub splits: &'a Splits,
    /// How to train.
    pub config: &'a TrainConfig,
    /// Where the state is saved after each epoch; if that file exists already, training goes on from it, bit for bit. A
    /// teacher has a file of its own beside it.
    pub checkpoint: Option<&'a Path>,
    /// Weights to start from; drawn if absent.
    pub weights: Option<&'a WeightStore>,
    /// Weights that stay zero from the start to the end.
    pub mask: Option<&'a WeightMask>,
}

impl<'a> Training<'a> {
    /// A run from drawn weights that leaves no checkpoint.
    pub fn new(graph: &'a TypedGraph, splits: &'a Splits, config: &'a TrainConfig) -> Self {
        Self { graph, splits, config, checkpoint: None, weights: None, mask: None }
    }

    /// Trains. The observer sees every step and epoch and may stop training.
    pub fn run(&self, observer: &mut Observer<'_>) -> Result<Trained, TrainError> {
        let Self { graph, splits, config, .. } = *self;
        check_shapes(graph, &splits.train)?;
        let images = config.subset.unwrap_or(usize::MAX).min(splits.train.len());
        config.check(images)?;
        if let Some(mask) = self.mask {
            mask.check(graph)?;
        }
        let twin = self.train_teacher(observer)?;
        if let Some((_, Trained { stopped: true, .. })) = &twin {
            let weights = self.start(None)?.model.weights()?;
            return Ok(Trained { weights, history: Vec::new(), stopped: true });
        }
        let mut state = self.start(twin.as_ref().map(|(_, trained)| &trained.weights))?;
        if let Some(path) = self.checkpoint.filter(|path| path.exists()) {
            checkpoint::load(path, &mut state, config, &splits.train)?;
        }
        let teacher = twin.map(|(graph, trained)| Model::from_weights(&graph, &trained.weights)).transpose()?;
        let device = state.model.device().clone();
        let teacher = teacher.map(|model| model.on(&device)).transpose()?;
        let answers = teacher.as_ref().zip(config.teacher.as_ref());
        let answers = answers.map(|(model, teacher)| Answers { model, teacher });
        let plain = splits.train.take(images.min(SETTLE_IMAGES));
        let (stopped, settled) = self.epochs(&mut state, &plain, images, answers, observer)?;
        let weights = settled.map_or_else(|| state.settled(&plain, config, state.history.len()), Ok)?.weights()?;
        release();
        Ok(Trained { weights, history: state.history, stopped })
    }

    fn start(&self, twin: Option<&WeightStore>) -> Result<State, TrainError> {
        let shown: Vec<f32>;
        let start = match (self.weights, twin) {
            (Some(weights), _) => {
                shown = self.splits.train.images(0..START_IMAGES.min(self.splits.train.len()));
                Start::Given(weights, &shown)
            }
            (None, Some(twin)) if self.config.teacher.as_ref().is_some_and(|t| t.warm_start) => Start::Twin(twin),
            (None, _) => Start::Fresh,
        };
        State::start(self.graph, self.config, start, self.mask, &SeedTree::new(self.config.seed))
    }

    /// The rectifier twin, trained, if there is to be one.
    fn train_teacher(&self, observer: &mut Observer<'_>) -> Result<Option<(TypedGraph, Trained)>, TrainError> {
        let Some(teacher) = &self.config.teacher else { return Ok(None) };
        let (graph, config) = (rectifier_twin(self.graph)?, self.config.of_teacher(teacher));
        let checkpoint = self.checkpoint.map(teacher_path);
        let run = Training { checkpoint: checkpoint.as_deref(), ..Training::new(&graph, self.splits, &config) };
        let trained = run.run(&mut |event| observer(&TrainEvent::Teacher(Box::new(event.clone()))))?;
        Ok(Some((graph, trained)))
    }

    /// Trains the epochs that are left; whether the observer stopped, and the network as it was evaluated, with statistics of
    /// `plain` images, unless there was no epoch or a step since.
    fn epochs(
        &self,
        state: &mut State,
        plain: &Dataset,
        images: usize,
        answers: Option<Answers<'_>>,
        observer: &mut Observer<'_>,
    ) -> Result<(bool, Option<Model>), TrainError> {
        let Self { splits, config, .. } = *self;
        let mut kept = None;
        while state.history.len() < config.epochs {
            let mut epoch = Epoch::new(config, &splits.train, images, state.history.len());
            (epoch.answers, epoch.mask) = (answers, self.mask);
            if epoch.run(state, observer)?.is_break() {
                return Ok((true, None));
            }
            let settled = state.settled(plain, config, state.history.len() + 1)?;
            let validation = evaluate_model(&settled, &splits.validation, EVAL_BATCH)?;
            if !validation.loss.is_finite() && !splits.validation.is_empty() {
                return Err(epoch.error(validation.loss as f32, "a network run on the validation images".to_owned()));
            }
            kept = Some(settled);
            let stats = epoch.stats(validation.loss, validation.accuracy);
            state.history.push(stats);
            if let Some(path) = self.checkpoint {
                checkpoint::save(path, state, config, &splits.train)?;
            }
            if observer(&TrainEvent::Epoch(stats)).is_break() && state.history.len() < config.epochs {
                return Ok((true, kept));
            }
        }
        Ok((false, kept))
    }
}

/// Where the teacher of a run is kept.
fn teacher_path(checkpoint: &Path) -> PathBuf {
    let stem = checkpoint.file_stem().unwrap_or_default().to_string_lossy();
    checkpoint.with_file_name(format!("{stem}-teacher.json"))
}
