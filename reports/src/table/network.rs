//! Tables of one network.

use super::{Side, Table, Value, hybrid, value};
use crate::format::{bytes, count, maybe_number, maybe_percent, maybe_seconds, number, seconds};
use crate::view::{LayerView, NetworkView, ParametersView};

/// One row per layer and their total.
pub fn layers(network: &NetworkView) -> Table {
    if network.hybrid.is_some() {
        return hybrid::layers(network);
    }
    let measured = network.layers.iter().any(|l| l.measured.is_some());
    let mut columns = vec![
        ("layer", Side::Left),
        ("computes", Side::Left),
        ("packing", Side::Left),
        ("strategy", Side::Left),
        ("ct in", Side::Right),
        ("ct out", Side::Right),
        ("rot int", Side::Right),
        ("rot ext", Side::Right),
        ("rot other", Side::Right),
        ("pt mult", Side::Right),
        ("relin", Side::Right),
        ("level", Side::Right),
        ("wasted", Side::Right),
        ("predicted", Side::Right),
    ];
    if measured {
        columns.push(("measured", Side::Right));
    }
    columns.push(("share", Side::Right));
    let mut table = Table::new(columns).expendable(&[
        "wasted",
        "packing",
        "relin",
        "strategy",
        "ct in",
        "ct out",
        "pt mult",
        "computes",
        "rot other",
        "share",
    ]);
    for layer in &network.layers {
        table.push(layer_row(layer, measured));
    }
    if network.layers.len() > 1 {
        table.push_strong(total_row(network, measured));
    }
    table
}

fn layer_row(layer: &LayerView, measured: bool) -> Vec<Value> {
    let mut row = vec![
        layer.name.clone().into(),
        layer.description.clone().into(),
        layer.packing.clone().into(),
        layer.strategy.clone().into(),
        value::count(layer.ciphertexts_in),
        value::count(layer.ciphertexts_out),
        value::count(layer.rotations_internal),
        value::count(layer.rotations_external),
        value::count(layer.rotations_other),
        value::count(layer.multiplications),
        value::count(layer.relinearisations),
        format!("{} → {}", layer.level_in, layer.level_out).into(),
        value::percent(layer.slots_wasted, 0),
        value::seconds(layer.predicted),
    ];
    if measured {
        row.push(value::maybe_seconds(layer.measured));
    }
    row.push(value::percent(layer.share, 1));
    row
}

fn total_row(network: &NetworkView, measured: bool) -> Vec<Value> {
    let mut row = vec![Value::default(); 6];
    row[0] = "total".into();
    row.extend([
        value::count(network.total(|l| l.rotations_internal)),
        value::count(network.total(|l| l.rotations_external)),
        value::count(network.total(|l| l.rotations_other)),
        value::count(network.total(|l| l.multiplications)),
        value::count(network.total(|l| l.relinearisations)),
        Value::default(),
        Value::default(),
        value::seconds(network.layers.iter().map(|l| l.predicted).sum()),
    ]);
    if measured {
        row.push(value::maybe_seconds(network.layers.iter().map(|l| l.measured).sum()));
    }
    row.push(value::percent(network.layers.iter().map(|l| l.share).sum(), 0));
    row
}

/// What a network is and costs, as names and values.
pub fn summary(network: &NetworkView) -> Table {
    let mut table = Table::new([("property", Side::Left), ("value", Side::Left)]);
    for (name, value) in facts(network) {
        table.push([name.into(), value.into()]);
    }
    table
}

/// Encryption parameters as names and values.
pub fn parameters(parameters: &ParametersView) -> Table {
    let mut table = Table::new([("parameter", Side::Left), ("value", Side::Left)]);
    for (name, value) in parameter_facts(parameters) {
        table.push([name.into(), value.into()]);
    }
    table
}

/// What it is and how good it is, under any protocol.
pub(super) fn identity(network: &NetworkView) -> Vec<(&'static str, String)> {
    vec![
        ("network", network.label.clone()),
        ("architecture", network.notation.clone()),
        ("architecture id", network.arch_id.clone()),
        ("weights", count(network.weights)),
        ("accuracy, validation", maybe_percent(network.accuracy_validation, 2)),
        ("accuracy, test", maybe_percent(network.accuracy_test, 2)),
    ]
}

