//! A study in its store as a [`StudyView`].

use std::collections::BTreeSet;

use serde_json::Value;
use striae_cost_model::{CkksParams, Lowerer, PlanOptions};
use striae_reports::view::{
    NetworkView, ParetoPoint, ParetoView, PointKind, PredictionView, StudyView, TrialCounts, TrialState as ShownState,
    TrialView,
};
use striae_spaces::{NotationError, TypedGraph};

use super::{add_verification, machine, network, prediction, versions};
use crate::run::{
    ACCURACY_KEY, ARCH_KEY, NETWORK_KEY, PLAN_KEY, Pick, ReferenceResult, RunError, baseline_name, picks_of,
    references_of,
};
use crate::storage::{REASON_KEY, Store, StoredStudy};
use crate::{History, Study, Trial, TrialState, summary::PlanSummary};

/// Relative error of a latency prediction that still counts as good.
const TOLERANCE: f64 = 0.15;

/// Everything a report shows of `study`, as far as it has come. `lowerer` plans the picks again for their layers.
pub fn study(study: &Study, store: &Store, lowerer: &mut Lowerer<'_>) -> Result<StudyView, RunError> {
    let stored = store.load_study(study.name())?;
    let trials = store.trials(stored.id)?;
    let baseline = baseline_trials(study, store)?;
    let (picks, references) = (picks_of(&stored)?, references_of(&stored)?);
    let directions = study.directions();
    let front: BTreeSet<u64> = History::new(&trials).front(&directions).iter().map(|t| t.number).collect();
    let networks = picks.iter().map(|pick| pick_view(pick, lowerer)).collect::<Result<Vec<_>, _>>()?;
    let rows = |trials: &[Trial], kind| -> Vec<TrialView> {
        let on_front = |t: &Trial| kind == PointKind::Search && front.contains(&t.number);
        trials.iter().map(|t| trial_view(t, kind, on_front(t), &picks)).collect()
    };
    let mut shown = rows(&trials, PointKind::Search);
    let counts = counts(&trials, &picks);
    shown.extend(rows(&baseline, PointKind::RandomBaseline));
    let provenance = &lowerer.calibration().provenance;
    Ok(StudyView {
        name: study.name().to_owned(),
        dataset: study.dataset().to_owned(),
        space: study.config().space.clone(),
        sampler: format!("{:?}", study.sampler().kind).to_lowercase(),
        protocol: "ckks".to_owned(),
        seed: study.seed().0,
        started: trials.iter().filter_map(|t| t.started).min().map_or_else(String::new, |t| format!("{t:.0}")),
        duration: duration(&trials),
        command: format!("striae search {}", study.path().display()),
        calibration: format!("{}, {}, {}", provenance.cpu, provenance.simd, provenance.date),
        machine: machine(1),
        versions: versions(),
        counts,
        chosen: (!networks.is_empty()).then_some(0),
        pareto: pareto(study, &shown, &picks, &references),
        prediction: PredictionView {
            title: "Predicted against measured latency".to_owned(),
            tolerance: TOLERANCE,
            networks: networks.iter().filter_map(prediction).collect(),
        },
        networks,
        trials: shown,
    })
}

/// The trials of the random search beside the study, if there is one yet.
fn baseline_trials(study: &Study, store: &Store) -> Result<Vec<Trial>, RunError> {
    let name = baseline_name(study.name());
    if !store.study_names()?.contains(&name) {
        return Ok(Vec::new());
    }
    let StoredStudy { id, .. } = store.load_study(&name)?;
    Ok(store.trials(id)?)
}

/// A pick, planned again with the parameters it was checked with.
pub fn pick_view(pick: &Pick, lowerer: &mut Lowerer<'_>) -> Result<NetworkView, RunError> {
    let foreign = |reason: String| RunError::ForeignTrial { number: pick.trial, reason };
    let graph: TypedGraph = pick.network.parse().map_err(|e: NotationError| foreign(e.to_string()))?;
    let params: CkksParams = pick.plan.params.parse().map_err(striae_cost_model::CostError::from)?;
    let packing = Some(pick.plan.packing);
    let options = PlanOptions { params: Some(params), packing, ..PlanOptions::default() };
    let plan = lowerer.plan(&graph, &options)?;
    let mut view = network(&format!("trial {}", pick.trial), &graph, &plan);
    view.accuracy_validation = Some(pick.validation_accuracy);
    view.accuracy_test = pick.test_accuracy;
    if let Some(found) = &pick.verification {
        add_verification(&mut view, found);
    }
    Ok(view)
}

