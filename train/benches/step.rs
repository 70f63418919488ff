//! Images per second of training steps (forward, backward, update) at batch 64.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

mod networks;

/// A step allocates and frees megabytes per layer; the system's allocator returns them to the kernel each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("training-step");
    let images = Throughput::Elements(networks::BATCH as u64);
    group.sample_size(10).throughput(images).measurement_time(Duration::from_secs(10));
    for (name, graph, per_run) in networks::all() {
        group.bench_function(name, |b| {
            b.iter_custom(|iterations| {
                let runs = iterations.div_ceil(per_run as u64);
                let total: Duration = (0..runs).map(|_| networks::time(&graph, per_run)).sum();
                total.mul_f64(iterations as f64 / (runs * per_run as u64) as f64)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
