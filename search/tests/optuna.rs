//! Optuna opens our studies and we open Optuna's. Needs a Python that has Optuna, named by `STRIAE_TEST_PYTHON`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use striae_search::storage::{NewTrial, Store};
use striae_search::{Direction, Outcome, Param, TrialState};

/// The Python to test with, or none after a note.
fn python() -> Option<OsString> {
    let python = std::env::var_os("STRIAE_TEST_PYTHON").filter(|p| !p.is_empty());
    if python.is_none() {
        #[expect(clippy::print_stderr, reason = "the reader of the test's output must see that nothing was tested")]
        {
            eprintln!("skipped: STRIAE_TEST_PYTHON not set");
        }
    }
    python
}

/// Runs a script on a file; what it prints is JSON.
fn run(python: &OsString, script: &str, file: &Path) -> Value {
    let output = Command::new(python).args(["-W", "ignore", "-c", script]).arg(file).output().expect("python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

fn params(index: usize) -> Vec<Param> {
    let kernel = vec![json!("cross"), json!("full"), json!(null), json!(true)];
    let width = vec![json!(8), json!(1.5), json!("16 ü \"x\"")];
    vec![
        Param::new("kernel", kernel, index % 4).expect("valid"),
        Param::new("a_width", width, index % 3).expect("valid"),
    ]
}

fn new(proposal: u64) -> NewTrial {
    let user_attrs = BTreeMap::from([("network".to_owned(), json!({"layers": [1, 2], "name": "x"}))]);
    NewTrial { proposal, params: params(proposal as usize), user_attrs }
}

/// A study with a trial of every kind.
fn write_ours(file: &Path) {
    let store = Store::open_or_create(file).expect("a new file");
    let attrs = BTreeMap::from([("seed".to_owned(), json!(7))]);
    let both = [Direction::Maximize, Direction::Minimize];
    let study = store.create_or_load_study("ours", &both, &attrs).expect("a new study").id;
    let outcomes = [
        Outcome::Complete(vec![0.9, 20.0]),
        Outcome::Complete(vec![0.8, 30.0]),
        Outcome::Complete(vec![0.5, 0.1 + 0.2]),
        Outcome::Pruned { reason: "slow".to_owned() },
        Outcome::Failed { error: "broken".to_owned() },
        Outcome::Complete(vec![f64::NEG_INFINITY, f64::INFINITY]),
        Outcome::Complete(vec![f64::NAN, 1.0]),
    ];
    for (proposal, outcome) in outcomes.iter().enumerate() {
        let id = store.add_trial(study, &new(proposal as u64)).expect("added").id;
        for (step, value) in [(1, 0.25), (2, f64::NAN), (3, f64::INFINITY)] {
            store.report(id, step, value).expect("running");
        }
        store.set_constraints(id, &[if proposal == 1 { 1.0 } else { -1.0 }]).expect("running");
        store.finish(id, outcome).expect("running");
    }
    store.add_trial(study, &new(7)).expect("added");
    store.requeue_stale(study, Duration::ZERO, 3).expect("requeued");
    store.add_trial(study, &new(8)).expect("added");
    let one = store.create_or_load_study("single", &both[..1], &attrs).expect("a new study").id;
    for (proposal, value) in [(0, 0.25), (1, 0.75), (2, 0.5)] {
        let id = store.add_trial(one, &new(proposal)).expect("added").id;
        store.finish(id, &Outcome::Complete(vec![value])).expect("running");
    }
}

const READ: &str = r#"
import json, sys, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
url = "sqlite:///" + sys.argv[1]
study = optuna.load_study(study_name="ours", storage=url)
single = optuna.load_study(study_name="single", storage=url)
print(json.dumps({
    "directions": [d.name for d in study.directions],
    "seed": study.user_attrs["seed"],
    "numbers": [t.number for t in study.trials],
    "states": [t.state.name for t in study.trials],
    "params": [t.params for t in study.trials],
    "order": list(study.trials[0].params),
    "choices": study.trials[0].distributions["kernel"].choices,
    "values": [None if t.values is None else [repr(v) for v in t.values] for t in study.trials],
    "steps": {k: repr(v) for k, v in study.trials[0].intermediate_values.items()},
    "network": study.trials[0].user_attrs["network"],
    "times": [t.datetime_start is not None and (t.datetime_complete or t.datetime_start) >= t.datetime_start for t in study.trials],
    "best": [t.number for t in study.best_trials],
    "single": [single.best_trial.number, single.best_value, single.best_params],
    "retried": optuna.storages.RetryFailedTrialCallback.retried_trial_number(study.trials[8]),
}))
"#;

#[test]
fn optuna_opens_our_study() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ours.sqlite3");
    write_ours(&file);
    let seen = run(&python, READ, &file);
    assert_eq!(seen["directions"], json!(["MAXIMIZE", "MINIMIZE"]));
    assert_eq!(seen["seed"], 7);
    assert_eq!(seen["numbers"], json!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    let states =
        ["COMPLETE", "COMPLETE", "COMPLETE", "PRUNED", "FAIL", "COMPLETE", "FAIL", "FAIL", "WAITING", "RUNNING"];
    assert_eq!(seen["states"], json!(states));
    // The waiting trial repeats proposal 7.
    for (number, proposal) in [0, 1, 2, 3, 4, 5, 6, 7, 7, 8].into_iter().enumerate() {
        let expected: BTreeMap<String, Value> =
            params(proposal).iter().map(|p| (p.name().to_owned(), p.value().clone())).collect();
        assert_eq!(seen["params"][number], json!(expected), "trial {number}");
    }
    assert_eq!(seen["order"], json!(["kernel", "a_width"]));
    assert_eq!(seen["choices"], json!(["cross", "full", null, true]));
    assert_eq!(seen["values"][2], json!(["0.5", "0.30000000000000004"]));
    assert_eq!(seen["values"][5], json!(["-inf", "inf"]));
    assert_eq!((&seen["values"][3], &seen["values"][6]), (&Value::Null, &Value::Null));
    assert_eq!(seen["steps"], json!({"1": "0.25", "2": "nan", "3": "inf"}));
    assert_eq!(seen["network"], json!({"layers": [1, 2], "name": "x"}));
    assert_eq!(seen["times"], json!([true, true, true, true, true, true, true, true, false, true]));
    assert_eq!(seen["best"], json!([0, 2]), "trial 1 breaks a constraint and is dominated");
    assert_eq!(seen["single"], json!([1, 0.75, {"kernel": "full", "a_width": 1.5}]));
    assert_eq!(seen["retried"], 7);
}

const CONTINUE: &str = r#"
import json, sys, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.load_study(study_name="ours", storage="sqlite:///" + sys.argv[1])
kernel = ["cross", "full", None, True]
study.optimize(lambda t: (t.suggest_categorical("kernel", kernel) == "cross", 2.0), n_trials=2)
print(json.dumps([t.number for t in study.trials if t.state.name == "COMPLETE"]))
"#;

#[test]
fn optuna_goes_on_with_our_study_and_we_read_it_again() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ours.sqlite3");
    write_ours(&file);
    // Optuna takes our waiting trial first.
    assert_eq!(run(&python, CONTINUE, &file), json!([0, 1, 2, 5, 8, 10]));
    let store = Store::open(&file).expect("still a study");
    let study = store.load_study("ours").expect("still ours");
    let trials = store.trials(study.id).expect("readable");
    assert_eq!(trials.len(), 11);
    assert_eq!((trials[8].state, trials[8].values.len()), (TrialState::Complete, 2));
    assert_eq!((trials[8].proposal, trials[10].proposal), (7, 10));
    assert_eq!(trials[10].params[0].name(), "kernel");
}

const WRITE: &str = r#"
import json, sys, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
url = "sqlite:///" + sys.argv[1]
theirs = optuna.create_study(study_name="theirs", storage=url, directions=["maximize", "minimize"])
theirs.optimize(lambda t: (float(t.suggest_categorical("w", [1, 2, 4])), float("inf")), n_trials=3)
marked = optuna.create_study(study_name="marked", storage=url, directions=["maximize", "minimize"])
marked.set_user_attr("striae:format_version", 1)
marked.optimize(lambda t: (float(t.suggest_categorical("w", [1, 2, 4])), float("inf")), n_trials=3)
floats = optuna.create_study(study_name="floats", storage=url)
floats.set_user_attr("striae:format_version", 1)
floats.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1)
print(json.dumps([t.params["w"] for t in marked.trials]))
"#;

