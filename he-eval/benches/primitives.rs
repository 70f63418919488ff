//! Latency of the evaluator's operations on the chains of design.md's table, one thread and all.
//!
//! `cargo bench -p striae-he-eval -- n=2^14` runs one ring degree. For a table with lower bounds there is `striae bench`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use rayon::ThreadPool;
use striae_cost_model::KeyPlan;
use striae_he_eval::bench::Chain;
use striae_he_eval::{HeBackend, HeClient, RnsBackend, Seed};

/// Rotations that share a decomposition.
const HOISTED: u32 = 7;

fn chain(c: &mut Criterion, chain: &Chain, pool: &ThreadPool) {
    let threads = pool.current_num_threads();
    let mut group = c.benchmark_group(format!(
        "n=2^{}/levels={}/special={}/threads={threads}",
        chain.log_n, chain.levels, chain.special
    ));
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let params = chain.params().expect("the reference chains are valid");
    let plan = chain.matvec();
    let keys = KeyPlan::up_to(params.max_level(), plan.rotations().chain(1..=HOISTED));
    let (client, backend) = RnsBackend::keygen(&params, &keys, Seed::Fixed(1)).expect("keys");
    let values: Vec<f64> = (0..params.slots()).map(|i| (i as f64 * 0.1).sin()).collect();
    let (level, scale) = (params.max_level(), 2f64.powi(params.log_scale() as i32));
    let ct = client.encrypt(&values, level, scale).expect("encryption");
    let fill = |i: usize, slots: &mut [f64]| slots.iter_mut().zip(&values).for_each(|(s, v)| *s = v / (i + 1) as f64);
    let weights = backend.encode_linear(&plan, level, scale, &fill).expect("encoding");
    let hoisted: Vec<u32> = (1..=HOISTED).collect();
    let inputs = [ct.clone()];
    let (ct, backend) = (black_box(&ct), &backend);
    let mut bench = |name: &str, run: &(dyn Fn() + Sync)| {
        group.bench_function(name, |b| b.iter(|| pool.install(run)));
    };
    bench("rotation", &|| drop(black_box(backend.rotate(ct, 1))));
    bench("sum_of_7_hoisted_rotations", &|| drop(black_box(backend.rotate_sum(ct, &hoisted))));
    bench("matvec", &|| drop(black_box(backend.linear(&plan, &weights, &inputs))));
    bench("square_relinearise_rescale", &|| drop(black_box(backend.square(ct))));
    bench("encode", &|| drop(black_box(backend.encode(&values, level, scale))));
    bench("encrypt", &|| drop(black_box(client.encrypt(&values, level, scale))));
    bench("decrypt", &|| drop(black_box(client.decrypt(ct))));
    group.finish();
}

fn primitives(c: &mut Criterion) {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if cores == 1 { vec![1] } else { vec![1, cores] };
    let pool = |threads: usize| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    for pool in threads.into_iter().map(|t| pool(t).expect("threads")) {
        Chain::REFERENCE.iter().for_each(|reference| chain(c, reference, &pool));
    }
}

criterion_group!(benches, primitives);
criterion_main!(benches);
