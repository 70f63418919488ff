use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;

use super::*;
use crate::{Direction, Outcome, Param, Trial, TrialId, TrialState};

const BOTH: [Direction; 2] = [Direction::Maximize, Direction::Minimize];

fn params(index: usize) -> Vec<Param> {
    let kernel = Param::new("kernel", vec![json!("cross"), json!("full"), json!(null), json!(true)], index);
    let width = Param::new("a_width", vec![json!(8), json!(1.5)], index % 2);
    vec![kernel.expect("valid"), width.expect("valid")]
}

fn new(proposal: u64) -> NewTrial {
    NewTrial { proposal, params: params(proposal as usize % 4), user_attrs: BTreeMap::new() }
}

fn study(store: &Store) -> StudyId {
    store.create_or_load_study("s", &BOTH, &BTreeMap::new()).expect("a new study").id
}

/// Runs a test on a file and in memory.
fn on_both(test: impl Fn(&Store)) {
    test(&Store::in_memory().expect("memory"));
    let folder = tempfile::tempdir().expect("a folder");
    test(&Store::open_or_create(folder.path().join("s.sqlite3")).expect("a new file"));
}

fn with_file(test: impl Fn(&Path)) {
    let folder = tempfile::tempdir().expect("a folder");
    test(&folder.path().join("s.sqlite3"));
}

#[test]
fn a_trial_is_read_as_it_was_written() {
    on_both(|store| {
        let study = study(store);
        let added = store
            .add_trial(
                study,
                &NewTrial { user_attrs: BTreeMap::from([("n".to_owned(), json!({"a": [1, 2.5]}))]), ..new(3) },
            )
            .expect("added");
        assert_eq!((added.number, added.proposal, added.state), (0, 3, TrialState::Running));
        assert!(added.started.is_some() && added.finished.is_none());
        for (step, value) in [(0, f64::NAN), (1, 0.5), (2, f64::NEG_INFINITY), (1, 0.75)] {
            store.report(added.id, step, value).expect("running");
        }
        store.set_trial_attr(added.id, "n", &json!("new")).expect("running");
        store.set_constraints(added.id, &[-1.0, 2.0, 0.5]).expect("running");
        store.heartbeat(added.id).expect("running");
        let state = store.finish(added.id, &Outcome::Complete(vec![f64::INFINITY, 0.1 + 0.2])).expect("running");
        assert_eq!(state, TrialState::Complete);
        let trial = store.trial(added.id).expect("there");
        assert_eq!(trial.params, params(3));
        assert_eq!(trial.params[0].value(), &json!(true));
        assert_eq!(trial.values, [f64::INFINITY, 0.1 + 0.2]);
        assert!(trial.intermediate[&0].is_nan() && trial.intermediate[&1] == 0.75);
        assert_eq!(trial.user_attrs, BTreeMap::from([("n".to_owned(), json!("new"))]));
        assert_eq!(trial.violation(), 2.5);
        assert!(trial.finished >= trial.started);
        assert_eq!(store.trials(study).expect("readable").len(), 1);
    });
}

#[test]
fn endings() {
    on_both(|store| {
        let study = study(store);
        let end = |outcome: Outcome| {
            let id = store.add_trial(study, &new(0)).expect("added").id;
            let state = store.finish(id, &outcome).expect("running");
            let trial = store.trial(id).expect("there");
            assert_eq!(trial.state, state);
            (state, trial.values, trial.user_attrs.get(REASON_KEY).cloned())
        };
        let nan = end(Outcome::Complete(vec![1.0, f64::NAN]));
        assert_eq!(nan, (TrialState::Fail, vec![], Some(json!("objective 1 is NaN"))));
        let pruned = end(Outcome::Pruned { reason: "too slow".to_owned() });
        assert_eq!(pruned, (TrialState::Pruned, vec![], Some(json!("too slow"))));
        let failed = end(Outcome::Failed { error: "no".to_owned() });
        assert_eq!(failed, (TrialState::Fail, vec![], Some(json!("no"))));
    });
}

