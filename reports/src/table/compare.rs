//! Two networks side by side.

use super::value::{bytes, count, maybe_number, percent, power_of_two, seconds};
use super::{Side, Table, Value};
use crate::format::MISSING;
use crate::view::NetworkView;

/// A number of a network under its name.
type Fact = (&'static str, fn(&NetworkView) -> u64);

/// What `a` costs beside what `b` costs; the last column is `a` as a share of `b`, so that "19 %" means a fifth of the cost.
pub fn compare(a: &NetworkView, b: &NetworkView) -> Table {
    let mut table = Table::new([
        ("", Side::Left),
        (name(a, "A"), Side::Right),
        (name(b, "B"), Side::Right),
        ("A / B", Side::Right),
    ]);
    let counts: [Fact; 8] = [
        ("rotations, internal", |n| n.total(|l| l.rotations_internal)),
        ("rotations, external", |n| n.total(|l| l.rotations_external)),
        ("rotations, other", |n| n.total(|l| l.rotations_other)),
        ("rotations, all", |n| n.total(crate::view::LayerView::rotations)),
        ("plaintext multiplications", |n| n.total(|l| l.multiplications)),
        ("relinearisations", |n| n.total(|l| l.relinearisations)),
        ("weights", |n| n.weights),
        ("levels", |n| u64::from(n.levels)),
    ];
    for (label, of) in counts {
        table.push([label.into(), count(of(a)), count(of(b)), ratio(of(a) as f64, of(b) as f64)]);
    }
    let sizes: [Fact; 3] = [
        ("memory", |n| n.memory.total()),
        ("upload per image", |n| n.upload_bytes),
        ("download per image", |n| n.download_bytes),
    ];
    for (label, of) in sizes {
        table.push([label.into(), bytes(of(a)), bytes(of(b)), ratio(of(a) as f64, of(b) as f64)]);
    }
    let log_n = |n: &NetworkView| power_of_two(n.parameters.as_ref().map(|p| p.log_n));
    let log_qp = |n: &NetworkView| maybe_number(n.parameters.as_ref().map(|p| p.log_qp), 0);
    let security = |n: &NetworkView| {
        n.parameters.as_ref().map_or_else(|| Value::from(MISSING), |p| super::network::security(p).into())
    };
    table.push(["ring degree N".into(), log_n(a), log_n(b)]);
    table.push(["log QP".into(), log_qp(a), log_qp(b)]);
    table.push(["security".into(), security(a), security(b)]);
    let (fast, slow) = (a.latency_predicted, b.latency_predicted);
    table.push_strong(["latency, predicted".into(), seconds(fast), seconds(slow), ratio(fast, slow)]);
    table
}

fn name<'a>(network: &'a NetworkView, fallback: &'static str) -> &'a str {
    if network.label.is_empty() { fallback } else { &network.label }
}

/// A share of nothing is not a number, unless both are nothing.
fn ratio(a: f64, b: f64) -> Value {
    if a == 0.0 && b == 0.0 { "=".into() } else { percent(a / b, 1) }
}
