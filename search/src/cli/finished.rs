//! A finished training, read from its folder.

use std::ops::ControlFlow;
use std::path::Path;

use serde::Deserialize;
use striae_search::recipe::Recipe;
use striae_spaces::{NotationError, TypedGraph, WeightStore};
use striae_train::{ActivationRange, DatasetName, SeedTree, Splits, TrainConfig, TrainEvent, Training, load};

use super::arch::read_text;
use super::failure::Failure;

/// What is read of a run's `metrics.json`.
#[derive(Deserialize)]
struct RunMetrics {
    network: String,
    validation_accuracy: f64,
    test: TestMetrics,
    ranges: Vec<ActivationRange>,
}

#[derive(Deserialize)]
struct TestMetrics {
    accuracy: f64,
}

/// A finished training.
pub(super) struct Run {
    /// Name of its folder.
    pub(super) label: String,
    /// The network as it was trained, batch norms not folded.
    pub(super) graph: TypedGraph,
    pub(super) dataset: DatasetName,
    pub(super) splits: Splits,
    pub(super) training: TrainConfig,
    /// The weights of `graph`.
    pub(super) weights: WeightStore,
    /// Of each activation and of the logits, over the training images.
    pub(super) ranges: Vec<ActivationRange>,
    /// On validation and test images.
    pub(super) accuracy: (f64, f64),
}

/// Reads a folder that `striae train` wrote; the data set's files are in `data_dir`.
pub(super) fn read_run(folder: &Path, data_dir: Option<&Path>) -> Result<Run, Failure> {
    const NOT_A_RUN: &str = "give the folder of a training that `striae train` has finished";
    let path = folder.join("metrics.json");
    let text = read_text(&path).map_err(|e| e.hint(NOT_A_RUN))?;
    let bad = |e: String| Failure::bad_input(format!("{}: {e}", path.display()), NOT_A_RUN);
    let metrics: RunMetrics = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let graph: TypedGraph =
        metrics.network.parse().map_err(|e: NotationError| Failure::from(e).in_file(&path).hint(NOT_A_RUN))?;
    let recipe = Recipe::from_file(&folder.join("recipe.toml"))?;
    let dataset: DatasetName = recipe.dataset.parse()?;
    let training = recipe.training;
    let seed = SeedTree::new(training.seed).child("data");
    let splits = load(dataset, data_dir, recipe.validation, &seed)?.normalised(recipe.normalisation);
    let checkpoint = folder.join("checkpoint.json");
    if !checkpoint.exists() {
        return Err(Failure::bad_input(format!("{}: does not exist", checkpoint.display()), NOT_A_RUN));
    }
    // Nothing is left to train: this only reads the state after the last epoch.
    let mut stop = |_: &TrainEvent| ControlFlow::Break(());
    let finished = Training { checkpoint: Some(&checkpoint), ..Training::new(&graph, &splits, &training) };
    let trained = finished.run(&mut stop)?;
    if trained.stopped {
        return Err(Failure::bad_input(format!("{}: the training is not finished", folder.display()), NOT_A_RUN));
    }
    let label = folder.file_name().map_or_else(|| "network".to_owned(), |name| name.to_string_lossy().into_owned());
    let accuracy = (metrics.validation_accuracy, metrics.test.accuracy);
    Ok(Run { label, graph, dataset, splits, training, weights: trained.weights, ranges: metrics.ranges, accuracy })
}
