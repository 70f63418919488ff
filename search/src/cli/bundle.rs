//! Exported bundles: what is in the folder, written by `striae export`, read by `striae verify` and by both roles.

use std::path::Path;

use serde::{Deserialize, Serialize};
use striae_spaces::{TypedGraph, WeightStore};
use striae_train::{DatasetName, Normalisation};

use super::arch::{BUNDLE_FILE, read_text};
use super::failure::Failure;

/// Version of the format.
pub(crate) const FORMAT: u32 = 1;
/// The folded network's weights.
pub(crate) const WEIGHTS: &str = "weights.safetensors";
/// [`Manifest`].
pub(crate) const MANIFEST: &str = "bundle.json";

/// What the other files are for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Version of the format.
    pub(crate) format: u32,
    /// Study it comes from.
    pub(crate) study: String,
    /// Trial of the study.
    pub(crate) trial: u64,
    /// Id of the network as it was trained, before batch norms were folded.
    pub(crate) trained_arch_id: String,
    /// Data set it was trained on.
    pub(crate) dataset: DatasetName,
    /// Seed of the study's data: generated sets depend on it.
    pub(crate) data_seed: u64,
    /// How a pixel becomes an input: `(pixel / 255 - mean) / std`, per channel.
    pub(crate) normalisation: Normalisation,
    /// Parameters in their notation.
    pub(crate) parameters: String,
    /// Whether those are below 128 bits of security.
    pub(crate) insecure: bool,
    /// When it was exported, UTC.
    pub(crate) created: String,
}

/// The version alone, so that a newer bundle is named as such.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// A bundle in memory: its files agree with each other.
pub(crate) struct Bundle {
    /// What it is.
    pub(crate) manifest: Manifest,
    /// The folded network.
    pub(crate) graph: TypedGraph,
    /// Its weights.
    pub(crate) weights: WeightStore,
}

impl Bundle {
    /// Reads a folder.
    pub(crate) fn load(folder: &Path) -> Result<Self, Failure> {
        let (manifest, graph) = Self::load_network(folder)?;
        let path = folder.join(WEIGHTS);
        let weights = WeightStore::load(&path)?;
        weights.check(&graph).map_err(|e| Failure::from(e).in_file(&path))?;
        Ok(Self { manifest, graph, weights })
    }

    /// Reads a folder but for the weights, which a client does not have.
    pub(crate) fn load_network(folder: &Path) -> Result<(Manifest, TypedGraph), Failure> {
        let path = folder.join(MANIFEST);
        let text = read_text(&path).map_err(|e| e.hint("give the folder that `striae export` wrote"))?;
        let bad = |e: serde_json::Error| {
            Failure::bad_input(format!("{}: {e}", path.display()), "give the folder that `striae export` wrote")
        };
        let Version { format } = serde_json::from_str(&text).map_err(bad)?;
        if format != FORMAT {
            let message = format!("{}: format: is {format}, this version reads {FORMAT}", path.display());
            return Err(Failure::bad_input(message, "use the version of striae that wrote the bundle, or a later one"));
        }
        let manifest: Manifest = serde_json::from_str(&text).map_err(bad)?;
        let path = folder.join(BUNDLE_FILE);
        let graph = TypedGraph::from_json(&read_text(&path)?).map_err(|e| Failure::from(e).in_file(&path))?;
        Ok((manifest, graph))
    }
}
