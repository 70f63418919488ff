//! Networks of a space planned and estimated per second on one core.
//!
//! *Build* makes the networks of genotypes, *plan* is [`Lowerer::plan`] on each when all their layers have been laid out
//! before, *first* estimates them with an empty [`SpaceEstimator`], *again* with one that has met their pieces. Pin it
//! to one core: `taskset -c 0 cargo bench --bench estimate`. What a second thread adds is in `threads.rs`.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use striae_cost_model::{Calibration, Lowerer, PlanOptions, SpaceEstimator};
use striae_spaces::space::{Genotype, StriaSpace, Trellis, builtin};

/// Genotypes of one space that are planned one by one.
const FEW: usize = 2_000;
/// Genotypes of one space that are estimated.
const MANY: usize = 200_000;

/// Plans every network and returns the sum of their latencies in seconds.
fn plan_all(space: &StriaSpace, genotypes: &[Genotype], lowerer: &mut Lowerer<'_>) -> f64 {
    let options = PlanOptions::default();
    let plans = genotypes.iter().map(|genotype| {
        let graph = space.build(genotype).expect("genotypes are well-typed");
        lowerer.plan(&graph, &options).expect("the bounds of built-in spaces keep networks within the parameters")
    });
    plans.map(|plan| plan.estimate.latency.0).sum()
}

fn estimate_all(genotypes: &[Genotype], estimator: &mut SpaceEstimator<'_>) -> f64 {
    let costs = genotypes.iter().map(|genotype| estimator.estimate(genotype).expect("as above"));
    costs.map(|cost| cost.latency.0).sum()
}

fn networks(c: &mut Criterion) {
    for name in ["strianet-mnist", "strianet-cifar10"] {
        let space = builtin(name).expect("it is built in");
        let trellis = Trellis::new(&space).expect("it is small");
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let genotypes: Vec<Genotype> = (0..MANY).map(|_| space.sample(&mut rng)).collect();
        let calibration = Calibration::generic();
        let mut group = c.benchmark_group(name);
        group.sample_size(10).measurement_time(Duration::from_secs(3));
        group.throughput(Throughput::Elements(FEW as u64));
        group.bench_function("one/build", |b| {
            b.iter(|| genotypes[..FEW].iter().for_each(|g| drop(black_box(space.build(g)))));
        });
        let mut lowerer = Lowerer::new(&calibration);
        group.bench_function("one/plan", |b| b.iter(|| plan_all(&space, &genotypes[..FEW], &mut lowerer)));
        group.throughput(Throughput::Elements(MANY as u64));
        let new = || SpaceEstimator::new(&trellis, &calibration, PlanOptions::default());
        group.bench_function("one/first", |b| b.iter(|| estimate_all(&genotypes, &mut new())));
        let mut estimator = new();
        estimate_all(&genotypes, &mut estimator);
        group.bench_function("one/again", |b| b.iter(|| estimate_all(&genotypes, &mut estimator)));
        group.finish();
    }
}

criterion_group!(benches, networks);
criterion_main!(benches);
