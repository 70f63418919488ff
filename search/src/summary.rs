//! What a plan comes to, in the few numbers that stores, tables and bundles keep.

use serde::{Deserialize, Serialize};
use striae_cost_model::{Packing, Plan, RotationKinds, Security};

/// A plan's figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSummary {
    /// The parameters in their own notation.
    pub params: String,
    /// log2 of the ring degree.
    pub log_n: u32,
    /// How maps are packed; before it was kept, as by default.
    #[serde(default)]
    pub packing: Packing,
    /// Bits of the whole modulus.
    pub log_qp: u32,
    /// Whether the parameters reach 128 bits of security.
    pub secure: bool,
    /// Levels used.
    pub levels: usize,
    /// All rotations.
    pub rotations: u64,
    /// What they are for.
    pub rotation_kinds: RotationKinds,
    /// Encoded diagonals multiplied.
    pub multiplications: u64,
    /// Squares, each with a relinearisation.
    pub squares: u64,
    /// Predicted latency of one image on one thread.
    pub latency_ms: f64,
    /// Bounds of about 90 %.
    pub interval_ms: [f64; 2],
    /// Peak memory of the server.
    pub memory_bytes: u64,
    /// Bytes sent for one image.
    pub upload_bytes: u64,
    /// Bytes received for one image.
    pub download_bytes: u64,
    /// Whether the prediction rests on another machine's calibration.
    pub generic_calibration: bool,
}

impl PlanSummary {
    /// The figures of `plan`.
    pub fn new(plan: &Plan, generic_calibration: bool) -> Self {
        let (counts, estimate) = (plan.program.counts(), &plan.estimate);
        Self {
            params: plan.params.to_string(),
            log_n: plan.params.log_n(),
            packing: plan.options.packing,
            log_qp: plan.params.log_qp(),
            secure: plan.params.security() == Security::Bits128,
            levels: plan.program.depth(),
            rotations: counts.rotations(),
            rotation_kinds: plan.program.rotation_kinds(),
            multiplications: counts.plain_mults,
            squares: counts.squares,
            latency_ms: estimate.latency.0 * 1e3,
            interval_ms: [estimate.interval.0.0 * 1e3, estimate.interval.1.0 * 1e3],
            memory_bytes: estimate.memory.total().0,
            upload_bytes: estimate.upload.0,
            download_bytes: estimate.download.0,
            generic_calibration,
        }
    }
}