#[test]
fn finished_trials_are_final_and_a_refused_change_changes_nothing() {
    on_both(|store| {
        let study = study(store);
        let id = store.add_trial(study, &new(0)).expect("added").id;
        let error = store.finish(id, &Outcome::Complete(vec![1.0])).expect_err("one value for two objectives");
        assert!(matches!(error.kind, StoreErrorKind::ValueCount { expected: 2, got: 1, .. }));
        assert_eq!(store.trial(id).expect("there").state, TrialState::Running);
        store.finish(id, &Outcome::Complete(vec![1.0, 2.0])).expect("running");
        let before = store.trial(id).expect("there");
        for result in [store.report(id, 0, 1.0), store.heartbeat(id), store.set_constraints(id, &[1.0])] {
            assert!(matches!(result, Err(StoreError { kind: StoreErrorKind::NotRunning { number: 0, .. }, .. })));
        }
        assert!(store.finish(id, &Outcome::Complete(vec![3.0, 4.0])).is_err());
        assert_eq!(store.trial(id).expect("there"), before);
        assert!(matches!(store.trial(TrialId(99)), Err(StoreError { kind: StoreErrorKind::UnknownTrial(_), .. })));
        assert!(store.set_trial_attr(TrialId(99), "k", &json!(1)).is_err());
        let twice = NewTrial { params: [params(0), params(1)].concat(), ..new(1) };
        assert!(store.add_trial(study, &twice).is_err());
        assert_eq!(store.trials(study).expect("readable").len(), 1);
    });
}

#[test]
fn dead_trials_run_again_under_their_proposal() {
    on_both(|store| {
        let study = study(store);
        let dead = store.add_trial(study, &new(7)).expect("added");
        store.report(dead.id, 0, 0.5).expect("running");
        let done = store.add_trial(study, &new(8)).expect("added");
        store.finish(done.id, &Outcome::Complete(vec![0.0, 0.0])).expect("running");
        let alive = store.requeue_stale(study, Duration::from_mins(1), 3).expect("nothing to do");
        assert_eq!(alive, []);

        let (mut failed, mut waiting) = (0, 2);
        for _ in 0..2 {
            let requeued = store.requeue_stale(study, Duration::ZERO, 2).expect("written");
            assert_eq!(requeued, [Requeued { proposal: 7, failed, waiting: Some(waiting) }]);
            assert_eq!(store.requeue_stale(study, Duration::ZERO, 2).expect("written"), [], "done once");
            let again = store.claim_waiting(study).expect("written").expect("one waits");
            assert_eq!((again.number, again.proposal, again.state), (waiting, 7, TrialState::Running));
            assert_eq!((&again.params, again.intermediate.len()), (&dead.params, 0));
            assert_eq!(again.system_attrs[FAILED_TRIAL_KEY], json!(0));
            assert_eq!(store.claim_waiting(study).expect("read"), None);
            (failed, waiting) = (waiting, waiting + 1);
        }
        let last = store.requeue_stale(study, Duration::ZERO, 2).expect("written");
        assert_eq!(last, [Requeued { proposal: 7, failed, waiting: None }], "twice is enough");
        let trials = store.trials(study).expect("readable");
        assert_eq!(trials.last().map(Trial::retries), Some(vec![0, 2]));
        assert!(trials.iter().all(|t| t.state.is_finished()));
        assert_eq!(trials[0].user_attrs[REASON_KEY], json!("its process ended"));
        let late = store.finish(dead.id, &Outcome::Complete(vec![1.0, 1.0]));
        assert!(late.is_err(), "whoever was given up is told so");
    });
}

#[test]
fn waiting_trials_are_claimed_once_in_order_of_their_proposals() {
    with_file(|path| {
        let store = Store::open_or_create(path).expect("a new file");
        let study = study(&store);
        for proposal in (0..20).rev() {
            store.enqueue_trial(study, &new(proposal)).expect("added");
        }
        let claim = |store: &Store| -> Vec<u64> {
            std::iter::from_fn(|| store.claim_waiting(study).expect("written").map(|t| t.proposal)).collect()
        };
        let other = Store::open(path).expect("the same file");
        let (a, b) = thread::scope(|scope| {
            let a = scope.spawn(|| claim(&store));
            (claim(&other), a.join().expect("no panic"))
        });
        assert!(a.is_sorted() && b.is_sorted());
        let mut all = [a, b].concat();
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<u64>>());
    });
}

