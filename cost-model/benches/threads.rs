//! Networks of a space estimated per second on one thread and on two, each thread with an estimator of its own, beside a loop
//! of arithmetic alone, which tells what a second thread can give on this machine at all: less than a second core where the
//! two are one core's, or where neighbours of a virtual machine use it too.
//!
//! All run in turns, so that hours in which a machine is slow hit them alike; rates are medians over rounds, and so are the
//! ratios of the two halves of a round. Run it on two cores: `taskset -c 0,1 cargo bench --bench threads`.

use std::{
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use striae_cost_model::{Calibration, PlanOptions, SpaceEstimator};
use striae_spaces::space::{Genotype, Trellis, builtin};

/// Rounds.
const ROUNDS: usize = 41;
/// Genotypes of one space, and how many of them a thread takes at a time.
const GENOTYPES: (usize, usize) = (200_000, 500);
/// Steps of the arithmetic, and how many of them a thread takes at a time.
const STEPS: (usize, usize) = (20_000_000, 200_000);

/// Seconds in which threads, one for each of `states`, share some work.
fn seconds<S: Send>(states: &mut [S], (total, share): (usize, usize), work: impl Fn(&mut S, usize) + Sync) -> f64 {
    let next = AtomicUsize::new(0);
    let run = |state: &mut S| {
        while let start = next.fetch_add(share, Ordering::Relaxed)
            && start < total
        {
            work(state, start);
        }
    };
    let started = Instant::now();
    thread::scope(|scope| {
        if let [first, others @ ..] = states {
            for state in others {
                scope.spawn(|| run(state));
            }
            run(first);
        }
    });
    started.elapsed().as_secs_f64()
}

/// Independent sequences of pseudorandom numbers, enough to keep a core busy.
fn arithmetic(states: &mut [u64; 8], steps: usize) {
    // In registers, so that the threads' states may be neighbours.
    let mut sequences = *states;
    for _ in 0..black_box(steps) {
        for x in &mut sequences {
            *x ^= *x << 13;
            *x ^= *x >> 7;
            *x ^= *x << 17;
        }
    }
    *states = sequences;
}

/// What is measured: its name, its amount, and what one thread and two take.
struct Row {
    name: &'static str,
    amount: usize,
    seconds: Vec<[f64; 2]>,
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measures")]
impl Row {
    fn print(&self) {
        let median = |of: &dyn Fn(&[f64; 2]) -> f64| {
            let mut all: Vec<f64> = self.seconds.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        let rates = [0, 1].map(|i| self.amount as f64 / median(&|s| s[i]));
        let ratio = median(&|[one, two]| one / two);
        println!("{:18} {:12.0} /s on one thread, {:12.0} /s on two: {ratio:.2} times", self.name, rates[0], rates[1]);
    }
}

fn main() {
    let calibration = Calibration::generic();
    let spaces = ["strianet-mnist", "strianet-cifar10"].map(|name| builtin(name).expect("it is built in"));
    let trellises = spaces.each_ref().map(|space| Trellis::new(space).expect("it is small"));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut estimators = Vec::new();
    for trellis in &trellises {
        let genotypes: Vec<Genotype> = (0..GENOTYPES.0).map(|_| trellis.space().sample(&mut rng)).collect();
        let mut estimator = SpaceEstimator::new(trellis, &calibration, PlanOptions::default());
        estimate(&mut estimator, &genotypes);
        estimators.push((genotypes, [estimator.clone(), estimator]));
    }
    let mut states = [[1, 2, 3, 4, 5, 6, 7, 8], [9, 10, 11, 12, 13, 14, 15, 16]];
    let row = |name, amount| Row { name, amount, seconds: Vec::new() };
    let mut rows = vec![row("arithmetic", STEPS.0)];
    rows.extend(["strianet-mnist", "strianet-cifar10"].map(|name| row(name, GENOTYPES.0)));
    for _ in 0..ROUNDS {
        let measured = [1, 2].map(|n| seconds(&mut states[..n], STEPS, |states, _| arithmetic(states, STEPS.1)));
        rows[0].seconds.push(measured);
        for (row, (genotypes, estimators)) in rows[1..].iter_mut().zip(&mut estimators) {
            let share = |estimator: &mut SpaceEstimator<'_>, start: usize| {
                estimate(estimator, &genotypes[start..start + GENOTYPES.1]);
            };
            row.seconds.push([1, 2].map(|n| seconds(&mut estimators[..n], GENOTYPES, share)));
        }
    }
    black_box(states);
    rows.iter().for_each(Row::print);
}

fn estimate(estimator: &mut SpaceEstimator<'_>, genotypes: &[Genotype]) {
    for genotype in genotypes {
        let cost = estimator.estimate(genotype);
        black_box(cost.expect("the bounds of built-in spaces keep networks within the parameters"));
    }
}
