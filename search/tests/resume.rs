//! A search that is killed again and again ends with the trials of one that is not.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use striae_search::sampler::{GenotypeOps, Nsga2, Nsga2Config, Sampler};
use striae_search::storage::{NewTrial, Store};
use striae_search::{Direction, History, Outcome, Param, Seed, Trial, TrialState};

const TRIALS: u64 = 60;
const CHOICES: usize = 6;
const DIRECTIONS: [Direction; 2] = [Direction::Maximize, Direction::Minimize];
/// Names the study file for the child process.
const CHILD: &str = "STRIAE_RESUME_CHILD";

struct Digits;

impl GenotypeOps for Digits {
    type Genotype = Vec<usize>;

    fn sample(&self, rng: &mut ChaCha8Rng) -> Vec<usize> {
        (0..8).map(|_| rng.random_range(0..CHOICES)).collect()
    }

    fn mutate(&self, parent: &Vec<usize>, rng: &mut ChaCha8Rng) -> Vec<usize> {
        let mut child = parent.clone();
        let at = rng.random_range(0..child.len());
        child[at] = rng.random_range(0..CHOICES);
        child
    }

    fn crossover(&self, a: &Vec<usize>, b: &Vec<usize>, rng: &mut ChaCha8Rng) -> Vec<usize> {
        a.iter().zip(b).map(|(&a, &b)| if rng.random_bool(0.5) { a } else { b }).collect()
    }
}

fn params(genotype: &[usize]) -> Vec<Param> {
    let choices: Vec<Value> = (0..CHOICES).map(|c| json!(c)).collect();
    let param = |(i, &digit): (usize, &usize)| Param::new(format!("d{i}"), choices.clone(), digit).expect("valid");
    genotype.iter().enumerate().map(param).collect()
}

fn genotype(trial: &Trial) -> Vec<usize> {
    trial.params.iter().map(Param::index).collect()
}

fn evaluate(genotype: &[usize]) -> Vec<f64> {
    let sum: usize = genotype.iter().sum();
    let turns = genotype.windows(2).filter(|w| w[0] != w[1]).count();
    vec![sum as f64, turns as f64]
}

/// Runs or resumes the search to its end.
fn search(file: &Path) {
    let store = Store::open_or_create(file).expect("a study file");
    let _lock = store.lock().expect("no other search");
    let study = store.create_or_load_study("s", &DIRECTIONS, &BTreeMap::new()).expect("the study").id;
    let requeued = store.requeue_stale(study, Duration::ZERO, 1000).expect("written");
    assert!(requeued.len() <= 1, "one trial was in hand, {} were lost", requeued.len());
    let config = Nsga2Config { population: 10, ..Nsga2Config::default() };
    let mut sampler = Nsga2::new(Digits, Seed(5), config).expect("valid");
    loop {
        let trials = store.trials(study).expect("readable");
        let history = History::new(&trials);
        let next = history.next_proposal();
        let trial = if let Some(trial) = store.claim_waiting(study).expect("written") {
            trial
        } else if next < TRIALS {
            assert_eq!(history.first_unfinished(), next);
            let views = history.views(&DIRECTIONS, |t| Ok::<_, ()>(genotype(t))).expect("infallible");
            let genotype = sampler.ask(&views, next).expect("all before it are finished");
            let new = NewTrial { proposal: next, params: params(&genotype), user_attrs: BTreeMap::new() };
            store.add_trial(study, &new).expect("added")
        } else {
            return;
        };
        store.report(trial.id, 0, 0.5).expect("running");
        thread::sleep(Duration::from_millis(2));
        store.finish(trial.id, &Outcome::Complete(evaluate(&genotype(&trial)))).expect("running");
    }
}

fn results(file: &Path) -> BTreeMap<u64, (Vec<usize>, Vec<f64>)> {
    let store = Store::open(file).expect("a study file");
    let trials = store.trials(store.load_study("s").expect("the study").id).expect("readable");
    let done = trials.iter().filter(|t| t.state == TrialState::Complete);
    done.map(|t| (t.proposal, (genotype(t), t.values.clone()))).collect()
}

/// The body of the child process; does nothing in a normal run.
#[test]
fn child() {
    if let Some(file) = std::env::var_os(CHILD) {
        search(Path::new(&file));
    }
}

#[test]
fn a_search_that_is_killed_again_and_again_has_the_same_trials() {
    let folder = tempfile::tempdir().expect("a folder");
    let [whole, killed] = ["whole.sqlite3", "killed.sqlite3"].map(|name| folder.path().join(name));
    search(&whole);
    let expected = results(&whole);
    assert_eq!(expected.len() as u64, TRIALS);

    let (begin, mut kills, mut rng) = (Instant::now(), 0, Seed(1).rng());
    loop {
        let mut child = Command::new(std::env::current_exe().expect("this test"));
        child.args(["--exact", "child"]).env(CHILD, &killed).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = child.spawn().expect("this test runs");
        // The first kills come early, in the creation of the file; then late enough that the search gets on.
        thread::sleep(Duration::from_millis(rng.random_range(1..=20 + 10 * kills)));
        child.kill().expect("it may be killed");
        let output = child.wait_with_output().expect("it ended");
        if output.status.success() {
            break;
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code().is_none(), "it failed by itself: {stderr}");
        kills += 1;
        assert!(begin.elapsed() < Duration::from_mins(1), "no end after {kills} kills");
    }
    assert!(kills >= 3, "killed {kills} times only");
    assert_eq!(results(&killed), expected);
}