pub(crate) fn facts(network: &NetworkView) -> Vec<(&'static str, String)> {
    if let Some(hybrid) = &network.hybrid {
        return hybrid::facts(network, hybrid);
    }
    let run = network.verification.as_ref();
    let mut facts = identity(network);
    facts.extend([
        ("latency, predicted", predicted(network)),
        (
            "latency, measured",
            run.map_or_else(
                || maybe_seconds(None),
                |r| format!("{} ({} thread{})", seconds(r.latency), r.threads, plural(r.threads)),
            ),
        ),
        ("rotations, internal", count(network.total(|l| l.rotations_internal))),
        ("rotations, external", count(network.total(|l| l.rotations_external))),
        ("rotations, other", count(network.total(|l| l.rotations_other))),
        ("plaintext multiplications", count(network.total(|l| l.multiplications))),
        ("relinearisations", count(network.total(|l| l.relinearisations))),
        ("levels", network.levels.to_string()),
    ]);
    facts.extend(network.parameters.iter().flat_map(parameter_facts));
    facts.extend([
        ("precision, aimed at", with_unit(network.precision_bits, "bits")),
        ("precision, at least", with_unit(run.and_then(|r| r.precision_bits_estimated), "bits")),
        ("precision, measured", with_unit(run.and_then(|r| r.precision_bits), "bits")),
        ("memory", bytes(network.memory.total())),
        ("memory, ciphertexts", bytes(network.memory.ciphertexts)),
        ("memory, encoded weights", bytes(network.memory.weights)),
        ("memory, evaluation keys", bytes(network.memory.keys)),
        ("upload per image", bytes(network.upload_bytes)),
        ("download per image", bytes(network.download_bytes)),
    ]);
    if let Some(run) = run {
        facts.push(("images run encrypted", count(run.images)));
        facts.push(("same class as in the clear", format!("{} of {}", count(run.argmax_agrees), count(run.images))));
        facts.push(("largest logit error", maybe_percent(run.logit_error, 4)));
    }
    facts
}

fn predicted(network: &NetworkView) -> String {
    let value = seconds(network.latency_predicted);
    match network.latency_interval {
        Some(interval) => format!("{value} ({} to {})", seconds(interval.low), seconds(interval.high)),
        None => value,
    }
}

fn parameter_facts(p: &ParametersView) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        (
            "ring degree N",
            format!("2^{} = {}", p.log_n, 1_u64.checked_shl(p.log_n).map_or_else(|| number(f64::NAN, 0), count)),
        ),
        ("log QP", format!("{} bits", number(p.log_qp, 0))),
        ("scale", format!("2^{}", number(p.log_scale, 0))),
        ("security", security(p)),
    ];
    if !p.q_bits.is_empty() {
        facts.push(("modulus chain", format!("{} + {} bits", chain(&p.q_bits), chain(&p.p_bits))));
    }
    facts
}

/// "128 bits", or a warning nobody overlooks.
pub(super) fn security(p: &ParametersView) -> String {
    let bits = number(p.security_bits, 0);
    if p.insecure { format!("INSECURE: {bits} bits, less than 128") } else { format!("{bits} bits") }
}

/// Runs of equal primes written once: "[50, 7x40]".
fn chain(bits: &[u32]) -> String {
    let mut runs: Vec<(u32, usize)> = Vec::new();
    for &b in bits {
        match runs.last_mut() {
            Some((size, times)) if *size == b => *times += 1,
            _ => runs.push((b, 1)),
        }
    }
    let words: Vec<String> = runs
        .into_iter()
        .map(|(size, times)| if times == 1 { size.to_string() } else { format!("{times}x{size}") })
        .collect();
    format!("[{}]", words.join(", "))
}

fn with_unit(value: Option<f64>, unit: &str) -> String {
    let text = maybe_number(value, 1);
    if value.is_some_and(f64::is_finite) { format!("{text} {unit}") } else { text }
}

fn plural(n: u32) -> &'static str {
    if n == 1 { "" } else { "s" }
}