#[test]
fn we_open_what_optuna_wrote_or_say_why_not() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("theirs.db");
    let widths = run(&python, WRITE, &file);
    let store = Store::open(&file).expect("the schemas are equal");
    assert_eq!(store.study_names().expect("readable"), ["theirs", "marked", "floats"]);
    let error = store.load_study("theirs").expect_err("not ours").to_string();
    assert!(
        error.ends_with("study theirs: user attribute striae:format_version is missing, so Striae did not write it")
    );
    let marked = store.load_study("marked").expect("marked as ours");
    assert_eq!(marked.directions, [Direction::Maximize, Direction::Minimize]);
    let trials = store.trials(marked.id).expect("readable");
    let read: Vec<&Value> = trials.iter().map(|t| t.params[0].value()).collect();
    assert_eq!(json!(read), widths);
    assert!(trials.iter().all(|t| t.state == TrialState::Complete && t.values[1] == f64::INFINITY));
    assert!(trials.iter().all(|t| t.started.is_some() && t.proposal == t.number));
    let added = store.add_trial(marked.id, &new(3)).expect("writable");
    assert_eq!(added.number, 3);
    let floats = store.load_study("floats").expect("marked as ours");
    let error = store.trials(floats.id).expect_err("not categorical").to_string();
    assert!(error.contains("trial 0: parameter x: FloatDistribution is not a CategoricalDistribution"), "{error}");
}

const SCHEMA: &str = r#"
import json, os, sqlite3, sys, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
theirs = sys.argv[1] + ".theirs"
optuna.create_study(study_name="x", storage="sqlite:///" + theirs)
def dump(path):
    rows = sqlite3.connect(path).execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    return sorted([t, n, b, " ".join((s or "").split())] for t, n, b, s in rows)
def versions(path):
    c = sqlite3.connect(path)
    return [c.execute("SELECT version_info_id, schema_version FROM version_info").fetchall(), c.execute("SELECT * FROM alembic_version").fetchall()]
print(json.dumps([[dump(p), versions(p)] for p in (sys.argv[1], theirs)]))
"#;

#[test]
fn our_schema_is_optunas() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ours.sqlite3");
    Store::open_or_create(&file).expect("a new file");
    let both = run(&python, SCHEMA, &file);
    assert_eq!(both[0], both[1]);
    assert!(both[0][0].as_array().is_some_and(|rows| rows.len() > 13));
}
