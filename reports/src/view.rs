//! The plain values a report is made of.
//!
//! Times are in seconds, sizes in bytes, shares and accuracies are fractions of 1. Whatever has not been measured is `None` and is
//! shown as a dash, never as 0. A value that is not finite is treated as missing.

use serde::{Deserialize, Serialize};

/// Durations are in seconds.
pub type Seconds = f64;

/// How many networks take how long.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HistogramView {
    /// The space they are of.
    pub label: String,
    /// Bars by ascending latency, each beginning where the one before it ends.
    pub bars: Vec<HistogramBar>,
}

/// Networks whose latencies lie in one range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HistogramBar {
    /// Lower end.
    pub low: Seconds,
    /// Upper end.
    pub high: Seconds,
    /// Networks.
    pub count: u64,
}

/// How well several quantities rank the same things.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CorrelationView {
    /// Heading of the plot.
    pub title: String,
    /// What is correlated with what.
    pub axis: String,
    /// The quantities, from the top.
    pub bars: Vec<CorrelationBar>,
}

/// One quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorrelationBar {
    /// Its name.
    pub label: String,
    /// Its correlation, from -1 to 1; not a number if there is none (such a bar is not drawn).
    pub value: f64,
    /// Where the correlation may lie.
    pub interval: Option<Interval>,
}

/// Where a point of the Pareto plot comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PointKind {
    /// Proposed by the study's sampler.
    Search,
    /// Drawn at random: the baseline every plot shows.
    RandomBaseline,
    /// A network from the literature.
    Reference,
}

/// One network on the Pareto plot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParetoPoint {
    /// Short name written beside the point; empty for none.
    pub label: String,
    /// The architecture's stable identifier.
    pub arch_id: String,
    /// What one image costs, in the unit of the plot's axis.
    pub cost: f64,
    /// Accuracy as a fraction; `NaN` if never trained (such a point is counted, not drawn).
    pub accuracy: f64,
    /// Where it comes from.
    pub kind: PointKind,
    /// Whether it is on its study's front.
    pub on_front: bool,
    /// Whether it has been run encrypted.
    pub verified: bool,
}

/// What the horizontal axis of a Pareto plot shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostAxis {
    /// Latency of one image in seconds.
    #[default]
    Latency,
    /// What is sent for one image in MiB.
    Communication,
}

/// Accuracy against cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ParetoView {
    /// Heading of the plot.
    pub title: String,
    /// What the vertical axis means, such as "validation accuracy"; empty for "accuracy".
    pub accuracy_label: String,
    /// Which cost.
    #[serde(default)]
    pub axis: CostAxis,
    /// What the horizontal axis means, such as "predicted latency per image"; empty for "latency per image" and "communication per image".
    pub cost_label: String,
    /// The cost the user allows, in the unit of the axis.
    pub budget: Option<f64>,
    /// The networks.
    pub points: Vec<ParetoPoint>,
}

/// A range that a value is expected in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Predicted and measured time of one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerPrediction {
    /// The layer's name.
    pub name: String,
    /// What the cost model said.
    pub predicted: Seconds,
    /// What the encrypted run took.
    pub measured: Seconds,
}

/// Predicted and measured time of one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkPrediction {
    /// Short name.
    pub label: String,
    /// What the cost model said.
    pub predicted: Seconds,
    /// Where the cost model expected the measurement.
    pub interval: Option<Interval>,
    /// What the encrypted run took.
    pub measured: Seconds,
    /// The same, layer by layer; may be empty.
    pub layers: Vec<LayerPrediction>,
}

/// Predicted against measured latency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictionView {
    /// Heading of the plot.
    pub title: String,
    /// Relative error that still counts as good, such as 0.15.
    pub tolerance: f64,
    /// The networks that were run encrypted.
    pub networks: Vec<NetworkPrediction>,
}

impl Default for PredictionView {
    fn default() -> Self {
        Self { title: String::new(), tolerance: 0.15, networks: Vec::new() }
    }
}

/// Where a layer's time goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CostParts {
    /// Key switching for rotations.
    pub rotations: Seconds,
    /// Plaintext multiplications and their additions.
    pub multiplications: Seconds,
    /// Squares with their relinearisation.
    pub squares: Seconds,
    /// Rescaling.
    pub rescale: Seconds,
    /// Everything else.
    pub other: Seconds,
    /// The server's homomorphic operations, under a hybrid protocol.
    #[serde(default)]
    pub server: Seconds,
    /// Encryption and decryption by the client, under a hybrid protocol.
    #[serde(default)]
    pub client: Seconds,
    /// Sending, under a hybrid protocol.
    #[serde(default)]
    pub network: Seconds,
}

