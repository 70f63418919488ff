//! A network under a hybrid protocol as a [`NetworkView`].

use striae_cost_model::Calibration;
use striae_cost_model::hybrid::{Fusion, HybridError, HybridEstimate, HybridLayer, HybridStep, NetworkLink};
use striae_reports::view::{CostParts, HybridView, LayerView, NetworkView, TrafficView};
use striae_spaces::TypedGraph;

use super::op_text;
use crate::{Costing, summary::HybridSummary};

/// What `graph` takes under the protocol and over the link of `summary`, layer by layer; accuracies are for the caller to
/// add.
///
/// # Errors
/// Where the protocol has no packing for a layer.
pub fn hybrid_network(
    label: &str,
    graph: &TypedGraph,
    summary: &HybridSummary,
    calibration: &Calibration,
) -> Result<NetworkView, HybridError> {
    let HybridSummary { protocol, link: name, .. } = *summary;
    let link = name.link();
    let estimate = HybridEstimate::of(graph, protocol, Fusion::Cheapest, calibration)?;
    let total = estimate.total();
    let parts = parts(&total, &link);
    let latency = total.latency(&link).0;
    Ok(NetworkView {
        label: label.to_owned(),
        arch_id: graph.arch_id().to_string(),
        notation: graph.to_string(),
        weights: graph.parameters(),
        latency_predicted: latency,
        upload_bytes: total.upload.0,
        download_bytes: total.download.0,
        layers: estimate.layers.iter().map(|of| layer(graph, of, &link, latency)).collect(),
        hybrid: Some(HybridView {
            protocol: Costing::Hybrid { protocol, link: name }.to_string(),
            server: parts.server,
            client: parts.client,
            network: parts.network,
            two_party_bytes: total.two_party.0,
            rounds: total.rounds,
        }),
        ..NetworkView::default()
    })
}

fn layer(graph: &TypedGraph, of: &HybridLayer, link: &NetworkLink, latency: f64) -> LayerView {
    let HybridLayer { nodes, step } = of;
    let predicted = step.latency(link).0;
    LayerView {
        name: nodes[0].to_string(),
        description: nodes.iter().map(|&node| op_text(graph, node)).collect::<Vec<_>>().join(" · "),
        ciphertexts_in: step.counts.inputs,
        ciphertexts_out: step.counts.outputs,
        rotations_internal: step.counts.internal,
        rotations_external: step.counts.moving(),
        rotations_other: step.counts.dense,
        multiplications: step.counts.multiplications,
        predicted,
        share: predicted / latency.max(f64::MIN_POSITIVE),
        parts: parts(step, link),
        traffic: Some(TrafficView { bytes: step.bytes().0, rounds: step.rounds }),
        ..LayerView::default()
    }
}

fn parts(step: &HybridStep, link: &NetworkLink) -> CostParts {
    let network = link.seconds(step.bytes(), step.rounds).0;
    CostParts { server: step.server.0, client: step.client.0, network, ..CostParts::default() }
}
