//! Latency of the evaluator's operations on the chains of design.md's table, one thread.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use striae_cost_model::{CkksParams, CkksParamsLiteral, LinearPlan, Term};
use striae_he_eval::{HeBackend, HeClient, RnsBackend, Seed};

/// Diagonals of the matrix-vector product, and its baby steps.
const DIAGONALS: u32 = 64;
const BABIES: u32 = 8;
/// Rotations that share a decomposition.
const HOISTED: u32 = 8;

struct Chain {
    log_n: u32,
    log_scale: u32,
    levels: usize,
    special: usize,
}

impl Chain {
    fn params(&self) -> CkksParams {
        let mut log_q = vec![self.log_scale; self.levels + 1];
        log_q[0] = 50;
        let log_p = vec![50; self.special];
        let literal = CkksParamsLiteral { log_n: self.log_n, log_q, log_p, log_scale: self.log_scale, insecure: false };
        literal.try_into().expect("the chains are secure")
    }
}

/// 64 dense diagonals by baby-step giant-step.
fn matvec() -> LinearPlan {
    let giants = DIAGONALS / BABIES;
    let term = |k: u32| Term { output: 0, giant: (k / BABIES) as u16, input: 0, baby: (k % BABIES) as u16 };
    LinearPlan {
        inputs: 1,
        outputs: 1,
        babies: vec![(0..BABIES).collect()],
        giants: (0..giants).map(|g| g * BABIES).collect(),
        terms: (0..DIAGONALS).map(term).collect(),
        folds: vec![],
    }
}

fn chain(c: &mut Criterion, chain: &Chain) {
    let params = chain.params();
    let plan = matvec();
    let mut rotations: Vec<u32> = plan.rotations().collect();
    rotations.extend(1..=HOISTED);
    let (client, backend) = RnsBackend::keygen(&params, &rotations, Seed::Fixed(1)).expect("keys");
    let values: Vec<f64> = (0..params.slots()).map(|i| (i as f64 * 0.1).sin()).collect();
    let scale = 2f64.powi(params.log_scale() as i32);
    let level = params.max_level();
    let ct = client.encrypt(&values, level, scale).expect("encryption");
    let fill = |i: usize, slots: &mut [f64]| slots.iter_mut().zip(&values).for_each(|(s, v)| *s = v / (i + 1) as f64);
    let weights = backend.encode_linear(&plan, level, scale, &fill).expect("encoding");

    let mut group = c.benchmark_group(format!("n=2^{}/levels={level}/special={}", chain.log_n, chain.special));
    group.sample_size(20);
    group.bench_function("rotation", |b| b.iter(|| backend.rotate(black_box(&ct), 1)));
    let hoisted: Vec<u32> = (1..=HOISTED).collect();
    group.bench_function("sum_of_8_hoisted_rotations", |b| b.iter(|| backend.rotate_sum(black_box(&ct), &hoisted)));
    let inputs = [ct.clone()];
    group.bench_function("matvec_64_diagonals", |b| b.iter(|| backend.linear(&plan, &weights, black_box(&inputs))));
    group.bench_function("square_relinearise_rescale", |b| b.iter(|| backend.square(black_box(&ct))));
    group.finish();
}

fn primitives(c: &mut Criterion) {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("no pool was built before");
    chain(c, &Chain { log_n: 13, log_scale: 35, levels: 3, special: 1 });
    chain(c, &Chain { log_n: 14, log_scale: 40, levels: 7, special: 2 });
}

criterion_group!(benches, primitives);
criterion_main!(benches);
