use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{SamplerConfig, SamplerKind, Seed, pareto};

const GENES: usize = 12;
const CHOICES: u8 = 8;

/// ZDT1 on a grid: [`GENES`] genes of [`CHOICES`] values each; the front has all genes but the first at 0.
#[derive(Clone, Copy, Debug)]
struct Grid;

impl GenotypeOps for Grid {
    type Genotype = Vec<u8>;

    fn sample(&self, rng: &mut ChaCha8Rng) -> Vec<u8> {
        (0..GENES).map(|_| rng.random_range(0..CHOICES)).collect()
    }

    fn mutate(&self, parent: &Vec<u8>, rng: &mut ChaCha8Rng) -> Vec<u8> {
        let mut child = parent.clone();
        child[rng.random_range(0..GENES)] = rng.random_range(0..CHOICES);
        child
    }

    fn crossover(&self, a: &Vec<u8>, b: &Vec<u8>, rng: &mut ChaCha8Rng) -> Vec<u8> {
        a.iter().zip(b).map(|(&a, &b)| if rng.random_bool(0.5) { a } else { b }).collect()
    }
}

fn zdt1(genes: &[u8]) -> Vec<f64> {
    let x: Vec<f64> = genes.iter().map(|&g| f64::from(g) / f64::from(CHOICES - 1)).collect();
    let g = 1.0 + 9.0 * x[1..].iter().sum::<f64>() / (GENES - 1) as f64;
    vec![x[0], g * (1.0 - (x[0] / g).sqrt())]
}

fn view(proposal: u64, genotype: Vec<u8>) -> TrialView<Vec<u8>> {
    // Some trials fail and some are infeasible, as in a real study.
    let losses = (genotype[1] != 7).then(|| zdt1(&genotype));
    let violation = if genotype[2] == 7 { 1.0 } else { 0.0 };
    TrialView { proposal, genotype, losses, violation }
}

fn run(sampler: &mut impl Sampler<Vec<u8>>, trials: u64) -> Vec<TrialView<Vec<u8>>> {
    let mut history = Vec::new();
    for number in 0..trials {
        let genotype = sampler.ask(&history, number).expect("all earlier ones are finished");
        history.push(view(number, genotype));
    }
    history
}

fn nsga2(seed: u64) -> Nsga2<Grid> {
    Nsga2::new(Grid, Seed(seed), Nsga2Config { population: 20, ..Nsga2Config::default() }).expect("a valid config")
}

fn area(history: &[TrialView<Vec<u8>>]) -> f64 {
    let feasible = history.iter().filter(|t| t.violation == 0.0).filter_map(|t| t.losses.as_ref());
    let rows: Vec<[f64; 2]> = feasible.map(|row| [row[0], row[1]]).collect();
    pareto::hypervolume_2d(&rows, [1.1, 11.0])
}

/// Evaluates on `workers` threads with durations that have nothing to do with the proposals; results arrive in any order.
fn run_threads(mut sampler: impl Sampler<Vec<u8>>, trials: u64, workers: usize, jitter: u64) -> BTreeMap<u64, Vec<u8>> {
    let mut rng = Seed(jitter).rng();
    let (done, results) = mpsc::channel();
    let (mut history, mut next, mut busy, mut asked) = (Vec::new(), 0, 0, BTreeMap::new());
    // Number of the first proposal that is not finished.
    let prefix = |history: &[TrialView<Vec<u8>>]| {
        (0..trials).find(|n| history.iter().all(|t| t.proposal != *n)).unwrap_or(trials)
    };
    thread::scope(|scope| {
        while next < trials || busy > 0 {
            while busy < workers && next < trials && prefix(&history) >= sampler.needs(next) {
                let genotype = sampler.ask(&history, next).expect("what it needs is finished");
                asked.insert(next, genotype.clone());
                let (done, number) = (done.clone(), next);
                let pause = Duration::from_micros(rng.random_range(0..300));
                scope.spawn(move || {
                    thread::sleep(pause);
                    done.send(view(number, genotype)).expect("the loop listens");
                });
                (next, busy) = (next + 1, busy + 1);
            }
            history.push(results.recv().expect("a worker is busy"));
            busy -= 1;
        }
    });
    asked
}

