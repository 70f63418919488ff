//! Views of whole studies and of exported bundles.

use serde::{Deserialize, Serialize};

use super::{NetworkView, ParetoView, PointKind, PredictionView, Seconds};

/// The machine that numbers were measured on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineView {
    /// Processor name.
    pub cpu: String,
    /// Instruction sets the kernels used.
    pub features: String,
    /// Cores.
    pub cores: u32,
    /// Threads used per encrypted run.
    pub threads: u32,
    /// Main memory in bytes.
    pub memory: u64,
    /// Operating system.
    pub os: String,
}

/// How far the trials of a study came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialCounts {
    /// Proposed.
    pub total: u64,
    /// Costed.
    pub estimated: u64,
    /// Trained.
    pub trained: u64,
    /// Run encrypted.
    pub verified: u64,
    /// Failed.
    pub failed: u64,
}

/// How far one trial came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialState {
    /// Still running.
    Running,
    /// Refused by a constraint or the latency budget.
    Pruned,
    /// Costed, not trained.
    Estimated,
    /// Trained.
    Trained,
    /// Run encrypted.
    Verified,
    /// Failed.
    Failed,
}

impl TrialState {
    /// The word shown in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Pruned => "pruned",
            Self::Estimated => "estimated",
            Self::Trained => "trained",
            Self::Verified => "verified",
            Self::Failed => "failed",
        }
    }
}

/// One trial as a table row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialView {
    /// Number within the study, from 0.
    pub number: u64,
    /// The architecture's stable identifier.
    pub arch_id: String,
    /// The architecture in the text notation.
    pub notation: String,
    /// Sampler's trial, random baseline or reference network.
    pub kind: PointKind,
    /// How far it came.
    pub state: TrialState,
    /// Predicted latency of one image.
    pub latency: Option<Seconds>,
    /// Bytes sent for one image, both directions.
    #[serde(default)]
    pub communication: Option<u64>,
    /// Accuracy on the validation set.
    pub accuracy: Option<f64>,
    /// Whether it is on the front.
    pub on_front: bool,
    /// Why it was pruned or failed; empty otherwise.
    pub reason: String,
}

/// A whole study.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StudyView {
    /// The study's name.
    pub name: String,
    /// Data set.
    pub dataset: String,
    /// Search space.
    pub space: String,
    /// Sampler.
    pub sampler: String,
    /// Protocol, such as "ckks" or "cheetah over lan (384 MB/s, 0.3 ms)".
    pub protocol: String,
    /// Whether the protocol is only estimated: then nothing was run, and every latency is an estimate.
    #[serde(default)]
    pub estimated_only: bool,
    /// Root of the seed tree.
    pub seed: u64,
    /// When it was started, as text with time zone.
    pub started: String,
    /// How long it has run.
    pub duration: Option<Seconds>,
    /// The command that repeats it.
    pub command: String,
    /// Where the cost model's calibration comes from.
    pub calibration: String,
    /// The machine it ran on.
    pub machine: MachineView,
    /// Names and versions of the software, Striae first.
    pub versions: Vec<(String, String)>,
    /// How far its trials came.
    pub counts: TrialCounts,
    /// Index in `networks` of the one to deploy.
    pub chosen: Option<usize>,
    /// Networks shown in detail, normally those run encrypted.
    pub networks: Vec<NetworkView>,
    /// All trials.
    pub trials: Vec<TrialView>,
    /// Accuracy against cost.
    pub pareto: ParetoView,
    /// Predicted against measured.
    pub prediction: PredictionView,
}

impl StudyView {
    /// What must be said beside every latency of a study whose protocol is not run.
    pub fn caveat(&self) -> Option<String> {
        let text =
            || format!("latencies are estimates under {}, not runs: Striae runs the ckks protocol only", self.protocol);
        self.estimated_only.then(text)
    }

    /// The network to deploy, if one was chosen.
    pub fn chosen_network(&self) -> Option<&NetworkView> {
        self.chosen.and_then(|index| self.networks.get(index))
    }
}

/// A file of an exported bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileView {
    /// Name within the bundle.
    pub name: String,
    /// What it holds.
    pub purpose: String,
    /// Size in bytes.
    pub bytes: u64,
    /// BLAKE3 hash, hexadecimal.
    pub hash: String,
}

/// An exported bundle, for its model card.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BundleView {
    /// The network.
    pub network: NetworkView,
    /// Study it comes from.
    pub study: String,
    /// Trial number within the study.
    pub trial: Option<u64>,
    /// Data set it was trained on.
    pub dataset: String,
    /// How an image becomes the network's input.
    pub preprocessing: String,
    /// Input shape, such as "1 x 28 x 28".
    pub input_shape: String,
    /// Class names in the order of the logits.
    pub classes: Vec<String>,
    /// Root of the seed tree.
    pub seed: u64,
    /// When it was exported, as text with time zone.
    pub created: String,
    /// The machine it was measured on.
    pub machine: MachineView,
    /// Names and versions of the software, Striae first.
    pub versions: Vec<(String, String)>,
    /// Files of the bundle.
    pub files: Vec<FileView>,
}
