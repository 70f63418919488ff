//! `striae bench`: the encrypted backend against its lower bounds, and whole networks.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use rayon::ThreadPool;
use striae_he_eval::bench::{Chain, ChainReport, MeasureEvent, measure_rows};

use super::arch::Arch;
use super::bench_network;
use super::bench_report::{BenchReport, NetworkOutcome};
use super::bench_table;
use super::calibration::CalibrationArgs;
use super::exit::Exit;
use super::failure::{Failure, Outcome};
use super::interrupt::Interrupt;
use super::memory::MemoryArgs;
use super::output::Output;
use super::progress::Progress;

/// Networks that are run where none is named: SpENCNN's, grouped and dense, and ours.
const NETWORKS: [&str; 10] = [
    "lenet-like-g8",
    "lenet-like-g32",
    "hefnet-g8",
    "vgg5-g8",
    "strianet-mnist",
    "strianet-cifar10-exrot-free",
    "strianet-cifar10",
    "lenet-like",
    "hefnet",
    "vgg5",
];

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// The rows of the reference table: rotations, matrix-vector products, squares and more; without this and --networks both
    #[arg(long)]
    rows: bool,
    /// Whole networks with random weights, each in a process of its own; any ARCH, or the usual ones if none is named
    #[arg(long, value_name = "ARCH", num_args = 0..)]
    networks: Option<Vec<String>>,
    /// Ring degrees of the rows, as log2
    #[arg(long, value_name = "LOG_N", value_delimiter = ',', default_values_t = [13, 14, 15, 16],
          value_parser = clap::value_parser!(u32).range(13..=16))]
    log_n: Vec<u32>,
    /// Rounds whose median is taken for each row
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Images per network
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) images: u32,
    /// Earlier output of `striae bench --json` to compare with
    #[arg(long, value_name = "OLD.json")]
    against: Option<PathBuf>,
    /// Run this network in this process and print its outcome as JSON; what --networks starts for each
    #[arg(long, value_name = "ARCH", hide = true, conflicts_with_all = ["rows", "networks", "against"])]
    one: Option<String>,
    #[command(flatten)]
    pub(crate) calibration: CalibrationArgs,
    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
}

/// Runs `striae bench`.
pub(crate) fn run(args: &BenchArgs, threads: usize, output: Output) -> Outcome {
    let interrupt = Interrupt::listen()?;
    let pools = pools(threads)?;
    if let Some(name) = &args.one {
        output.value(&bench_network::measure(name, args, &pools, &interrupt, output)?)?;
        return Ok(if interrupt.requested() { Exit::Interrupted } else { Exit::Success });
    }
    let old = args.against.as_deref().map(BenchReport::load).transpose()?;
    let both = !args.rows && args.networks.is_none();
    let networks = networks(args, both)?;
    // Says once where predictions come from; the processes of the networks keep quiet about it.
    if !networks.is_empty() {
        args.calibration.load(output)?;
    }
    let mut report = BenchReport::new(threads);
    if args.rows || both {
        report.rows = rows(args, &pools, &interrupt, output)?;
    }
    drop(pools);
    for (i, name) in networks.iter().enumerate() {
        if interrupt.requested() {
            break;
        }
        output.note(format_args!("network {} of {}: {name}", i + 1, networks.len()));
        let outcome = bench_network::spawn(name, args, threads, output)?;
        if let NetworkOutcome::Skipped { name, reason } = &outcome {
            output.note(format_args!("{name}: skipped, {reason}"));
        }
        report.networks.push(outcome);
    }
    if let Some(old) = &old {
        report.against = bench_table::ratios(&report, old);
    }
    print(&report, old.as_ref(), output)?;
    Ok(if interrupt.requested() { Exit::Interrupted } else { Exit::Success })
}

/// One thread, and all.
fn pools(threads: usize) -> Result<Vec<ThreadPool>, Failure> {
    let counts = if threads == 1 { vec![1] } else { vec![1, threads] };
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().map_err(Failure::unexpected);
    counts.into_iter().map(pool).collect()
}

/// The networks to run; names are checked before anything is measured.
fn networks(args: &BenchArgs, both: bool) -> Result<Vec<String>, Failure> {
    let usual = || NETWORKS.map(str::to_owned).to_vec();
    let names = match &args.networks {
        Some(names) if names.is_empty() => usual(),
        Some(names) => names.clone(),
        None if both => usual(),
        None => Vec::new(),
    };
    names.iter().try_for_each(|name| Arch::resolve(name).map(drop))?;
    Ok(names)
}

fn rows(
    args: &BenchArgs,
    pools: &[ThreadPool],
    interrupt: &Interrupt,
    output: Output,
) -> Result<Vec<ChainReport>, Failure> {
    let chains: Vec<Chain> = Chain::REFERENCE.into_iter().filter(|c| args.log_n.contains(&c.log_n)).collect();
    let total: f64 = chains.iter().map(weight).sum();
    let mut progress = Progress::new(output, 1000);
    let (started, mut done, mut reports) = (Instant::now(), 0.0, Vec::new());
    for chain in &chains {
        let params = chain.params()?;
        let what = format!("N = 2^{}, {} limbs", chain.log_n, chain.levels + 1);
        let report = measure_rows(chain, &params, pools, args.rounds, &mut |event| {
            let share = match event {
                MeasureEvent::Ready => 0.0,
                MeasureEvent::Round { done, total } => f64::from(done) / f64::from(total),
            };
            let share = (done + share * weight(chain)) / total;
            let left = (share > 0.01).then(|| started.elapsed().mul_f64(1.0 / share - 1.0));
            progress.set((share * 1000.0) as u64, left, &what);
            if interrupt.requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        reports.extend(report);
        done += weight(chain);
        if interrupt.requested() {
            break;
        }
    }
    Ok(reports)
}

/// Time that a chain takes, in arbitrary units: the matrix-vector product dominates.
fn weight(chain: &Chain) -> f64 {
    let limbs = (chain.levels + 1 + chain.special) as f64;
    limbs * limbs * f64::from(1u32 << chain.log_n)
}

fn print(report: &BenchReport, old: Option<&BenchReport>, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.value(report);
    }
    let machine = &report.machine;
    output.line(format_args!("{}, {}, {} cores, {}", machine.cpu, machine.features, machine.cores, report.date))?;
    if !report.rows.is_empty() {
        output.table(&bench_table::rows(&report.rows))?;
        bench_table::units(&report.rows).into_iter().try_for_each(|line| output.line(line))?;
    }
    if !report.networks.is_empty() {
        output.table(&bench_table::networks(&report.networks))?;
    }
    for outcome in &report.networks {
        if let NetworkOutcome::Skipped { name, reason } = outcome {
            output.line(format_args!("{name}: skipped, {reason}"))?;
        }
    }
    match old {
        Some(old) => {
            output.line(format_args!("against {} of {}", old.machine.cpu, old.date))?;
            output.table(&bench_table::against(&report.against))
        }
        None => Ok(()),
    }
}
