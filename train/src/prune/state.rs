//! The state of a pruning, and its file: JSON that names a safetensors file beside it, each in place by rename, the JSON
//! last, so that a killed run leaves the state before a round or the one after it.

use std::{collections::BTreeSet, path::Path};

use serde::{Deserialize, Serialize};
use striae_spaces::{TypedGraph, WeightStore};

use crate::TrainError;

use super::{Blocks, PruneConfig, PruneRound};

const VERSION: u32 = 1;
const FILE: &str = "pruning.json";

/// What the next round depends on.
pub(super) struct State {
    pub(super) weights: WeightStore,
    pub(super) removed: BTreeSet<u32>,
    /// Share of the blocks left that the next round removes.
    pub(super) share: f64,
    pub(super) start_accuracy: f64,
    pub(super) rounds: Vec<PruneRound>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    /// [`Blocks::fingerprint`].
    blocks: String,
    config: PruneConfig,
    removed: BTreeSet<u32>,
    share: f64,
    start_accuracy: f64,
    rounds: Vec<PruneRound>,
    /// File name of the weights.
    tensors: String,
}

/// Saves the state after its last round and removes what the round and the state before it left.
pub(super) fn save(folder: &Path, state: &State, config: &PruneConfig, blocks: &Blocks) -> Result<(), TrainError> {
    let round = state.rounds.len();
    let path = folder.join(FILE);
    let name = |round: usize| format!("pruning-{round}.safetensors");
    state.weights.save(&folder.join(name(round)))?;
    let header = Header {
        version: VERSION,
        blocks: blocks.fingerprint(),
        config: config.clone(),
        removed: state.removed.clone(),
        share: state.share,
        start_accuracy: state.start_accuracy,
        rounds: state.rounds.clone(),
        tensors: name(round),
    };
    let json = serde_json::to_string_pretty(&header).map_err(|e| field(&path, "contents", e.to_string()))?;
    let partial = path.with_extension("partial");
    let io = |source| TrainError::Io { path: path.clone(), source };
    fs_err::write(&partial, json).map_err(io)?;
    fs_err::rename(&partial, &path).map_err(io)?;
    // Left behind, these only take space.
    let _ = fs_err::remove_file(folder.join(name(round - 1)));
    let _ = fs_err::remove_file(folder.join(format!("round-{round}.json")));
    let _ = fs_err::remove_file(folder.join(format!("round-{round}-{}.safetensors", config.training.epochs)));
    Ok(())
}

/// The state in a folder, if a pruning of this network was begun there.
pub(super) fn load(
    folder: &Path,
    graph: &TypedGraph,
    config: &PruneConfig,
    blocks: &Blocks,
) -> Result<Option<State>, TrainError> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs_err::read_to_string(&path).map_err(|source| TrainError::Io { path: path.clone(), source })?;
    let header: Header = serde_json::from_str(&text).map_err(|e| field(&path, "contents", e.to_string()))?;
    if header.version != VERSION {
        return Err(field(&path, "version", format!("is {}, this program reads {VERSION}", header.version)));
    }
    if header.blocks != blocks.fingerprint() {
        return Err(field(&path, "blocks", "are of another network or packing".to_owned()));
    }
    if header.config != *config {
        return Err(field(&path, "config", "differs from the configuration of this run".to_owned()));
    }
    if let Some(block) = header.removed.iter().find(|block| **block as usize >= blocks.count()) {
        return Err(field(&path, "removed", format!("has block {block} of {}", blocks.count())));
    }
    // A name only: a path could point anywhere.
    if Path::new(&header.tensors).file_name() != Some(Path::new(&header.tensors).as_os_str()) {
        return Err(field(&path, "tensors", format!("\"{}\" is not a file name", header.tensors)));
    }
    let weights = WeightStore::load(&folder.join(&header.tensors))?;
    weights.check(graph)?;
    let Header { removed, share, start_accuracy, rounds, .. } = header;
    Ok(Some(State { weights, removed, share, start_accuracy, rounds }))
}

fn field(path: &Path, field: &'static str, why: String) -> TrainError {
    TrainError::Checkpoint { path: path.to_owned(), field, why }
}