#[test]
fn numbers_are_gapless_with_many_writers() {
    with_file(|path| {
        let store = Store::open_or_create(path).expect("a new file");
        let study = study(&store);
        thread::scope(|scope| {
            for worker in 0..4 {
                let own = Store::open(path).expect("the same file");
                scope.spawn(move || {
                    for i in 0..10 {
                        let trial = own.add_trial(study, &new(10 * worker + i)).expect("added");
                        own.finish(trial.id, &Outcome::Complete(vec![0.0, 0.0])).expect("running");
                    }
                });
            }
        });
        let numbers: Vec<u64> = store.trials(study).expect("readable").iter().map(|t| t.number).collect();
        assert_eq!(numbers, (0..40).collect::<Vec<u64>>());
    });
}

#[test]
fn studies_are_kept_apart_and_survive_the_process() {
    with_file(|path| {
        let attrs = BTreeMap::from([("seed".to_owned(), json!(7))]);
        {
            let store = Store::open_or_create(path).expect("a new file");
            let first = store.create_or_load_study("s", &BOTH, &attrs).expect("new");
            let second = store.create_or_load_study("t", &BOTH[..1], &attrs).expect("new");
            store.add_trial(first.id, &new(0)).expect("added");
            assert_eq!(store.add_trial(second.id, &new(0)).expect("added").number, 0);
            store.set_study_attr(second.id, "seed", &json!(8)).expect("set");
            assert!(store.load_only_study().is_err());
        }
        let store = Store::open_or_create(path).expect("it is there");
        assert_eq!(store.study_names().expect("readable"), ["s", "t"]);
        let first = store.create_or_load_study("s", &BOTH, &BTreeMap::new()).expect("loads");
        assert_eq!((&first.user_attrs["seed"], &first.user_attrs[FORMAT_KEY]), (&json!(7), &json!(FORMAT_VERSION)));
        assert_eq!(store.load_study("t").expect("there").user_attrs["seed"], json!(8));
        assert_eq!(store.trials(first.id).expect("readable").len(), 1);
    });
}

#[test]
fn one_search_at_a_time() {
    with_file(|path| {
        let store = Store::open_or_create(path).expect("a new file");
        let lock = store.lock().expect("free");
        assert!(matches!(store.lock(), Err(StoreError { kind: StoreErrorKind::InUse, .. })));
        drop(lock);
        store.lock().expect("free again");
    });
}

/// What opening `path` and loading study `s` says.
fn refusal(path: &Path) -> String {
    let error = Store::open_or_create(path).and_then(|store| {
        let study = store.load_study("s")?;
        store.trials(study.id).map(drop)
    });
    let error = error.expect_err("it must be refused");
    assert!(!error.hint().is_empty());
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    let (file, message) = message.split_once(": ").expect("the file comes first");
    assert_eq!(Path::new(file), path);
    message.to_owned()
}

#[test]
fn files_that_are_no_studies_are_refused_and_left_as_they_are() {
    with_file(|path| {
        for text in ["x", "this is a text file of some length, not a database"] {
            std::fs::write(path, text).expect("written");
            assert_eq!(refusal(path), "not an SQLite file: its header is not `SQLite format 3`");
            assert_eq!(std::fs::read_to_string(path).expect("there"), text);
        }
        assert!(refusal(&path.join("x")).starts_with("cannot be opened: "));
        assert!(refusal(&path.with_file_name("no/such")).contains("folder"));
        assert!(!path.with_file_name("no").exists());
        assert!(Store::open(path.with_file_name("missing")).is_err() && !path.with_file_name("missing").exists());
        std::fs::write(path, [b"SQLite format 3\0".as_slice(), &[7; 3000]].concat()).expect("written");
        assert!(refusal(path).starts_with("SQLite: "), "{}", refusal(path));
    });
    with_file(|path| {
        Connection::open(path).and_then(|c| c.execute_batch("CREATE TABLE t (x)")).expect("created");
        assert_eq!(refusal(path), "not a study: table studies is missing");
    });
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    with_file(|path| {
        let store = Store::open_or_create(path).expect("a new file");
        let study = study(&store);
        for proposal in 0..40 {
            store.add_trial(study, &new(proposal)).expect("added");
        }
        drop(store);
        let bytes = std::fs::read(path).expect("there");
        std::fs::write(path, &bytes[..bytes.len() / 2]).expect("written");
        assert!(refusal(path).starts_with("SQLite: "), "{}", refusal(path));
    });
}

