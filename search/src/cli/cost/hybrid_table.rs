//! Tables of `striae cost` under a hybrid protocol.

use striae_cost_model::hybrid::{HybridStep, LinearCounts, NetworkLink};
use striae_reports::format::{bytes, count, number, percent, seconds};
use striae_reports::table::{Side, Table, Value};
use striae_search::hybrid::{Comparison, Costed};
use striae_search::view::op_text;

use super::hybrid::Named;

/// A heading and what stands below it.
type Column = (&'static str, fn(&LinearCounts) -> u64);

const COUNTS: [Column; 7] = [
    ("ct in", |c| c.inputs),
    ("ct out", |c| c.outputs),
    ("int", |c| c.internal),
    ("ext", |c| c.external),
    ("swap", |c| c.swaps),
    ("dense", |c| c.dense),
    ("mult", |c| c.multiplications),
];

/// One row per linear layer and activation, and the total. Rotations are told apart by what they move: maps under a kernel
/// (`int`), channels within a row of slots (`ext`), the two rows (`swap`), vectors of dense layers. `HE` is the server's time, `share`
/// of all of it. Fused convolutions are joined by dots.
pub(super) fn layers(costed: &Costed) -> Table {
    let left = ["step", "computes", "gives"].map(|h| (h, Side::Left));
    let right = ["up", "down", "2PC", "rounds", "HE", "share"];
    let headings = left.into_iter().chain(COUNTS.map(|(h, _)| (h, Side::Right))).chain(right.map(|h| (h, Side::Right)));
    let mut table = Table::new(headings).expendable(&["up", "down", "ct in", "ct out", "gives", "dense"]);
    for layer in &costed.estimate.layers {
        let computes = layer.nodes.iter().map(|&node| op_text(&costed.graph, node)).collect::<Vec<_>>().join(" · ");
        let gives = costed.graph.shape(layer.nodes[layer.nodes.len() - 1]);
        let mut row: Vec<Value> = vec![layer.nodes[0].to_string().into(), computes.into(), gives.to_string().into()];
        row.extend(figures(&layer.step, &costed.total));
        table.push(row);
    }
    let mut total: Vec<Value> = vec!["total".into(), "".into(), "".into()];
    total.extend(figures(&costed.total, &costed.total));
    table.push_strong(total);
    table
}

fn figures(step: &HybridStep, total: &HybridStep) -> Vec<Value> {
    let dot = |zero: bool, text: String| if zero { "·".to_owned() } else { text };
    let counts = COUNTS.iter().map(|(_, of)| of(&step.counts)).map(|n| dot(n == 0, count(n)));
    let sizes = [step.upload, step.download, step.two_party].map(|b| dot(b.0 == 0, bytes(b.0)));
    let linear = step.server.0 == 0.0;
    let time = [dot(linear, seconds(step.server.0)), dot(linear, percent(step.server.0 / total.server.0, 1))];
    counts.chain(sizes).chain([count(step.rounds)]).chain(time).map(Value::from).collect()
}

/// The network and the others, one row each; behind a figure, in brackets, how many times the network's own it is.
pub(super) fn comparison(network: &Named, others: &[Named], links: &[NetworkLink]) -> Table {
    let right = ["MACs", "parameters", "int", "ext", "mult", "linear HE", "per MAC", "communication"];
    let latency = links.iter().map(|link| (link.name, Side::Right));
    let headings = [("", Side::Left)].into_iter().chain(right.map(|h| (h, Side::Right))).chain(latency);
    let mut table = Table::new(headings).expendable(&["parameters", "mult", "per MAC"]);
    for (index, named) in std::iter::once(network).chain(others).enumerate() {
        let c = Comparison::of(&network.costed, &named.costed, links);
        let times = |ratio: f64| if index == 0 { String::new() } else { format!(" ({}x)", number(ratio, 2)) };
        let Costed { graph, total, .. } = &named.costed;
        let per_mac = total.server.0 / graph.macs() as f64;
        let mut row = vec![
            named.label.clone(),
            count(graph.macs()) + &times(c.macs),
            count(graph.parameters()),
            count(total.counts.internal),
            count(total.counts.moving()),
            count(total.counts.multiplications),
            seconds(total.server.0) + &times(c.linear_time),
            seconds(per_mac) + &times(c.linear_time_per_mac),
            bytes(total.bytes().0) + &times(c.communication),
        ];
        let latencies = links.iter().zip(&c.latency);
        row.extend(latencies.map(|(link, (_, ratio))| seconds(total.latency(link).0) + &times(*ratio)));
        table.push(row.into_iter().map(Value::from).collect::<Vec<_>>());
    }
    table
}
