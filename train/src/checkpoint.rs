//! Checkpoints: everything that the next epoch depends on.
//!
//! A checkpoint is a JSON file that names a safetensors file beside it (parameters, and momentum under `momentum.*`).
//! The JSON appears by rename after the tensors, so a killed run leaves the old checkpoint or the new one. Random choices
//! depend on the seed and the epoch alone, so no generator state is stored.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use striae_spaces::{GraphLiteral, Tensor, TypedGraph, WeightError, WeightStore};

use crate::{EpochStats, Model, TrainConfig, TrainError, optim::Sgd};

const VERSION: u32 = 1;
const MOMENTUM: &str = "momentum.";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    graph: GraphLiteral,
    config: TrainConfig,
    history: Vec<EpochStats>,
    /// File name of the tensors.
    tensors: String,
}

/// What training goes on from.
pub(crate) struct Resumed {
    pub(crate) weights: WeightStore,
    pub(crate) momentum: Vec<(String, Vec<f32>)>,
    pub(crate) history: Vec<EpochStats>,
}

/// Writes the state after the last epoch of `history` and removes the tensors of the checkpoint it replaces.
pub(crate) fn save(
    path: &Path,
    model: &Model,
    sgd: &Sgd,
    config: &TrainConfig,
    history: &[EpochStats],
) -> Result<(), TrainError> {
    let stem = path.file_stem().map_or_else(|| "checkpoint".to_owned(), |s| s.to_string_lossy().into_owned());
    let tensors = format!("{stem}-{}.safetensors", history.len());
    let mut store = model.weights()?;
    for (name, values) in &sgd.momentum {
        store.insert(format!("{MOMENTUM}{name}"), Tensor { shape: vec![values.len()], data: values.clone() });
    }
    let old = read(path).ok().map(|header| path.with_file_name(header.tensors));
    let new = path.with_file_name(&tensors);
    store.save(&new)?;
    let graph = model.graph().to_literal();
    let header = Header { version: VERSION, graph, config: config.clone(), history: history.to_vec(), tensors };
    let json = serde_json::to_string_pretty(&header).map_err(|e| field(path, "contents", e.to_string()))?;
    let partial = path.with_extension("partial");
    let io = |source| TrainError::Io { path: path.to_owned(), source };
    fs_err::write(&partial, json).map_err(io)?;
    fs_err::rename(&partial, path).map_err(io)?;
    if let Some(old) = old.filter(|old| *old != new) {
        // Left behind, the old tensors only take space.
        let _ = fs_err::remove_file(old);
    }
    Ok(())
}

/// Reads a checkpoint and checks that it belongs to this network and configuration.
pub(crate) fn load(path: &Path, graph: &TypedGraph, config: &TrainConfig) -> Result<Resumed, TrainError> {
    let header = read(path)?;
    if header.graph != graph.to_literal() {
        return Err(field(path, "graph", "is of another network".to_owned()));
    }
    if header.config != *config {
        return Err(field(path, "config", "differs from the configuration of this run".to_owned()));
    }
    if header.history.len() > config.epochs {
        return Err(field(path, "history", format!("has {} epochs of {}", header.history.len(), config.epochs)));
    }
    let tensors = path.with_file_name(&header.tensors);
    let (mut weights, mut momentum) = (WeightStore::default(), Vec::new());
    for (name, tensor) in WeightStore::load(&tensors)?.iter() {
        match name.strip_prefix(MOMENTUM) {
            Some(name) => momentum.push((name.to_owned(), tensor.data.clone())),
            None => weights.insert(name, tensor.clone()),
        }
    }
    weights.check(graph)?;
    for (name, values) in &momentum {
        let expected = weights.get(name)?;
        if expected.data.len() != values.len() {
            let (got, expected) = (vec![values.len()], vec![expected.data.len()]);
            return Err(WeightError::Shape { name: format!("{MOMENTUM}{name}"), got, expected }.into());
        }
    }
    Ok(Resumed { weights, momentum, history: header.history })
}

fn read(path: &Path) -> Result<Header, TrainError> {
    let text = fs_err::read_to_string(path).map_err(|source| TrainError::Io { path: path.to_owned(), source })?;
    let header: Header = serde_json::from_str(&text).map_err(|e| field(path, "contents", e.to_string()))?;
    if header.version != VERSION {
        return Err(field(path, "version", format!("is {}, this program reads {VERSION}", header.version)));
    }
    // A name only: a path could point anywhere.
    if Path::new(&header.tensors).file_name() != Some(Path::new(&header.tensors).as_os_str()) {
        return Err(field(path, "tensors", format!("\"{}\" is not a file name", header.tensors)));
    }
    Ok(header)
}

fn field(path: &Path, field: &'static str, why: String) -> TrainError {
    TrainError::Checkpoint { path: PathBuf::from(path), field, why }
}