fn duration(trials: &[Trial]) -> Option<f64> {
    let start = trials.iter().filter_map(|t| t.started).min()?;
    let end = trials.iter().filter_map(|t| t.finished).max()?;
    Some(end.duration_since(start).as_secs_f64())
}

fn counts(trials: &[Trial], picks: &[Pick]) -> TrialCounts {
    let with = |key: &str| trials.iter().filter(|t| t.user_attrs.contains_key(key)).count() as u64;
    TrialCounts {
        total: trials.len() as u64,
        estimated: with(PLAN_KEY),
        trained: with(ACCURACY_KEY),
        verified: picks.iter().filter(|p| p.verification.is_some()).count() as u64,
        failed: trials.iter().filter(|t| t.state == TrialState::Fail).count() as u64,
    }
}

fn text(trial: &Trial, key: &str) -> String {
    trial.user_attrs.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn trial_view(trial: &Trial, kind: PointKind, on_front: bool, picks: &[Pick]) -> TrialView {
    let plan = trial.user_attrs.get(PLAN_KEY).and_then(|v| serde_json::from_value::<PlanSummary>(v.clone()).ok());
    let accuracy = trial.user_attrs.get(ACCURACY_KEY).and_then(Value::as_f64);
    let verified =
        kind == PointKind::Search && picks.iter().any(|p| p.trial == trial.number && p.verification.is_some());
    let state = match trial.state {
        TrialState::Running | TrialState::Waiting => ShownState::Running,
        TrialState::Fail => ShownState::Failed,
        TrialState::Pruned => ShownState::Pruned,
        TrialState::Complete if verified => ShownState::Verified,
        TrialState::Complete if accuracy.is_some() => ShownState::Trained,
        TrialState::Complete => ShownState::Estimated,
    };
    TrialView {
        number: trial.number,
        arch_id: text(trial, ARCH_KEY),
        notation: text(trial, NETWORK_KEY),
        kind,
        state,
        latency: plan.map(|p| p.latency_ms / 1e3),
        accuracy,
        on_front,
        reason: text(trial, REASON_KEY),
    }
}

/// Every network with a latency. Accuracies are those after the short training, so that search, random baseline and
/// references compare on equal terms.
fn pareto(study: &Study, trials: &[TrialView], picks: &[Pick], references: &[ReferenceResult]) -> ParetoView {
    let is_pick = |t: &TrialView| t.kind == PointKind::Search && picks.iter().any(|p| p.trial == t.number);
    let finished = trials.iter().filter(|t| matches!(t.state, ShownState::Trained | ShownState::Verified));
    let mut points: Vec<ParetoPoint> = finished
        .filter_map(|t| {
            Some(ParetoPoint {
                label: if is_pick(t) { format!("trial {}", t.number) } else { String::new() },
                arch_id: t.arch_id.clone(),
                latency: t.latency?,
                accuracy: t.accuracy.unwrap_or(f64::NAN),
                kind: t.kind,
                on_front: t.on_front,
                verified: t.state == ShownState::Verified,
            })
        })
        .collect();
    points.extend(references.iter().map(|r| ParetoPoint {
        label: r.name.clone(),
        arch_id: String::new(),
        latency: r.plan.latency_ms / 1e3,
        accuracy: r.accuracy,
        kind: PointKind::Reference,
        on_front: false,
        verified: false,
    }));
    ParetoView {
        title: format!("{}: accuracy against encrypted latency", study.name()),
        accuracy_label: "validation accuracy after the short training".to_owned(),
        latency_label: "predicted latency per image, one thread".to_owned(),
        budget: study.limits().latency_ms.map(|ms| ms / 1e3),
        points,
    }
}
