//! `striae cost`: what networks cost, layer by layer and side by side.

mod against;
mod batch;
mod ckks;
mod ckks_json;
mod ckks_table;
mod count;
mod hybrid;
mod hybrid_json;
mod hybrid_table;
mod plan_args;

use clap::{Args, ValueEnum};
use striae_cost_model::hybrid::{NetworkLink, Protocol};

use super::arch::Arch;
use super::calibration::CalibrationArgs;
use super::failure::{Failure, Outcome};
use super::output::Output;
use against::Other;
use plan_args::PlanArgs;

#[derive(Args, Debug)]
pub(crate) struct CostArgs {
    /// Network: a name of the zoo, the notation, or a .json or .txt file
    arch: String,
    /// Other networks to set beside it, separated by commas, at its image size and classes; `plain` for the same with every
    /// StriaBlock a dense k x k convolution
    #[arg(long, value_name = "ARCH")]
    against: Vec<String>,
    /// Who computes what: ckks (the server alone), or homomorphic linear layers with two-party activations
    #[arg(long, default_value = "ckks")]
    protocol: ProtocolName,
    /// Network of a hybrid protocol: lan (384 MB/s, 0.3 ms) or wan (44 MB/s, 40 ms); both if absent
    #[arg(long, value_name = "LINK")]
    network: Option<LinkName>,
    /// Show what each layer needs and which single change would save most
    #[arg(long)]
    explain: bool,
    /// Only count operations, in ciphertexts of so many slots: for networks of any depth
    #[arg(
        long,
        value_name = "SLOTS",
        value_parser = count::slots,
        conflicts_with_all = ["against", "explain", "params", "security", "min_precision", "max_log_n", "ring", "degree", "network"]
    )]
    count: Option<usize>,
    #[command(flatten)]
    plan: PlanArgs,
    #[command(flatten)]
    calibration: CalibrationArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProtocolName {
    /// The server alone
    Ckks,
    /// SCI's homomorphic convolutions, CrypTFlow2's two-party activations
    #[value(name = "cryptflow2")]
    CrypTFlow2,
    /// Cheetah
    Cheetah,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LinkName {
    /// 384 MB/s, 0.3 ms
    Lan,
    /// 44 MB/s, 40 ms
    Wan,
}

/// Runs `striae cost` for latencies on so many threads.
pub(crate) fn run(args: &CostArgs, threads: usize, output: Output) -> Outcome {
    let protocol = match args.protocol {
        ProtocolName::Ckks => None,
        ProtocolName::CrypTFlow2 => Some(Protocol::CrypTFlow2),
        ProtocolName::Cheetah => Some(Protocol::Cheetah),
    };
    check(args, protocol)?;
    let arch = Arch::resolve(&args.arch)?;
    if let Some(slots) = args.count {
        return count::run(args, slots, &arch, output);
    }
    let others = Other::resolve_all(&args.against, &arch)?;
    let chosen = args.calibration.load(output)?.on_threads(threads, output);
    let Some(protocol) = protocol else { return ckks::run(args, arch, others, &chosen, output) };
    let links = match args.network {
        None => NetworkLink::ALL.to_vec(),
        Some(LinkName::Lan) => vec![NetworkLink::LAN],
        Some(LinkName::Wan) => vec![NetworkLink::WAN],
    };
    let question = hybrid::Question { arch, others, protocol, fusion: args.plan.fusion(), links };
    hybrid::run(question, &chosen, output)
}

/// Refuses options that the protocol has no use for.
fn check(args: &CostArgs, protocol: Option<Protocol>) -> Result<(), Failure> {
    match protocol {
        None if args.network.is_some() => Err(Failure::bad_input(
            "--network: under ckks the server works alone, no network is part of the estimate",
            "name a hybrid protocol: --protocol cryptflow2 or --protocol cheetah",
        )),
        Some(_) if args.count.is_some() => Err(Failure::bad_input(
            "--count: hybrid protocols have slots of their own, and count any depth",
            "leave --count out, or use --protocol ckks",
        )),
        Some(_) if args.explain => Err(Failure::bad_input(
            "--explain: it explains the plans of the ckks protocol",
            "leave --explain out, or use --protocol ckks",
        )),
        Some(protocol) if let Some(flag) = args.plan.first_given() => Err(Failure::bad_input(
            format!("{flag}: {protocol} has parameters and packings of its own"),
            format!("leave {flag} out, or use --protocol ckks"),
        )),
        None | Some(_) => Ok(()),
    }
}
