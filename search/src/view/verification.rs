//! Encrypted checks as views.

use striae_reports::view::{Interval, LayerPrediction, NetworkPrediction, NetworkView, VerificationView};

use crate::verify::Verification;

/// Puts what a check found into the view of its network: prediction, measurement, and both for every step.
pub fn add_verification(view: &mut NetworkView, found: &Verification) {
    view.latency_predicted = found.predicted_ms / 1e3;
    view.latency_interval = Some(Interval { low: found.interval_ms[0] / 1e3, high: found.interval_ms[1] / 1e3 });
    view.verification = Some(VerificationView {
        images: found.images as u64,
        argmax_agrees: found.agreeing as u64,
        latency: found.measured_ms / 1e3,
        threads: found.threads as u32,
        precision_bits: Some(found.precision_bits),
        precision_bits_estimated: found.estimate.as_ref().map(|e| e.precision_bits),
        logit_error: Some(found.max_error / found.logit_range),
    });
    // A view made with another calibration may have other steps; then it keeps its own predictions.
    if view.layers.len() == found.steps.len() {
        for (layer, step) in view.layers.iter_mut().zip(&found.steps) {
            layer.predicted = step.predicted_ms / 1e3;
            layer.share = step.predicted_ms / found.predicted_ms;
            layer.measured = Some(step.measured_ms / 1e3);
        }
    }
}

/// Predicted against measured, of a network that was checked.
pub fn prediction(view: &NetworkView) -> Option<NetworkPrediction> {
    let layer = |l: &striae_reports::view::LayerView| {
        Some(LayerPrediction { name: l.name.clone(), predicted: l.predicted, measured: l.measured? })
    };
    Some(NetworkPrediction {
        label: view.label.clone(),
        predicted: view.latency_predicted,
        interval: view.latency_interval,
        measured: view.verification?.latency,
        layers: view.layers.iter().filter_map(layer).collect(),
    })
}