#[test]
fn one_seed_gives_the_same_trials_at_any_number_of_threads() {
    let expected: BTreeMap<u64, Vec<u8>> =
        run(&mut nsga2(3), 100).into_iter().map(|t| (t.proposal, t.genotype)).collect();
    for (workers, jitter) in [(1, 0), (2, 1), (2, 2), (5, 3)] {
        assert_eq!(run_threads(nsga2(3), 100, workers, jitter), expected, "{workers} workers");
        let random = run_threads(Random::new(Grid, Seed(3)), 50, workers, jitter);
        assert_eq!(random, run_threads(Random::new(Grid, Seed(3)), 50, 1, 9));
    }
    assert_ne!(run_threads(nsga2(4), 100, 1, 0), expected, "another seed");
}

#[test]
fn an_interrupted_search_goes_on_as_if_it_had_not_been() {
    let whole = run(&mut nsga2(5), 90);
    for cut in [1, 19, 20, 37, 60] {
        let mut resumed = nsga2(5);
        // What comes after the generation's start is not looked at, so it may or may not be there yet.
        for number in cut..90 {
            let seen = &whole[..(number as usize).max(cut as usize)];
            assert_eq!(resumed.ask(seen, number), Ok(whole[number as usize].genotype.clone()), "cut {cut}");
        }
    }
}

#[test]
fn nsga2_beats_random_on_most_seeds() {
    let wins = (0..20).filter(|&seed| {
        let evolved = area(&run(&mut nsga2(seed), 300));
        evolved > area(&run(&mut Random::new(Grid, Seed(seed)), 300))
    });
    let wins = wins.count();
    assert!(wins >= 16, "better on {wins} of 20 seeds");
}

#[test]
fn proposals_are_rarely_repeated() {
    let history = run(&mut nsga2(11), 300);
    let repeats = (0..300).filter(|&i| history[..i].iter().any(|t| t.genotype == history[i].genotype)).count();
    assert_eq!(repeats, 0);
}

#[test]
fn a_proposal_that_depends_on_an_unfinished_one_is_refused() {
    let mut history = run(&mut nsga2(0), 20);
    history.remove(7);
    assert_eq!(nsga2(0).ask(&history, 25), Err(SamplerError::NotFinished { number: 25, missing: 7 }));
    assert!(nsga2(0).ask(&history, 19).is_ok());
    history.push(history[3].clone());
    assert_eq!(nsga2(0).ask(&history, 25), Err(SamplerError::Repeated { proposal: 3 }));
    let config = Nsga2Config { population: 1, ..Nsga2Config::default() };
    assert_eq!(Nsga2::new(Grid, Seed(0), config).err(), Some(SamplerError::Population(1)));
    let config = Nsga2Config { crossover: f64::NAN, ..Nsga2Config::default() };
    assert!(matches!(Nsga2::new(Grid, Seed(0), config), Err(SamplerError::Probability { field: "crossover", .. })));
}

#[test]
fn a_study_file_chooses_the_sampler() {
    let config = |kind| SamplerConfig { kind, population: 20, ..SamplerConfig::default() };
    let mut evolved = config(SamplerKind::Nsga2).build(&Grid, Seed(3)).expect("valid");
    let mut random = config(SamplerKind::Random).build(&Grid, Seed(3)).expect("valid");
    let history = run(&mut nsga2(3), 20);
    assert_eq!(evolved.ask(&history, 25), nsga2(3).ask(&history, 25));
    assert_eq!(random.ask(&[], 25), Random::new(Grid, Seed(3)).ask(&[], 25));
    assert_eq!((evolved.needs(25), random.needs(25)), (20, 0));
    let bad = SamplerConfig { population: 0, ..SamplerConfig::default() };
    assert_eq!(bad.build(&Grid, Seed(3)).err(), Some(SamplerError::Population(0)));
}

#[test]
fn only_failures_still_leave_parents() {
    let failed = |n: u64, genotype| TrialView { proposal: n, genotype, losses: None, violation: f64::NAN };
    let history: Vec<_> = run(&mut nsga2(0), 20).into_iter().map(|t| failed(t.proposal, t.genotype)).collect();
    assert!(nsga2(0).ask(&history, 20).is_ok());
}
