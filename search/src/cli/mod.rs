//! The command line: arguments, one file per command, and how each ends.

mod advise;
mod arch;
mod bench;
mod bench_memory;
mod bench_network;
mod bench_report;
mod bench_table;
mod bundle;
mod calibrate;
mod calibrate_places;
mod calibration;
mod cost;
mod demo;
pub(crate) mod exit;
mod explain;
mod export;
mod failure;
mod finished;
mod interrupt;
mod library_errors;
mod memory;
mod output;
mod parameters;
mod predict;
mod progress;
mod proxies;
mod prune;
mod report;
mod roles;
mod search;
mod space;
mod study_files;
mod train;
mod usage;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use exit::Exit;
use failure::{Failure, Outcome};
use output::{Output, say};

/// Searches for neural networks that are fast under homomorphic encryption
#[derive(Debug, Parser)]
#[command(name = "striae", version, about, after_help = Exit::HELP, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Args, Clone, Copy, Debug)]
struct Global {
    /// Print results as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Print neither progress nor remarks
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Log to stderr; twice for more
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Threads to use; all cores if absent
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole main job on generated digits: minutes, no download
    Demo(demo::DemoArgs),
    /// Networks and spaces that come with Striae
    Space(space::SpaceArgs),
    /// Per-layer operations, levels, memory and latency of a network
    Cost(cost::CostArgs),
    /// The parameters a network needs at 128, 192 and 256 bits of security, and what would change them
    Advise(advise::AdviseArgs),
    /// Measure the encrypted backend on this machine
    Calibrate(calibrate::CalibrateArgs),
    /// Time the encrypted backend against its lower bounds, and whole networks
    Bench(bench::BenchArgs),
    /// What estimates are worth: networks held out from any fit, predicted against measured
    Predict(predict::PredictArgs),
    /// Train one network
    Train(train::TrainArgs),
    /// Take rotations and multiplications from a trained network, above a bound on its accuracy
    Prune(prune::PruneArgs),
    /// What proxies are worth: how they rank networks, against training them
    Proxies(proxies::ProxiesArgs),
    /// Run a study, or go on with it
    Search(search::SearchArgs),
    /// Run trained networks encrypted, against the clear and the prediction
    Verify(verify::VerifyArgs),
    /// Plots, tables and HTML page of a study
    Report(report::ReportArgs),
    /// Write a trained network as a bundle
    Export(export::ExportArgs),
    /// Client: make a secret key, and the keys a server needs for a bundle
    Keygen(roles::KeygenArgs),
    /// Client: encrypt an image
    Encrypt(roles::EncryptArgs),
    /// Server: run a bundle on an encrypted image, without any secret
    Infer(roles::InferArgs),
    /// Client: decrypt a result
    Decrypt(roles::DecryptArgs),
}

/// Reads the arguments and runs the command.
pub(crate) fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let outcome = match Cli::try_parse_from(args) {
        Ok(cli) => run(cli),
        Err(e) => usage::report(&e),
    };
    let exit = outcome.unwrap_or_else(|failure| {
        let Failure { exit, message, hint } = failure;
        say(&format_args!("error: {message}"));
        if let Some(hint) = hint {
            say(&format_args!("\nhint: {hint}"));
        }
        exit
    });
    exit.into()
}

fn run(cli: Cli) -> Outcome {
    let Global { json, quiet, verbose, threads } = cli.global;
    log(verbose);
    if let Some(threads) = threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads.into())
            .build_global()
            .map_err(|e| Failure::unexpected(format!("cannot start {threads} threads: {e}")))?;
    }
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let all = threads.map_or_else(cores, usize::from);
    let output = Output { json, quiet };
    match cli.command {
        Command::Demo(args) => demo::run(&args, all, output),
        Command::Space(args) => space::run(&args, all, output),
        // As predictions elsewhere: for one thread unless the user wants otherwise.
        Command::Cost(args) => cost::run(&args, threads.unwrap_or(1).into(), output),
        Command::Advise(args) => advise::run(&args, output),
        Command::Calibrate(args) => calibrate::run(&args, all, output),
        Command::Bench(args) => bench::run(&args, all, output),
        Command::Predict(args) => predict::run(&args, all, output),
        Command::Train(args) => train::run(&args, output),
        Command::Prune(args) => prune::run(&args, output),
        Command::Proxies(args) => proxies::run(&args, all, output),
        Command::Search(args) => search::run(&args, all, output),
        // Predictions are for one thread, so that is what they are compared with unless the user wants otherwise.
        Command::Verify(args) => verify::run(&args, threads.unwrap_or(1).into(), output),
        Command::Report(args) => report::run(&args, output),
        Command::Export(args) => export::run(&args, output),
        Command::Keygen(args) => roles::keygen(&args, output),
        Command::Encrypt(args) => roles::encrypt(&args, output),
        Command::Infer(args) => roles::infer(&args, output),
        Command::Decrypt(args) => roles::decrypt(&args, output),
    }
}

/// Logs to stderr; without `--verbose` only what went wrong.
fn log(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::ERROR,
        1 => tracing::Level::INFO,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    let ansi = output::colours() && std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(ansi).with_max_level(level).init();
}
