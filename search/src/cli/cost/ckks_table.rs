//! The per-layer table of `striae cost`.

use striae_cost_model::{HeProgram, RotationKinds, Seconds};
use striae_reports::format::{count, percent};
use striae_reports::table::{Side, Table, Value};
use striae_reports::view::{LayerView, NetworkView};

/// One row per step and the total. Rotations are told apart by what they are for: moving maps under a kernel (`int`), moving
/// channels onto each other (`ext`), slot-shift mixing (`mix`), filling the gaps of strides (`merge`), dense layers.
pub(super) fn layers(view: &NetworkView, program: &HeProgram) -> Table {
    table(&view.layers, program, Some(view.latency_predicted))
}

/// The same without times.
pub(super) fn counted_layers(layers: &[LayerView], program: &HeProgram) -> Table {
    table(layers, program, None)
}

fn table(layers: &[LayerView], program: &HeProgram, latency: Option<f64>) -> Table {
    let left = ["step", "computes", "packing", "strategy"].map(|h| (h, Side::Left));
    let counts = ["ct in", "ct out", "int", "ext", "mix", "merge", "dense", "mult", "square", "level"];
    let times = if latency.is_some() { ["time", "share"].as_slice() } else { &[] };
    let right = counts.iter().chain(times).map(|h| (*h, Side::Right));
    let mut table = Table::new(left.into_iter().chain(right))
        .expendable(&["square", "packing", "merge", "ct in", "dense", "strategy", "mix"]);
    for (step, layer) in layers.iter().enumerate() {
        let mut row: Vec<Value> =
            [&layer.name, &layer.description, &layer.packing, &layer.strategy].map(|text| text.clone().into()).into();
        row.extend([count(layer.ciphertexts_in).into(), count(layer.ciphertexts_out).into()]);
        row.extend(rotations(&program.step_rotation_kinds(step)));
        row.extend([layer.multiplications, layer.squares].map(|n| Value::from(dash_zero(n))));
        row.push(format!("{} → {}", layer.level_in, layer.level_out).into());
        if latency.is_some() {
            row.extend([Seconds(layer.predicted).to_string().into(), percent(layer.share, 1).into()]);
        }
        table.push(row);
    }
    let mut total: Vec<Value> = ["total", "", "", "", "", ""].map(Value::from).into();
    total.extend(rotations(&program.rotation_kinds()));
    let sum = |of: fn(&LayerView) -> u64| Value::from(dash_zero(layers.iter().map(of).sum()));
    total.extend([sum(|l| l.multiplications), sum(|l| l.squares), "".into()]);
    if let Some(latency) = latency {
        total.extend([Seconds(latency).to_string().into(), percent(1.0, 0).into()]);
    }
    table.push_strong(total);
    table
}

fn rotations(kinds: &RotationKinds) -> [Value; 5] {
    [kinds.internal, kinds.external, kinds.mixing, kinds.merge, kinds.dense].map(|n| dash_zero(n).into())
}

/// Zeros as dots, so that the eye finds the numbers.
fn dash_zero(n: u64) -> String {
    if n == 0 { "·".to_owned() } else { count(n) }
}
