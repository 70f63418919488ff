//! Exported bundles: what is in the folder, written by `striae export`, read by `striae verify` and by both roles.

use std::path::Path;

use striae_search::bundle::{Manifest, ManifestError};
use striae_spaces::{TypedGraph, WeightStore};

use super::arch::{BUNDLE_FILE, read_text};
use super::failure::Failure;

/// The folded network's weights.
pub(crate) const WEIGHTS: &str = "weights.safetensors";
/// The [`Manifest`].
pub(crate) const MANIFEST: &str = "bundle.json";

const NOT_A_BUNDLE: &str = "give the folder that `striae export` wrote";

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
        let text = read_text(&path).map_err(|e| e.hint(NOT_A_BUNDLE))?;
        let manifest = Manifest::from_json(&text).map_err(|e| {
            let hint = if matches!(e, ManifestError::Format { .. }) {
                "use the version of striae that wrote the bundle, or export it again"
            } else {
                NOT_A_BUNDLE
            };
            Failure::bad_input(format!("{}: {e}", path.display()), hint)
        })?;
        let path = folder.join(BUNDLE_FILE);
        let graph = TypedGraph::from_json(&read_text(&path)?).map_err(|e| Failure::from(e).in_file(&path))?;
        Ok((manifest, graph))
    }
}
