//! Tables of networks under a hybrid protocol, which are estimated and not run.

use super::network::identity;
use super::value::{bytes, count, maybe_percent, percent, seconds};
use super::{Side, Table, Value};
use crate::format;
use crate::view::{HybridView, LayerView, NetworkView};

/// Accuracy, estimated latency and where it goes, traffic and rotations of each network.
pub(super) fn headline(networks: &[&NetworkView]) -> Table {
    let right = [
        "accuracy",
        "estimated",
        "server",
        "client",
        "network time",
        "sent",
        "rounds",
        "rot int",
        "rot ext",
        "pt mult",
    ];
    let mut table =
        Table::new([("network", Side::Left)].into_iter().chain(right.map(|heading| (heading, Side::Right))));
    for network in networks {
        let hybrid = network.hybrid.clone().unwrap_or_default();
        table.push([
            network.label.clone().into(),
            maybe_percent(network.accuracy_test.or(network.accuracy_validation), 2),
            seconds(network.latency_predicted),
            seconds(hybrid.server),
            seconds(hybrid.client),
            seconds(hybrid.network),
            bytes(network.upload_bytes + network.download_bytes + hybrid.two_party_bytes),
            count(hybrid.rounds),
            count(network.total(|l| l.rotations_internal)),
            count(network.total(|l| l.rotations_external)),
            count(network.total(|l| l.multiplications)),
        ]);
    }
    table
}

/// One row per linear layer and activation, and their total.
pub(super) fn layers(network: &NetworkView) -> Table {
    let left = ["layer", "computes"].map(|heading| (heading, Side::Left));
    let right =
        ["ct in", "ct out", "rot int", "rot ext", "rot other", "pt mult", "sent", "rounds", "estimated", "share"];
    let headings = left.into_iter().chain(right.map(|heading| (heading, Side::Right)));
    let mut table = Table::new(headings).expendable(&["ct in", "ct out", "rounds", "share", "pt mult", "rot other"]);
    for layer in &network.layers {
        let names: [Value; 2] = [layer.name.clone().into(), layer.description.clone().into()];
        table.push(names.into_iter().chain(figures(std::slice::from_ref(layer))));
    }
    if network.layers.len() > 1 {
        let names: [Value; 2] = ["total".into(), Value::default()];
        table.push_strong(names.into_iter().chain(figures(&network.layers)));
    }
    table
}

/// What `layers` take together.
fn figures(layers: &[LayerView]) -> [Value; 10] {
    let sum = |of: fn(&LayerView) -> u64| layers.iter().map(of).sum::<u64>();
    [
        count(sum(|l| l.ciphertexts_in)),
        count(sum(|l| l.ciphertexts_out)),
        count(sum(|l| l.rotations_internal)),
        count(sum(|l| l.rotations_external)),
        count(sum(|l| l.rotations_other)),
        count(sum(|l| l.multiplications)),
        bytes(sum(|l| l.traffic.unwrap_or_default().bytes)),
        count(sum(|l| l.traffic.unwrap_or_default().rounds)),
        seconds(layers.iter().map(|l| l.predicted).sum()),
        percent(layers.iter().map(|l| l.share).sum(), 1),
    ]
}

/// What a network is and takes, as names and values.
pub(super) fn facts(network: &NetworkView, hybrid: &HybridView) -> Vec<(&'static str, String)> {
    let total = |of: fn(&LayerView) -> u64| format::count(network.total(of));
    let mut facts = identity(network);
    facts.extend([
        ("protocol", hybrid.protocol.clone()),
        ("latency, estimated, not run", format::seconds(network.latency_predicted)),
        ("server", format::seconds(hybrid.server)),
        ("client", format::seconds(hybrid.client)),
        ("network time", format::seconds(hybrid.network)),
        ("rotations, internal", total(|l| l.rotations_internal)),
        ("rotations, external", total(|l| l.rotations_external)),
        ("rotations, other", total(|l| l.rotations_other)),
        ("plaintext multiplications", total(|l| l.multiplications)),
        ("ciphertexts sent per image", format::bytes(network.upload_bytes)),
        ("ciphertexts received per image", format::bytes(network.download_bytes)),
        ("two-party computation per image", format::bytes(hybrid.two_party_bytes)),
        ("rounds", format::count(hybrid.rounds)),
    ]);
    facts
}
