//! Checkpoints: everything that the next epoch depends on.
//!
//! A checkpoint is a JSON file that names a safetensors file beside it: parameters, momentum under `momentum.*`, the moving
//! average under `average.*`. The JSON appears by rename after the tensors, so a killed run, or a full disk, leaves the old
//! checkpoint or the new one. Random choices depend on the seed and the epoch alone, so no generator state is stored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use striae_spaces::{GraphLiteral, Tensor, TypedGraph, WeightStore};

use crate::{Dataset, EpochStats, Normalisation, TrainConfig, TrainError, state::State};

const VERSION: u32 = 2;
const PARAMETER: &str = "parameter.";
const MOMENTUM: &str = "momentum.";
const AVERAGE: &str = "average.";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    graph: GraphLiteral,
    config: TrainConfig,
    /// Absent in those of earlier programs.
    #[serde(default)]
    images: Option<Images>,
    history: Vec<EpochStats>,
    /// File name of the tensors.
    tensors: String,
}

/// What tells one training set from another.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Images {
    count: usize,
    normalisation: Normalisation,
}

impl Images {
    fn of(data: &Dataset) -> Self {
        Self { count: data.len(), normalisation: data.normalisation().clone() }
    }
}

/// Writes the state after its last epoch and removes the tensors of the checkpoint it replaces.
pub(crate) fn save(path: &Path, state: &State, config: &TrainConfig, data: &Dataset) -> Result<(), TrainError> {
    let (history, graph) = (state.history.clone(), state.model.graph().to_literal());
    let stem = path.file_stem().map_or_else(|| "checkpoint".to_owned(), |s| s.to_string_lossy().into_owned());
    let tensors = format!("{stem}-{}.safetensors", history.len());
    let mut store = WeightStore::default();
    let mut add = |kind: &str, name: &str, data: Vec<f32>| {
        store.insert(format!("{kind}{name}"), Tensor { shape: vec![data.len()], data });
    };
    for name in state.model.params().keys() {
        add(PARAMETER, name, state.model.values(name)?);
    }
    state.sgd.momentum.iter().for_each(|(name, values)| add(MOMENTUM, name, values.clone()));
    for (name, values) in state.ema.iter().flat_map(|ema| &ema.values) {
        add(AVERAGE, name, values.clone());
    }
    let old = read(path).ok().map(|header| path.with_file_name(header.tensors));
    let new = path.with_file_name(&tensors);
    store.save(&new)?;
    let images = Some(Images::of(data));
    let header = Header { version: VERSION, graph, config: config.clone(), images, history, tensors };
    let json = serde_json::to_string_pretty(&header).map_err(|e| field(path, "contents", e.to_string()))?;
    let partial = path.with_extension("partial");
    let written = fs_err::write(&partial, json).and_then(|()| fs_err::rename(&partial, path));
    if let Err(source) = written {
        // What is half-written must not take the room that the next attempt needs.
        let _ = fs_err::remove_file(partial);
        return Err(TrainError::Io { path: path.to_owned(), source });
    }
    if let Some(old) = old.filter(|old| *old != new) {
        // Left behind, the old tensors only take space.
        let _ = fs_err::remove_file(old);
    }
    Ok(())
}

/// Puts a checkpoint's values into the state of a run that was set up alike, or refuses it.
pub(crate) fn load(path: &Path, state: &mut State, config: &TrainConfig, data: &Dataset) -> Result<(), TrainError> {
    let graph: &TypedGraph = state.model.graph();
    let header = read(path)?;
    if header.graph != graph.to_literal() {
        return Err(field(path, "graph", "is of another network".to_owned()));
    }
    if header.config != *config {
        return Err(field(path, "config", "differs from the configuration of this run".to_owned()));
    }
    if header.images.is_some_and(|images| images != Images::of(data)) {
        return Err(field(path, "images", "are of another data set, validation share or normalisation".to_owned()));
    }
    if header.history.len() > config.epochs {
        return Err(field(path, "history", format!("has {} epochs of {}", header.history.len(), config.epochs)));
    }
    let tensors = path.with_file_name(&header.tensors);
    let store = WeightStore::load(&tensors)?;
    let mut places: BTreeMap<String, &mut Vec<f32>> = BTreeMap::new();
    let mut parameters = BTreeMap::new();
    for name in state.model.params().keys() {
        parameters.insert(name.clone(), state.model.values(name)?);
    }
    let average = state.ema.iter_mut().flat_map(|ema| &mut ema.values);
    let kinds = [(PARAMETER, &mut parameters), (MOMENTUM, &mut state.sgd.momentum)];
    for (kind, values) in kinds {
        places.extend(values.iter_mut().map(|(name, values)| (format!("{kind}{name}"), values)));
    }
    places.extend(average.map(|(name, values)| (format!("{AVERAGE}{name}"), values)));
    for (name, place) in places {
        let tensor = store.get(&name)?;
        if tensor.data.len() != place.len() || !tensor.data.iter().all(|v| v.is_finite()) {
            let why = format!("{name} has {} values, expected {} finite ones", tensor.data.len(), place.len());
            return Err(field(&tensors, "tensors", why));
        }
        place.clone_from(&tensor.data);
    }
    for (name, values) in parameters {
        state.model.set(&name, values)?;
    }
    state.history = header.history;
    Ok(())
}

fn read(path: &Path) -> Result<Header, TrainError> {
    let text = fs_err::read_to_string(path).map_err(|source| TrainError::Io { path: path.to_owned(), source })?;
    let broken = |e: serde_json::Error| field(path, "contents", e.to_string());
    // The version alone first, so that another one is named as such.
    let raw: serde_json::Value = serde_json::from_str(&text).map_err(broken)?;
    match raw.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version != u64::from(VERSION) => {
            return Err(field(path, "version", format!("is {version}, this program reads {VERSION}")));
        }
        _ => {}
    }
    let header: Header = serde_json::from_str(&text).map_err(broken)?;
    // A name only: a path could point anywhere.
    if Path::new(&header.tensors).file_name() != Some(Path::new(&header.tensors).as_os_str()) {
        return Err(field(path, "tensors", format!("\"{}\" is not a file name", header.tensors)));
    }
    Ok(header)
}

fn field(path: &Path, field: &'static str, why: String) -> TrainError {
    TrainError::Checkpoint { path: PathBuf::from(path), field, why }
}