/// Cost of one layer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerView {
    /// The layer's name, unique in its network.
    pub name: String,
    /// What it computes, such as "cross 3x3, 32 -> 32".
    pub description: String,
    /// How its input is packed.
    pub packing: String,
    /// How its rotations are arranged, such as "input-side" or "BSGS 8 x 4".
    pub strategy: String,
    /// Ciphertexts read.
    pub ciphertexts_in: u64,
    /// Ciphertexts written.
    pub ciphertexts_out: u64,
    /// Rotations under kernel taps.
    pub rotations_internal: u64,
    /// Rotations of channels onto each other.
    pub rotations_external: u64,
    /// Rotations for anything else, such as slot-shift mixing and merging of strided maps.
    pub rotations_other: u64,
    /// Plaintext multiplications.
    pub multiplications: u64,
    /// Ciphertext squares or products.
    pub squares: u64,
    /// Relinearisations.
    pub relinearisations: u64,
    /// Rescalings.
    pub rescales: u64,
    /// Level of the input.
    pub level_in: u32,
    /// Level of the output.
    pub level_out: u32,
    /// Fraction of the slots that carry nothing because a width leaves a ciphertext part-filled.
    pub slots_wasted: f64,
    /// Predicted time.
    pub predicted: Seconds,
    /// Measured time.
    pub measured: Option<Seconds>,
    /// Share of the network's predicted time.
    pub share: f64,
    /// Predicted time by kind of operation.
    pub parts: CostParts,
    /// What it sends, under a hybrid protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficView>,
}

impl LayerView {
    /// Rotations of every kind.
    pub fn rotations(&self) -> u64 {
        self.rotations_internal + self.rotations_external + self.rotations_other
    }
}

/// Encryption parameters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ParametersView {
    /// log2 of the ring degree N.
    pub log_n: u32,
    /// Bits of the ciphertext modulus times the special modulus.
    pub log_qp: f64,
    /// Bits of each prime of the chain, the first first.
    pub q_bits: Vec<u32>,
    /// Bits of each special prime.
    pub p_bits: Vec<u32>,
    /// log2 of the scale.
    pub log_scale: f64,
    /// Estimated security in bits.
    pub security_bits: f64,
    /// Set if this is weaker than 128 bits; every report says so.
    pub insecure: bool,
}

/// Bytes that the server holds while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryView {
    /// Ciphertexts alive at the peak.
    pub ciphertexts: u64,
    /// Encoded weights.
    pub weights: u64,
    /// Evaluation keys.
    pub keys: u64,
}

impl MemoryView {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.ciphertexts + self.weights + self.keys
    }
}

/// What an encrypted run showed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct VerificationView {
    /// Images run encrypted.
    pub images: u64,
    /// Images whose top class equals that of the network in the clear.
    pub argmax_agrees: u64,
    /// Measured latency of one image.
    pub latency: Seconds,
    /// Threads it was measured on.
    pub threads: u32,
    /// Bits of precision of the logits.
    pub precision_bits: Option<f64>,
    /// Bits of precision that the logits should have at least, by the noise of the encryption.
    #[serde(default)]
    pub precision_bits_estimated: Option<f64>,
    /// Largest difference of a logit, as a fraction of the logits' range.
    pub logit_error: Option<f64>,
}

/// One network: what it is, how good it is, what it costs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkView {
    /// Short name.
    pub label: String,
    /// The architecture's stable identifier.
    pub arch_id: String,
    /// The architecture in the text notation.
    pub notation: String,
    /// Accuracy on the validation set.
    pub accuracy_validation: Option<f64>,
    /// Accuracy on the test set.
    pub accuracy_test: Option<f64>,
    /// Trainable numbers.
    pub weights: u64,
    /// Encryption parameters, if chosen.
    pub parameters: Option<ParametersView>,
    /// Levels consumed.
    pub levels: u32,
    /// Precision the parameters aim at, in bits.
    pub precision_bits: Option<f64>,
    /// Predicted latency of one image.
    pub latency_predicted: Seconds,
    /// Where the cost model expects the measurement.
    pub latency_interval: Option<Interval>,
    /// The encrypted run, if there was one.
    pub verification: Option<VerificationView>,
    /// Peak memory.
    pub memory: MemoryView,
    /// Bytes the client sends for one image.
    pub upload_bytes: u64,
    /// Bytes the client gets back.
    pub download_bytes: u64,
    /// Layer by layer, first layer first.
    pub layers: Vec<LayerView>,
    /// What it takes under a hybrid protocol, if that is its study's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hybrid: Option<HybridView>,
}

impl NetworkView {
    /// Sum of a count over the layers.
    pub fn total(&self, count: impl Fn(&LayerView) -> u64) -> u64 {
        self.layers.iter().map(count).sum()
    }

    /// Whether its parameters are weaker than the standard asks.
    pub fn is_insecure(&self) -> bool {
        self.parameters.as_ref().is_some_and(|p| p.insecure)
    }
}

mod curve;
mod hybrid;
mod pattern;
mod study;

pub use curve::{CurvePoint, CurveView};
pub use hybrid::{HybridView, TrafficView};
pub use pattern::{DiagonalState, PatternLayer, PatternRow, PatternView};
pub use study::{BundleView, FileView, MachineView, StudyView, TrialCounts, TrialState, TrialView};
