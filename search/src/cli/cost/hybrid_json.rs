//! The JSON form of `striae cost` under a hybrid protocol.

use serde::Serialize;
use striae_cost_model::hybrid::{
    FRACTION_BITS, HybridLayer, HybridStep, LinearCounts, NetworkLink, Protocol, VALUE_BITS,
};
use striae_search::hybrid::{Comparison, Costed};

use super::super::calibration::{Chosen, Source};
use super::hybrid::Named;

#[derive(Serialize)]
pub(super) struct Document<'a> {
    calibration: Source<'a>,
    protocol: Protocol,
    value_bits: u32,
    fraction_bits: u32,
    links: &'a [NetworkLink],
    /// The network first, then those it is compared with.
    networks: Vec<NetworkJson<'a>>,
    comparisons: Vec<ComparisonJson<'a>>,
}

#[derive(Serialize)]
struct NetworkJson<'a> {
    label: &'a str,
    arch_id: String,
    notation: String,
    macs: u64,
    parameters: u64,
    total: HybridStep,
    /// Seconds from start to end, in the order of the links.
    latency: Vec<f64>,
    layers: Vec<LayerJson<'a>>,
}

#[derive(Serialize)]
struct LayerJson<'a> {
    /// The node, or those of fused convolutions.
    nodes: Vec<String>,
    ops: Vec<String>,
    shape: String,
    step: &'a HybridStep,
}

#[derive(Serialize)]
struct ComparisonJson<'a> {
    against: &'a str,
    ratios: Comparison,
    /// For the plain counterpart: the operations of the blocks alone.
    blocks: Option<Blocks>,
}

#[derive(Serialize)]
struct Blocks {
    stria: LinearCounts,
    plain: LinearCounts,
}

impl<'a> Document<'a> {
    pub(super) fn new(network: &'a Named, others: &'a [Named], links: &'a [NetworkLink], chosen: &'a Chosen) -> Self {
        let compare = |other: &'a Named| ComparisonJson {
            against: &other.label,
            ratios: Comparison::of(&network.costed, &other.costed, links),
            blocks: other.blocks.as_ref().map(|blocks| Blocks {
                stria: network.costed.counts_of(&blocks.replaced),
                plain: other.costed.counts_of(&blocks.plain),
            }),
        };
        Self {
            calibration: chosen.as_source(),
            protocol: network.costed.estimate.protocol,
            value_bits: VALUE_BITS,
            fraction_bits: FRACTION_BITS,
            links,
            networks: std::iter::once(network).chain(others).map(|named| NetworkJson::new(named, links)).collect(),
            comparisons: others.iter().map(compare).collect(),
        }
    }
}

impl<'a> NetworkJson<'a> {
    fn new(named: &'a Named, links: &[NetworkLink]) -> Self {
        let Costed { graph, estimate, total } = &named.costed;
        let layer = |HybridLayer { nodes, step }: &'a HybridLayer| LayerJson {
            nodes: nodes.iter().map(ToString::to_string).collect(),
            ops: nodes.iter().map(|&node| graph.node(node).op.to_string()).collect(),
            shape: graph.shape(nodes[nodes.len() - 1]).to_string(),
            step,
        };
        Self {
            label: &named.label,
            arch_id: graph.arch_id().to_string(),
            notation: graph.to_string(),
            macs: graph.macs(),
            parameters: graph.parameters(),
            total: *total,
            latency: links.iter().map(|link| total.latency(link).0).collect(),
            layers: estimate.layers.iter().map(layer).collect(),
        }
    }
}
