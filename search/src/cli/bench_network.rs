//! A network with random weights on encrypted images, in a process of its own: the largest memory of that process is then
//! the network's.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPool;
use striae_cost_model::{Lowerer, Plan, PlanOptions, Security};
use striae_he_eval::bench::Spread;
use striae_he_eval::{RnsBackend, Seed, Session, WeightSpace, reference};
use striae_search::verify::{MemoryLimit, argmax};
use striae_spaces::{TypedGraph, WeightStore};
use striae_train::fold;

use super::arch::Arch;
use super::bench::BenchArgs;
use super::bench_memory::{self, Watch};
use super::bench_report::{NetworkOutcome, NetworkReport, NetworkTime};
use super::failure::Failure;
use super::interrupt::Interrupt;
use super::output::Output;
use super::progress::Progress;

/// Runs the network in a process of its own.
pub(crate) fn spawn(name: &str, args: &BenchArgs, threads: usize, output: Output) -> Result<NetworkOutcome, Failure> {
    let program = std::env::current_exe().map_err(Failure::unexpected)?;
    let mut child = Command::new(program);
    child.args(["bench", "--json", "--one", name, "--images", &args.images.to_string()]);
    child.args(["--threads", &threads.to_string()]);
    if output.quiet {
        child.arg("--quiet");
    }
    if let Some(calibration) = &args.calibration.calibration {
        child.arg("--calibration").arg(calibration);
    }
    args.memory.pass_on(&mut child);
    let done =
        child.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().and_then(std::process::Child::wait_with_output);
    let done = done.map_err(Failure::unexpected)?;
    let skipped = |e| NetworkOutcome::Skipped {
        name: name.to_owned(),
        reason: format!("the run ended with {} and no result ({e})", done.status),
    };
    Ok(serde_json::from_slice(&done.stdout).unwrap_or_else(skipped))
}

/// Runs the network in this process, which is its own.
pub(crate) fn measure(
    name: &str,
    args: &BenchArgs,
    pools: &[ThreadPool],
    interrupt: &Interrupt,
    output: Output,
) -> Result<NetworkOutcome, Failure> {
    let Arch { graph, .. } = Arch::resolve(name)?;
    let chosen = args.calibration.load(Output { quiet: true, ..output })?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (graph, weights) = fold(&graph, &WeightStore::random(&graph, &mut rng))?;
    let plan = Lowerer::new(&chosen.calibration).plan(&graph, &PlanOptions::default());
    let plan = plan.map_err(|e| Failure::from(e).named(name))?;
    let limit = bench_memory::limit(&plan, &args.memory);
    let space = match MemoryLimit::space(limit.as_ref(), &plan.program, &plan.params) {
        Ok(space) => space,
        Err(e) => return Ok(NetworkOutcome::Skipped { name: name.to_owned(), reason: e.to_string() }),
    };
    let run = Run { name, plan, graph, weights, images: args.images as usize };
    run.measure(space, pools, &mut rng, interrupt, output)
}

/// A network that is ready to run.
struct Run<'a> {
    name: &'a str,
    plan: Plan,
    graph: TypedGraph,
    weights: WeightStore,
    images: usize,
}

impl Run<'_> {
    fn measure(
        &self,
        space: WeightSpace,
        pools: &[ThreadPool],
        rng: &mut ChaCha8Rng,
        interrupt: &Interrupt,
        output: Output,
    ) -> Result<NetworkOutcome, Failure> {
        let Some(widest) = pools.last() else { return Err(Failure::unexpected("no threads")) };
        let (name, graph, weights) = (self.name, &self.graph, &self.weights);
        let mut progress = Progress::new(output, 1 + self.images as u64);
        progress.set(0, None, format_args!("{name}: keys and weights"));
        let program = Arc::new(self.plan.program.clone());
        let (params, seed) = (&self.plan.params, Seed::Entropy);
        let watch = Watch::start();
        let session: Session<RnsBackend> =
            widest.install(|| Session::new_in(space, params, program, graph, weights, seed))?;
        let mut found = Found::new(pools.len());
        let started = Instant::now();
        for done in 0..self.images {
            let image: Vec<f32> = (0..graph.input_shape().len()).map(|_| rng.random_range(-1.0..1.0)).collect();
            let clear = reference::logits(graph, weights, &image)?;
            for (place, pool) in pools.iter().enumerate() {
                let inference = pool.install(|| session.infer(&image))?;
                found.times[place].push(inference.latency.as_secs_f64());
                found.compare(&inference.logits, &clear);
            }
            let left = started.elapsed().mul_f64((self.images - done - 1) as f64 / (done + 1) as f64);
            progress.set(done as u64 + 2, Some(left), format_args!("{name}: image {} of {}", done + 1, self.images));
            if interrupt.requested() {
                break;
            }
        }
        Ok(self.outcome(&session, pools, found, watch))
    }

    fn outcome(
        &self,
        session: &Session<RnsBackend>,
        pools: &[ThreadPool],
        found: Found,
        watch: Watch,
    ) -> NetworkOutcome {
        let held = watch.finish();
        let (weight_bytes, weights_held) = session.weight_bytes();
        let streamed = weight_bytes > weights_held;
        let (plan, setup) = (&self.plan, session.setup());
        let name = self.name.to_owned();
        let images = found.times.first().map_or(0, Vec::len);
        let timed = |(pool, times): (&ThreadPool, Vec<f64>)| {
            Some(NetworkTime { threads: pool.current_num_threads(), time: Spread::of(times)? })
        };
        let times: Vec<NetworkTime> = pools.iter().zip(found.times).filter_map(timed).collect();
        NetworkOutcome::Measured(NetworkReport {
            name,
            params: plan.params.to_string(),
            secure: plan.params.security() == Security::Bits128,
            levels: plan.program.depth(),
            predicted: plan.estimate.latency.0,
            interval: [plan.estimate.interval.0.0, plan.estimate.interval.1.0],
            key_seconds: setup.keys.as_secs_f64(),
            encoding_seconds: setup.encoding.as_secs_f64(),
            key_bytes: session.key_bytes() as u64,
            weight_bytes: weight_bytes as u64,
            streamed_bytes: (weight_bytes - weights_held) as u64,
            peak_bytes: if streamed { held } else { bench_memory::peak() },
            estimated_bytes: plan.estimate.memory.total().0,
            images,
            agreeing: found.agreeing / times.len().max(1),
            max_error: found.max_error,
            logit_range: found.high - found.low,
            times,
        })
    }
}

/// What the images gave so far.
struct Found {
    /// By pool.
    times: Vec<Vec<f64>>,
    agreeing: usize,
    max_error: f64,
    low: f64,
    high: f64,
}

impl Found {
    fn new(pools: usize) -> Self {
        Self {
            times: vec![Vec::new(); pools],
            agreeing: 0,
            max_error: 0.0,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
        }
    }

    fn compare(&mut self, encrypted: &[f64], clear: &[f64]) {
        self.agreeing += usize::from(argmax(encrypted) == argmax(clear));
        let errors = encrypted.iter().zip(clear).map(|(e, c)| (e - c).abs());
        self.max_error = errors.fold(self.max_error, f64::max);
        self.low = clear.iter().copied().fold(self.low, f64::min);
        self.high = clear.iter().copied().fold(self.high, f64::max);
    }
}
