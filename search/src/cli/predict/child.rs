//! One network in a process of its own, whose largest memory is then the network's.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPool;
use striae_cost_model::{Calibration, HeProgram, Lowerer, MemoryEstimate, PlanOptions, Security, StepKind, estimate};
use striae_he_eval::bench::Spread;
use striae_he_eval::{Inference, RnsBackend, Seed, Session};
use striae_search::prediction::{NetworkRow, Run, StepRow, Subject};
use striae_spaces::{TypedGraph, WeightStore};
use striae_train::fold;

use super::super::bench_memory;
use super::super::calibration::CalibrationArgs;
use super::super::failure::Failure;

/// Images that are timed on each number of threads, at least and at most, after one that fills caches and buffers.
const LEAST_IMAGES: usize = 8;
const MOST_IMAGES: usize = 40;
/// Seconds after which no more than the least are run.
const SECONDS: f64 = 4.0;
/// Images that take less run once untimed before each that is timed: what they read is then in the caches of these threads.
const SMALL: Duration = Duration::from_millis(100);

/// The row of a network, or why there is none.
pub(super) fn spawn(
    subject: &Subject,
    calibration: &CalibrationArgs,
    threads: usize,
) -> Result<Result<NetworkRow, String>, Failure> {
    let program = std::env::current_exe().map_err(Failure::unexpected)?;
    let subject = serde_json::to_string(subject).map_err(Failure::unexpected)?;
    let mut child = Command::new(program);
    child.args(["predict", "--one", &subject, "--threads", &threads.to_string(), "--quiet"]);
    if let Some(path) = &calibration.calibration {
        child.arg("--calibration").arg(path);
    }
    let done =
        child.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().and_then(std::process::Child::wait_with_output);
    let done = done.map_err(Failure::unexpected)?;
    let failed = |e| format!("the run ended with {} and no result ({e})", done.status);
    Ok(serde_json::from_slice(&done.stdout).map_err(failed))
}

/// Runs a network in this process, which is its own.
pub(super) fn measure(subject: &Subject, calibration: &Calibration, threads: usize) -> Result<NetworkRow, Failure> {
    let named = |e: Failure| e.named(&subject.label);
    let graph: TypedGraph = subject.notation.parse()?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (graph, weights) = fold(&graph, &WeightStore::random(&graph, &mut rng))?;
    let options = PlanOptions { params: Some(subject.params.parse()?), ..PlanOptions::default() };
    let plan = Lowerer::new(calibration).plan(&graph, &options).map_err(|e| named(e.into()))?;
    let program = Arc::new(plan.program.clone());
    let pools = pools(threads)?;
    let Some(widest) = pools.last() else { return Err(Failure::unexpected("no threads")) };
    let session: Session<RnsBackend> = widest
        .install(|| Session::new(&plan.params, Arc::clone(&program), &graph, &weights, Seed::Entropy))
        .map_err(|e| named(e.into()))?;
    let image: Vec<f32> = (0..graph.input_shape().len()).map(|_| rng.random_range(-1.0..1.0)).collect();
    // Before anything but the network takes memory.
    for pool in &pools {
        pool.install(|| session.infer(&image))?;
    }
    let peak_bytes = bench_memory::peak();
    let inferences = infer(&session, &pools, &image)?;
    let counts = program.counts();
    let counts_equal = inferences.iter().flatten().all(|inference| inference.counts == counts);
    let runs = pools.iter().zip(&inferences).map(|(pool, inferences)| {
        let threads = pool.current_num_threads();
        let predicted = estimate(&program, &plan.params, &calibration.clone().on_threads(threads));
        let latencies = inferences.iter().map(|i| i.latency.as_secs_f64()).collect();
        let untimed = || Failure::unexpected("no image was timed");
        let measured = Spread::of(latencies).ok_or_else(untimed)?;
        let step = |i: usize| {
            let times = inferences.iter().map(|inference| inference.steps[i].time.as_secs_f64()).collect();
            Ok(StepRow {
                name: step_name(&program, i),
                level: program.output_of(i).level,
                predicted: predicted.steps[i].latency.0,
                measured: Spread::of(times).ok_or_else(untimed)?,
            })
        };
        Ok(Run {
            threads,
            predicted: predicted.latency.0,
            interval: [predicted.interval.0.0, predicted.interval.1.0],
            measured,
            steps: (0..program.steps.len()).map(step).collect::<Result<_, Failure>>()?,
        })
    });
    Ok(NetworkRow {
        subject: subject.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        calibration: String::new(),
        secure: plan.params.security() == Security::Bits128,
        log_n: plan.params.log_n(),
        levels: program.depth(),
        counts_equal,
        peak_bytes,
        predicted_bytes: MemoryEstimate::on_threads(&program, &plan.params, threads).total().0,
        runs: runs.collect::<Result<_, Failure>>()?,
    })
}

/// One thread, and all.
fn pools(threads: usize) -> Result<Vec<ThreadPool>, Failure> {
    let counts = if threads == 1 { vec![1] } else { vec![1, threads] };
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().map_err(Failure::unexpected);
    counts.into_iter().map(pool).collect()
}

/// Timed inferences by number of threads, in turn, so that a machine that slows down slows all of them.
fn infer(session: &Session<RnsBackend>, pools: &[ThreadPool], image: &[f32]) -> Result<Vec<Vec<Inference>>, Failure> {
    let mut found: Vec<Vec<Inference>> = pools.iter().map(|_| Vec::new()).collect();
    let started = Instant::now();
    for round in 0..MOST_IMAGES {
        if round >= LEAST_IMAGES && started.elapsed().as_secs_f64() > SECONDS {
            break;
        }
        for (pool, found) in pools.iter().zip(&mut found) {
            if found.last().is_some_and(|last| last.latency < SMALL) {
                pool.install(|| session.infer(image))?;
            }
            found.push(pool.install(|| session.infer(image))?);
        }
    }
    Ok(found)
}

/// What a step does and for which node.
fn step_name(program: &HeProgram, step: usize) -> String {
    let kind = match &program.steps[step].kind {
        StepKind::Linear(_) => "linear",
        StepKind::Square { .. } => "square",
        StepKind::WindowSum { .. } => "window",
    };
    format!("{kind} {}", program.steps[step].node)
}