#[test]
fn a_kill_during_creation_leaves_a_file_that_can_be_created_again() {
    with_file(|path| {
        std::fs::write(path, "").expect("written");
        study(&Store::open_or_create(path).expect("an empty file is a new one"));
    });
    with_file(|path| {
        Connection::open(path).and_then(|c| c.execute_batch("PRAGMA journal_mode = WAL; VACUUM")).expect("created");
        study(&Store::open_or_create(path).expect("a file without tables is a new one"));
    });
}

#[test]
fn unknown_versions_and_damaged_fields_are_named() {
    let cases = [
        ("UPDATE version_info SET schema_version = 13", "version_info.schema_version is 13, expected 12"),
        ("DELETE FROM version_info", "version_info.schema_version is missing, expected 12"),
        ("UPDATE alembic_version SET version_num = 'v9'", "alembic_version.version_num is v9, expected v3.2.0.a"),
        ("DROP TABLE trial_values", "not a study: table trial_values is missing"),
        ("UPDATE studies SET study_name = 'z'", "holds no study named s (it holds: z)"),
        (
            "UPDATE study_user_attributes SET value_json = '2'",
            "study s: striae:format_version is 2, this version reads up to 1",
        ),
        (
            "UPDATE study_user_attributes SET value_json = '\"x\"'",
            "study s: user attribute striae:format_version: \"x\" is not a version number",
        ),
        (
            "DELETE FROM study_user_attributes",
            "study s: user attribute striae:format_version is missing, so Striae did not write it",
        ),
        ("UPDATE study_directions SET direction = 'NOT_SET'", "study_directions.direction of objective 0: NOT_SET is"),
        ("UPDATE trials SET state = 'DONE'", "trial 0: trials.state: DONE is not a state"),
        ("UPDATE trials SET datetime_start = 'now'", "trial 0: trials.datetime_start: now is not a time"),
        (
            "UPDATE trial_params SET param_value = 4",
            "trial 0: parameter kernel: 4 is not the index of one of 4 choices",
        ),
        ("UPDATE trial_params SET param_value = 0.5", "trial 0: parameter kernel: 0.5 is not the index"),
        ("UPDATE trial_params SET param_value = 'x'", "SQLite: "),
        ("UPDATE trial_params SET distribution_json = '{'", "trial 0: parameter kernel: { is not JSON: "),
        (
            "UPDATE trial_params SET distribution_json = '{\"name\": \"FloatDistribution\"}'",
            "trial 0: parameter kernel: FloatDistribution is not a CategoricalDistribution",
        ),
        ("UPDATE trial_values SET value = NULL", "trial 0: trial_values.value_type: FINITE does not go with"),
        ("UPDATE trial_values SET objective = objective + 5", "trial 0: trial_values.objective: 5 does not follow"),
        (
            "UPDATE trial_system_attributes SET value_json = 'NaN'",
            "trial 0: system attribute striae:proposal: NaN is not JSON",
        ),
    ];
    for (sql, expected) in cases {
        with_file(|path| {
            let store = Store::open_or_create(path).expect("a new file");
            let id = store.add_trial(study(&store), &new(0)).expect("added").id;
            store.finish(id, &Outcome::Complete(vec![1.0, 2.0])).expect("running");
            drop(store);
            Connection::open(path).and_then(|c| c.execute_batch(sql)).expect(sql);
            let message = refusal(path);
            assert!(message.starts_with(expected), "{sql}: {message}");
        });
    }
}

#[test]
fn other_objectives_are_refused() {
    on_both(|store| {
        study(store);
        let error = store.create_or_load_study("s", &BOTH[..1], &BTreeMap::new()).expect_err("one objective");
        assert!(
            error.to_string().ends_with("study s has directions [Maximize, Minimize], the new one needs [Maximize]")
        );
    });
}

#[test]
fn params_are_checked() {
    assert!(Param::new("p", vec![], 0).is_err());
    assert!(Param::new("p", vec![json!(1)], 1).is_err());
    assert!(Param::new("p", vec![json!([1])], 0).is_err());
}
