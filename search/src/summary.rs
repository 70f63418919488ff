//! What a network costs, in the few numbers that stores, tables and bundles keep.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use striae_cost_model::hybrid::{HybridEstimate, LinearCounts, Protocol};
use striae_cost_model::{Packing, Plan, RotationKinds, Security};

use crate::LinkName;

const MIB: f64 = (1u64 << 20) as f64;

/// What a network costs under the protocol of its study. Stores hold the summary of the protocol itself; a hybrid one names
/// its protocol, a plan for CKKS does not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum CostSummary {
    /// Under CKKS.
    Ckks(PlanSummary),
    /// Under a hybrid protocol.
    Hybrid(HybridSummary),
}

impl CostSummary {
    /// The plan, under CKKS.
    pub fn ckks(&self) -> Option<&PlanSummary> {
        match self {
            Self::Ckks(plan) => Some(plan),
            Self::Hybrid(_) => None,
        }
    }

    /// Estimated latency of one image, on one thread.
    pub fn latency_ms(&self) -> f64 {
        match self {
            Self::Ckks(plan) => plan.latency_ms,
            Self::Hybrid(hybrid) => hybrid.latency_ms,
        }
    }

    /// Bytes that are sent for one image, both directions.
    pub fn communication_bytes(&self) -> u64 {
        match self {
            Self::Ckks(plan) => plan.upload_bytes + plan.download_bytes,
            Self::Hybrid(hybrid) => hybrid.upload_bytes + hybrid.download_bytes + hybrid.two_party_bytes,
        }
    }

    /// The same in MiB.
    pub fn communication_mib(&self) -> f64 {
        self.communication_bytes() as f64 / MIB
    }

    /// Peak memory of the server, where it is estimated.
    pub fn memory_gib(&self) -> Option<f64> {
        self.ckks().map(|plan| plan.memory_bytes as f64 / (MIB * 1024.0))
    }
}

impl TryFrom<Value> for CostSummary {
    type Error = serde_json::Error;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        if value.get("protocol").is_some() {
            serde_json::from_value(value).map(Self::Hybrid)
        } else {
            serde_json::from_value(value).map(Self::Ckks)
        }
    }
}

impl From<CostSummary> for Value {
    fn from(summary: CostSummary) -> Self {
        let value = match summary {
            CostSummary::Ckks(plan) => serde_json::to_value(plan),
            CostSummary::Hybrid(hybrid) => serde_json::to_value(hybrid),
        };
        // Structs of numbers and names become JSON.
        value.unwrap_or_default()
    }
}

/// A hybrid estimate's figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HybridSummary {
    /// Who computes what.
    pub protocol: Protocol,
    /// What connects client and server.
    pub link: LinkName,
    /// Estimated latency of one image from start to end.
    pub latency_ms: f64,
    /// The server's homomorphic time.
    pub server_ms: f64,
    /// The client's time to encrypt and decrypt.
    pub client_ms: f64,
    /// Homomorphic operations and ciphertexts of all linear layers.
    pub counts: LinearCounts,
    /// Bytes of ciphertexts the client sends for one image.
    pub upload_bytes: u64,
    /// Bytes of ciphertexts it receives.
    pub download_bytes: u64,
    /// Bytes of two-party computation, both directions.
    pub two_party_bytes: u64,
    /// Messages with their answers.
    pub rounds: u64,
    /// Whether the estimate rests on another machine's calibration.
    pub generic_calibration: bool,
}

impl HybridSummary {
    /// The figures of `estimate` over `link`.
    pub fn new(estimate: &HybridEstimate, link: LinkName, generic_calibration: bool) -> Self {
        let total = estimate.total();
        Self {
            protocol: estimate.protocol,
            link,
            latency_ms: total.latency(&link.link()).0 * 1e3,
            server_ms: total.server.0 * 1e3,
            client_ms: total.client.0 * 1e3,
            counts: total.counts,
            upload_bytes: total.upload.0,
            download_bytes: total.download.0,
            two_party_bytes: total.two_party.0,
            rounds: total.rounds,
            generic_calibration,
        }
    }
}

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

#[cfg(test)]
mod tests {
    use striae_cost_model::hybrid::Fusion;
    use striae_cost_model::{Calibration, Lowerer, PlanOptions};
    use striae_spaces::zoo;

    use super::*;

    #[test]
    fn summaries_of_both_kinds_are_read_back() {
        let (net, calibration) = (zoo::build("strianet-mnist").unwrap(), Calibration::generic());
        let plan = Lowerer::new(&calibration).plan(&net, &PlanOptions::default()).unwrap();
        let ckks = CostSummary::Ckks(PlanSummary::new(&plan, true));
        let estimate = HybridEstimate::of(&net, Protocol::Cheetah, Fusion::Cheapest, &calibration).unwrap();
        let hybrid = CostSummary::Hybrid(HybridSummary::new(&estimate, LinkName::Wan, true));
        for summary in [&ckks, &hybrid] {
            let text = serde_json::to_string(summary).unwrap();
            assert_eq!(serde_json::from_str::<CostSummary>(&text).unwrap(), *summary);
        }
        // As it always was in stores.
        assert_eq!(serde_json::to_value(&ckks).unwrap(), serde_json::to_value(ckks.ckks().unwrap()).unwrap());
        assert_eq!(serde_json::to_value(&hybrid).unwrap()["protocol"], "cheetah");
        let refused = serde_json::from_str::<CostSummary>(r#"{"protocol": "cheetah", "link": "wan"}"#).unwrap_err();
        assert!(refused.to_string().contains("missing field `latency_ms`"), "{refused}");
    }
}
