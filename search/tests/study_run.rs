//! A small study from proposal to encrypted check: the same at one and two threads, and after an interruption.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use striae_cost_model::Calibration;
use striae_search::{
    SearchEvent, Study, TrialState,
    run::{Pick, StudyRun, StudyRunOptions, picks_of},
    storage::Store,
};

const STUDY: &str = r#"
name = "small"
dataset = "glyphs"
space = "strianet-glyphs"
seed = 5
baseline_trials = 2

[budget]
trials = 6

[sampler]
kind = "nsga2"
population = 3

[limits]
latency_ms = 400.0
max_log_n = 14

[training.short]
epochs = 1
subset = 320

[training.full]
epochs = 1
subset = 640

[training.screen]
proxy = "synflow"
keep = 0.6
warm_up = 2

[verify]
images = 2
top = 1
"#;

fn run(text: &str, folder: &Path, threads: usize, stop_after: usize) -> (bool, Store) {
    let study = Study::from_toml(text, &folder.join("small.toml")).unwrap();
    let store = folder.join("small.sqlite3");
    let options = StudyRunOptions {
        store: store.clone(),
        folder: folder.join("small"),
        threads,
        calibration: Calibration::generic(),
        memory: None,
    };
    let (stop, finished) = (AtomicBool::new(false), AtomicUsize::new(0));
    let listener = |event: &SearchEvent| {
        if matches!(event, SearchEvent::TrialFinished { .. })
            && finished.fetch_add(1, Ordering::SeqCst) + 1 == stop_after
        {
            stop.store(true, Ordering::SeqCst);
        }
    };
    let run = StudyRun::open(&study, options, &listener, &stop).unwrap();
    let ended = run.run().unwrap();
    (ended.is_none(), Store::open(store).unwrap())
}

/// What must not depend on threads or interruptions: proposals, parameters, states and values.
fn outcome(store: &Store, name: &str) -> Vec<(u64, Vec<String>, TrialState, Vec<f64>)> {
    let study = store.load_study(name).unwrap();
    let mut rows: Vec<_> = store
        .trials(study.id)
        .unwrap()
        .into_iter()
        .filter(|t| t.state != TrialState::Fail)
        .map(|t| (t.proposal, t.params.iter().map(|p| format!("{p:?}")).collect(), t.state, t.values))
        .collect();
    rows.sort_by_key(|r| r.0);
    rows
}

fn picks(store: &Store) -> Vec<Pick> {
    picks_of(&store.load_study("small").unwrap()).unwrap()
}

#[test]
fn a_study_is_the_same_at_any_thread_count_and_after_an_interruption() {
    let folders: Vec<tempfile::TempDir> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let (done, one) = run(STUDY, folders[0].path(), 1, usize::MAX);
    assert!(done);
    let trials = outcome(&one, "small");
    assert_eq!(trials.len(), 6);
    assert_eq!(outcome(&one, "small-random").len(), 2);
    let chosen = picks(&one);
    let verification = chosen[0].verification.as_ref().unwrap();
    assert!(verification.passed(), "{verification:?}");
    assert_eq!(verification.images, 2);
    assert!(chosen[0].test_accuracy.is_some());

    let (_, two) = run(STUDY, folders[1].path(), 2, usize::MAX);
    assert_eq!(outcome(&two, "small"), trials);
    assert_eq!(outcome(&two, "small-random"), outcome(&one, "small-random"));

    let (done, _) = run(STUDY, folders[2].path(), 2, 2);
    assert!(!done);
    let (done, resumed) = run(STUDY, folders[2].path(), 2, usize::MAX);
    assert!(done);
    assert_eq!(outcome(&resumed, "small"), trials);
    let same = |picks: Vec<Pick>| picks.iter().map(|p| (p.arch_id.clone(), p.curve.clone())).collect::<Vec<_>>();
    assert_eq!(same(picks(&resumed)), same(chosen));
}

#[test]
fn a_study_under_a_hybrid_protocol_goes_on_after_interruptions() {
    let hybrid = STUDY
        .replace("seed = 5", "seed = 5\nprotocol = \"cheetah\"\nlink = \"lan\"")
        .replace("max_log_n = 14", "")
        .replace("images = 2\n", "");
    let folders: Vec<tempfile::TempDir> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    let (done, whole) = run(&hybrid, folders[0].path(), 2, usize::MAX);
    assert!(done);
    // Once among the trials, once in the baseline.
    let (done, _) = run(&hybrid, folders[1].path(), 1, 2);
    assert!(!done);
    let (done, _) = run(&hybrid, folders[1].path(), 2, 5);
    assert!(!done);
    let (done, resumed) = run(&hybrid, folders[1].path(), 2, usize::MAX);
    assert!(done);
    assert_eq!(outcome(&resumed, "small"), outcome(&whole, "small"));
    assert_eq!(outcome(&resumed, "small-random"), outcome(&whole, "small-random"));
    assert_eq!(picks(&resumed), picks(&whole));
    let pick = &picks(&whole)[0];
    assert!(pick.verification.is_none() && pick.test_accuracy.is_some() && pick.network.contains("relu"));
}
