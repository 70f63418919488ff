//! Tables of a study.

use super::value::{
    count, maybe_bytes, maybe_number, maybe_percent, maybe_seconds, power_of_two, seconds, signed_percent,
};
use super::{Side, Table, Value};
use crate::format::MISSING;
use crate::view::{NetworkView, PointKind, PredictionView, TrialView};

/// The table a run ends with: accuracy, latency, levels, parameters, rotations and precision of each network; under a hybrid
/// protocol, where its estimate goes.
pub fn headline<'a>(networks: impl IntoIterator<Item = &'a NetworkView>) -> Table {
    let networks: Vec<&NetworkView> = networks.into_iter().collect();
    if networks.iter().any(|network| network.hybrid.is_some()) {
        return super::hybrid::headline(&networks);
    }
    let mut table = Table::new([
        ("network", Side::Left),
        ("accuracy", Side::Right),
        ("predicted", Side::Right),
        ("measured", Side::Right),
        ("levels", Side::Right),
        ("N", Side::Right),
        ("log QP", Side::Right),
        ("rot int", Side::Right),
        ("rot ext", Side::Right),
        ("precision", Side::Right),
        ("security", Side::Left),
    ]);
    for network in networks {
        let run = network.verification.as_ref();
        let parameters = network.parameters.as_ref();
        table.push([
            network.label.clone().into(),
            maybe_percent(network.accuracy_test.or(network.accuracy_validation), 2),
            seconds(network.latency_predicted),
            maybe_seconds(run.map(|r| r.latency)),
            network.levels.to_string().into(),
            power_of_two(parameters.map(|p| p.log_n)),
            maybe_number(parameters.map(|p| p.log_qp), 0),
            count(network.total(|l| l.rotations_internal)),
            count(network.total(|l| l.rotations_external)),
            maybe_number(run.and_then(|r| r.precision_bits), 1),
            parameters.map_or_else(|| Value::from(MISSING), |p| super::network::security(p).into()),
        ]);
    }
    table
}

/// One row per trial.
pub fn trials(trials: &[TrialView]) -> Table {
    let mut table = Table::new([
        ("trial", Side::Right),
        ("from", Side::Left),
        ("state", Side::Left),
        ("front", Side::Left),
        ("latency", Side::Right),
        ("sent", Side::Right),
        ("accuracy", Side::Right),
        ("architecture", Side::Left),
        ("reason", Side::Left),
    ]);
    for trial in trials {
        table.push([
            trial.number.to_string().into(),
            origin(trial.kind).into(),
            trial.state.word().into(),
            if trial.on_front { "yes" } else { "" }.into(),
            maybe_seconds(trial.latency),
            maybe_bytes(trial.communication),
            maybe_percent(trial.accuracy, 2),
            trial.notation.clone().into(),
            trial.reason.clone().into(),
        ]);
    }
    table
}

/// Predicted and measured latency of each network.
pub fn predictions(view: &PredictionView) -> Table {
    let mut table = Table::new([
        ("network", Side::Left),
        ("predicted", Side::Right),
        ("from", Side::Right),
        ("to", Side::Right),
        ("measured", Side::Right),
        ("error", Side::Right),
        ("good", Side::Left),
    ]);
    for network in &view.networks {
        let error = network.predicted / network.measured - 1.0;
        table.push([
            network.label.clone().into(),
            seconds(network.predicted),
            maybe_seconds(network.interval.map(|i| i.low)),
            maybe_seconds(network.interval.map(|i| i.high)),
            seconds(network.measured),
            signed_percent(error),
            if error.abs() <= view.tolerance { "yes" } else { "NO" }.into(),
        ]);
    }
    table
}

/// Estimated and measured precision of each network that ran encrypted.
pub fn precision<'a>(networks: impl IntoIterator<Item = &'a NetworkView>) -> Table {
    let mut table = Table::new([
        ("network", Side::Left),
        ("bits, aimed at", Side::Right),
        ("bits, at least", Side::Right),
        ("bits, measured", Side::Right),
        ("logit error / range", Side::Right),
        ("same class", Side::Right),
    ]);
    for network in networks {
        let Some(run) = &network.verification else { continue };
        table.push([
            network.label.clone().into(),
            maybe_number(network.precision_bits, 1),
            maybe_number(run.precision_bits_estimated, 1),
            maybe_number(run.precision_bits, 1),
            maybe_percent(run.logit_error, 4),
            format!("{} of {}", run.argmax_agrees, run.images).into(),
        ]);
    }
    table
}

pub(crate) fn origin(kind: PointKind) -> &'static str {
    match kind {
        PointKind::Search => "search",
        PointKind::RandomBaseline => "random",
        PointKind::Reference => "reference",
    }
}
