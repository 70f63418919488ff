//! Networks under a hybrid protocol, side by side.

use serde::Serialize;
use striae_cost_model::Calibration;
use striae_cost_model::hybrid::{
    Fusion, HybridError, HybridEstimate, HybridLayer, HybridStep, LinearCounts, NetworkLink, Protocol,
};
use striae_spaces::{NodeId, TypedGraph};

/// A network with what it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Costed {
    /// The network.
    pub graph: TypedGraph,
    /// What it takes, layer by layer.
    pub estimate: HybridEstimate,
    /// What it takes in all.
    pub total: HybridStep,
}

impl Costed {
    /// Estimates `graph` for one image.
    ///
    /// # Errors
    /// Where the protocol has no packing for a layer.
    pub fn new(
        graph: TypedGraph,
        protocol: Protocol,
        fusion: Fusion,
        calibration: &Calibration,
    ) -> Result<Self, HybridError> {
        let estimate = HybridEstimate::of(&graph, protocol, fusion, calibration)?;
        let total = estimate.total();
        Ok(Self { graph, estimate, total })
    }

    /// Operations of some of its layers.
    pub fn counts_of(&self, nodes: &[NodeId]) -> LinearCounts {
        let among = |layer: &&HybridLayer| layer.nodes.iter().any(|node| nodes.contains(node));
        self.estimate.layers.iter().filter(among).map(|layer| layer.step.counts).sum()
    }
}

/// How a network compares with another; each ratio is the other's figure over the network's own, so more is better.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Server's homomorphic time.
    pub linear_time: f64,
    /// The same per multiply-accumulate: what the ratio would be, were both networks' work and time scaled to one amount.
    pub linear_time_per_mac: f64,
    /// Multiply-accumulates.
    pub macs: f64,
    /// Bytes that travel, ciphertexts and two-party computation.
    pub communication: f64,
    /// Share of the bytes that the network saves.
    pub communication_saved: f64,
    /// The network's internal rotations as a share of the other's; `None` if that has none.
    pub internal_share: Option<f64>,
    /// The network's external rotations and row swaps as a share of the other's.
    pub external_share: Option<f64>,
    /// Time from start to end, by network.
    pub latency: Vec<(&'static str, f64)>,
}

impl Comparison {
    /// Compares `network` with `other`.
    pub fn of(network: &Costed, other: &Costed, links: &[NetworkLink]) -> Self {
        let (a, b) = (&network.total, &other.total);
        let macs = other.graph.macs() as f64 / network.graph.macs() as f64;
        let linear_time = b.server.0 / a.server.0;
        let communication = b.bytes().0 as f64 / a.bytes().0 as f64;
        let share =
            |of: fn(&LinearCounts) -> u64| (of(&b.counts) > 0).then(|| of(&a.counts) as f64 / of(&b.counts) as f64);
        Self {
            linear_time,
            linear_time_per_mac: linear_time / macs,
            macs,
            communication,
            communication_saved: 1.0 - 1.0 / communication,
            internal_share: share(|c| c.internal),
            external_share: share(LinearCounts::moving),
            latency: links.iter().map(|link| (link.name, b.latency(link).0 / a.latency(link).0)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use striae_spaces::zoo;

    use super::*;
    use crate::counterpart;

    fn costed(graph: TypedGraph) -> Costed {
        Costed::new(graph, Protocol::CrypTFlow2, Fusion::Never, &Calibration::generic()).expect("costs")
    }

    #[test]
    fn ratios_are_of_the_other_over_the_network() {
        let net = zoo::build("strianet-cifar10-exrot-free").expect("zoo");
        let plain = counterpart::plain(&net).expect("blocks");
        let (network, other) = (costed(net), costed(plain.graph.clone()));
        let c = Comparison::of(&network, &other, &NetworkLink::ALL);
        assert!(c.linear_time > 1.0 && c.macs > 1.0, "{c:?}");
        assert!((c.linear_time_per_mac * c.macs / c.linear_time - 1.0).abs() < 1e-12);
        assert_eq!(c.internal_share, Some(network.total.counts.internal as f64 / other.total.counts.internal as f64));
        // The blocks alone: no channel is moved, and the paper's share of internal rotations is met.
        let (ours, theirs) = (network.counts_of(&plain.replaced), other.counts_of(&plain.plain));
        assert_eq!(ours.moving(), 0);
        assert!(theirs.moving() > 0 && ours.internal * 100 <= theirs.internal * 19, "{ours:?} {theirs:?}");
    }
}
