//! What the manifest of an exported bundle says.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use striae_cost_model::{CkksParams, CostError, HeProgram, Recipe};
use striae_spaces::TypedGraph;
use striae_train::{DatasetName, Normalisation};
use thiserror::Error;

/// Version of the format that is written.
pub const FORMAT: u32 = 6;

/// Oldest version that is read: it knows no pruned networks, none without a study (from 5), and no images normalised each
/// by its own contrast (from 6).
const OLDEST: u32 = 3;

/// What the other files of a bundle are for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format.
    pub format: u32,
    /// Study it comes from, or the folder of its training.
    pub study: String,
    /// Trial of the study; none for a network that was trained alone.
    pub trial: Option<u64>,
    /// Id of the network as it was trained, before batch norms were folded.
    pub trained_arch_id: String,
    /// Data set it was trained on.
    pub dataset: DatasetName,
    /// Seed of the study's data: generated sets depend on it.
    pub data_seed: u64,
    /// How a pixel becomes an input: `(pixel / 255 - mean) / std` per channel, then per image where it says so.
    pub normalisation: Normalisation,
    /// Parameters in their notation.
    pub parameters: String,
    /// Whether those are below 128 bits of security.
    pub insecure: bool,
    /// How the network is lowered: client and server do it alike, whatever calibration they have.
    pub lowering: Recipe,
    /// The calibration that those choices were made with: processor, kernels, date.
    pub calibration: String,
    /// [`HeProgram::fingerprint`] of the lowered network, in hexadecimal.
    pub program: String,
    /// When it was exported, UTC.
    pub created: String,
}

/// Text that is no manifest.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not JSON, or not the fields of a manifest.
    #[error(transparent)]
    Syntax(#[from] serde_json::Error),
    /// Another version of the format.
    #[error("format: is {found}, this version reads {OLDEST} to {FORMAT}")]
    Format {
        /// What stands there.
        found: u32,
    },
}

/// The version alone, so that another one is named as such.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// A bundle whose network cannot be lowered as its manifest says.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoweringError {
    /// It does not fit the network or the parameters.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// It gives another program.
    #[error("program: the network lowers to {found}, the bundle is of {expected}")]
    Program {
        /// Fingerprint that this build arrives at.
        found: String,
        /// Fingerprint in the manifest.
        expected: String,
    },
}

impl Manifest {
    /// The fingerprint of a program, as a manifest holds it.
    pub fn fingerprint(program: &HeProgram) -> String {
        let mut text = String::new();
        for byte in program.fingerprint() {
            write!(text, "{byte:02x}").expect("a string takes any text");
        }
        text
    }

    /// Lowers the bundle's network to the very program that it was exported with.
    ///
    /// # Errors
    ///
    /// The recorded choices do not fit the network, or this build makes another program of them.
    pub fn lower(&self, graph: &TypedGraph, params: &CkksParams) -> Result<HeProgram, LoweringError> {
        let program = self.lowering.lower(graph, params)?;
        let found = Self::fingerprint(&program);
        if found == self.program {
            Ok(program)
        } else {
            let short = |text: &str| text.chars().take(16).collect();
            Err(LoweringError::Program { found: short(&found), expected: short(&self.program) })
        }
    }

    /// What the network is called.
    pub fn label(&self) -> String {
        self.trial.map_or_else(|| self.study.clone(), |trial| format!("{} trial {trial}", self.study))
    }

    /// Reads the text of `bundle.json`.
    pub fn from_json(text: &str) -> Result<Self, ManifestError> {
        let Version { format } = serde_json::from_str(text)?;
        if !(OLDEST..=FORMAT).contains(&format) {
            return Err(ManifestError::Format { found: format });
        }
        Ok(serde_json::from_str(text)?)
    }
}
