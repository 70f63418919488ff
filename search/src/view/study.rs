//! A study in its store as a [`StudyView`].

use std::collections::BTreeSet;

use serde_json::Value;
use striae_cost_model::{CkksParams, CostError, Lowerer, Plan, PlanOptions};
use striae_reports::view::{
    CostAxis, NetworkView, ParetoPoint, ParetoView, PointKind, PredictionView, StudyView, TrialCounts,
    TrialState as ShownState, TrialView,
};
use striae_spaces::{NotationError, TypedGraph};

use super::{add_verification, hybrid_network, machine, network, prediction, versions};
use crate::run::{
    ACCURACY_KEY, ARCH_KEY, CONFIG_KEY, NETWORK_KEY, PLAN_KEY, Pick, ReferenceResult, RunError, baseline_name,
    picks_of, references_of,
};
use crate::storage::{REASON_KEY, Store, StoredStudy};
use crate::{
    Costing, History, Objective, Study, Trial, TrialState,
    coster::CosterError,
    summary::{CostSummary, PlanSummary},
};

/// Relative error of a latency prediction that still counts as good.
const TOLERANCE: f64 = 0.15;

/// Everything a report shows of `study`, as far as it has come. `lowerer` plans the picks again for their layers.
pub fn study(study: &Study, store: &Store, lowerer: &mut Lowerer<'_>) -> Result<StudyView, RunError> {
    let stored = store.load_study(study.name())?;
    if let Some(config) = stored.user_attrs.get(CONFIG_KEY) {
        study.check_protocol(config)?;
    }
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
    let estimated_only = matches!(study.costing(), Costing::Hybrid { .. });
    Ok(StudyView {
        name: study.name().to_owned(),
        dataset: study.dataset().to_owned(),
        space: study.config().space.clone(),
        sampler: format!("{:?}", study.sampler().kind).to_lowercase(),
        protocol: study.costing().to_string(),
        estimated_only,
        seed: study.seed().0,
        started: trials.iter().filter_map(|t| t.started).min().map_or_else(String::new, |t| format!("{t:.0}")),
        duration: duration(&trials),
        command: format!("striae search {}", study.path().display()),
        calibration: format!("{}, {}, {}", provenance.cpu, provenance.simd, provenance.date),
        machine: machine(usize::from(!estimated_only)),
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

/// A pick, estimated again; under CKKS with the parameters it was checked with.
pub fn pick_view(pick: &Pick, lowerer: &mut Lowerer<'_>) -> Result<NetworkView, RunError> {
    let foreign = |reason: String| RunError::ForeignTrial { number: pick.trial, reason };
    let graph: TypedGraph = pick.network.parse().map_err(|e: NotationError| foreign(e.to_string()))?;
    let label = format!("trial {}", pick.trial);
    let mut view = match &pick.cost {
        CostSummary::Ckks(summary) => network(&label, &graph, &planned(&graph, summary, lowerer)?),
        CostSummary::Hybrid(summary) => {
            hybrid_network(&label, &graph, summary, lowerer.calibration()).map_err(CosterError::from)?
        }
    };
    view.accuracy_validation = Some(pick.validation_accuracy);
    view.accuracy_test = pick.test_accuracy;
    if let Some(found) = &pick.verification {
        add_verification(&mut view, found);
    }
    Ok(view)
}

fn planned(graph: &TypedGraph, summary: &PlanSummary, lowerer: &mut Lowerer<'_>) -> Result<Plan, CosterError> {
    let params: CkksParams = summary.params.parse().map_err(CostError::from)?;
    let options = PlanOptions { params: Some(params), packing: Some(summary.packing), ..PlanOptions::default() };
    Ok(lowerer.plan(graph, &options)?)
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
    let cost = trial.user_attrs.get(PLAN_KEY).and_then(|v| CostSummary::try_from(v.clone()).ok());
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
        latency: cost.as_ref().map(|c| c.latency_ms() / 1e3),
        communication: cost.as_ref().map(CostSummary::communication_bytes),
        accuracy,
        on_front,
        reason: text(trial, REASON_KEY),
    }
}

/// Every network with its cost. Accuracies are those after the short training, so that search, random baseline and
/// references compare on equal terms.
fn pareto(study: &Study, trials: &[TrialView], picks: &[Pick], references: &[ReferenceResult]) -> ParetoView {
    let axis = axis(study);
    let mut points: Vec<ParetoPoint> = trials.iter().filter_map(|t| trial_point(t, axis, picks)).collect();
    points.extend(references.iter().map(|r| ParetoPoint {
        label: r.name.clone(),
        arch_id: String::new(),
        cost: match axis {
            CostAxis::Latency => r.cost.latency_ms() / 1e3,
            CostAxis::Communication => r.cost.communication_mib(),
        },
        accuracy: r.accuracy,
        kind: PointKind::Reference,
        on_front: false,
        verified: false,
    }));
    let (title, cost_label) = titles(study, axis);
    ParetoView {
        title,
        accuracy_label: "validation accuracy after the short training".to_owned(),
        axis,
        cost_label,
        budget: match axis {
            CostAxis::Latency => study.limits().latency_ms.map(|ms| ms / 1e3),
            CostAxis::Communication => study.limits().communication_mib,
        },
        points,
    }
}

/// Latency, unless the study optimises communication and not latency.
fn axis(study: &Study) -> CostAxis {
    let has = |objective| study.objectives().contains(&objective);
    if has(Objective::Communication) && !has(Objective::Latency) { CostAxis::Communication } else { CostAxis::Latency }
}

/// Heading and horizontal axis.
fn titles(study: &Study, axis: CostAxis) -> (String, String) {
    let name = study.name();
    match (axis, study.costing()) {
        (CostAxis::Latency, Costing::Ckks { .. }) => (
            format!("{name}: accuracy against encrypted latency"),
            "predicted latency per image, one thread".to_owned(),
        ),
        (CostAxis::Latency, Costing::Hybrid { protocol, link }) => (
            format!("{name}: accuracy against latency under {protocol} over {}", link.link().name),
            "estimated latency per image, one thread, not run".to_owned(),
        ),
        (CostAxis::Communication, costing) => {
            (format!("{name}: accuracy against communication under {costing}"), "sent per image".to_owned())
        }
    }
}

fn trial_point(trial: &TrialView, axis: CostAxis, picks: &[Pick]) -> Option<ParetoPoint> {
    let is_pick = trial.kind == PointKind::Search && picks.iter().any(|p| p.trial == trial.number);
    matches!(trial.state, ShownState::Trained | ShownState::Verified).then_some(())?;
    Some(ParetoPoint {
        label: if is_pick { format!("trial {}", trial.number) } else { String::new() },
        arch_id: trial.arch_id.clone(),
        cost: match axis {
            CostAxis::Latency => trial.latency?,
            CostAxis::Communication => trial.communication? as f64 / f64::from(1u32 << 20),
        },
        accuracy: trial.accuracy.unwrap_or(f64::NAN),
        kind: trial.kind,
        on_front: trial.on_front,
        verified: trial.state == ShownState::Verified,
    })
}
