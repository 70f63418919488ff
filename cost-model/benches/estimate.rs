//! Networks estimated per second on one core: genotype, network, parameters, program, estimate.
//!
//! *First* starts with an empty [`Lowerer`], so every layer is planned once; *again* reuses it, as most of a search does.
//! *Build* is the part of either that makes the networks. Pin it to one core: `taskset -c 0 cargo bench --bench estimate`.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use striae_cost_model::{Calibration, Lowerer, PlanOptions};
use striae_spaces::space::{Genotype, StriaSpace, builtin};

/// Genotypes of one space; enough that most layers come again, as in a search.
const NETWORKS: u64 = 2_000;

/// Plans every network and returns the sum of their latencies in seconds.
fn plan_all(space: &StriaSpace, genotypes: &[Genotype], lowerer: &mut Lowerer<'_>) -> f64 {
    let options = PlanOptions::default();
    let plans = genotypes.iter().map(|genotype| {
        let graph = space.build(genotype).expect("genotypes are well-typed");
        lowerer.plan(&graph, &options).expect("the bounds of built-in spaces keep networks within the parameters")
    });
    plans.map(|plan| plan.estimate.latency.0).sum()
}

fn networks(c: &mut Criterion) {
    for name in ["strianet-mnist", "strianet-cifar10"] {
        let space = builtin(name).expect("it is built in");
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let genotypes: Vec<Genotype> = (0..NETWORKS).map(|_| space.sample(&mut rng)).collect();
        let calibration = Calibration::generic();
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(NETWORKS)).sample_size(10).measurement_time(Duration::from_secs(3));
        group.bench_function("build", |b| {
            b.iter(|| genotypes.iter().for_each(|g| drop(black_box(space.build(g)))));
        });
        group.bench_function("first", |b| {
            b.iter(|| plan_all(&space, &genotypes, &mut Lowerer::new(&calibration)));
        });
        let mut lowerer = Lowerer::new(&calibration);
        group.bench_function("again", |b| b.iter(|| plan_all(&space, &genotypes, &mut lowerer)));
        group.finish();
    }
}

criterion_group!(benches, networks);
criterion_main!(benches);
