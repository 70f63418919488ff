//! `striae space`: the networks and search spaces that come with Striae, and what a space holds.

mod analysis;
mod enumerate;
mod front;
mod list;
mod show;

use std::path::Path;

use clap::{Args, Subcommand};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use striae_reports::format::count;
use striae_spaces::space::{self, Genotype, StriaSpace};
use striae_spaces::{TypedGraph, zoo};

use super::arch::read_text;
use super::exit::Exit;
use super::failure::{Failure, Outcome};
use super::output::Output;

#[derive(Args, Debug)]
pub(crate) struct SpaceArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the networks of the zoo and the built-in spaces
    List,
    /// Show one network or space: of a space its size, what its networks cost, and what that depends on
    Show(show::ShowArgs),
    /// Estimate every network of a space; gives those of which none is both faster and larger
    Enumerate(enumerate::EnumerateArgs),
    /// Draw networks from a space, one per line in notation
    Sample {
        /// Built-in space, or TOML file of a space
        name: String,
        /// How many
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        count: u32,
        /// Seed; the same seed draws the same networks
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
}

/// Runs `striae space` on up to `threads` threads.
pub(crate) fn run(args: &SpaceArgs, threads: usize, output: Output) -> Outcome {
    match &args.action {
        Action::List => list::run(output)?,
        Action::Show(args) => show::run(args, threads, output)?,
        Action::Enumerate(args) => return enumerate::run(args, threads, output),
        Action::Sample { name, count, seed } => sample(name, *count, *seed, output)?,
    }
    Ok(Exit::Success)
}

/// A space by name, or by file if `name` looks like one.
pub(crate) fn load(name: &str) -> Result<StriaSpace, Failure> {
    let path = Path::new(name);
    let is_file = path.extension().is_some_and(|e| e == "toml") || path.components().count() > 1;
    if is_file { load_file(path) } else { Ok(space::builtin(name)?) }
}

/// A space's TOML file.
pub(crate) fn load_file(path: &Path) -> Result<StriaSpace, Failure> {
    StriaSpace::from_toml(&read_text(path)?).map_err(|e| Failure::from(e).in_file(path))
}

fn sample(name: &str, count: u32, seed: u64, output: Output) -> Result<(), Failure> {
    let space = load(name)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = Vec::new();
    for _ in 0..count {
        let genotype = space.sample(&mut rng);
        let network = space.build(&genotype)?;
        if output.json {
            drawn.push(genotype_json(&space, &genotype, &network));
        } else {
            output.line(&network)?;
        }
    }
    if output.json { output.value(&drawn) } else { Ok(()) }
}

/// A network of a space, as JSON says it.
fn genotype_json(space: &StriaSpace, genotype: &Genotype, network: &TypedGraph) -> serde_json::Value {
    let choices = space.to_params(genotype).into_iter();
    let parameters: serde_json::Map<_, _> = choices.map(|(name, choice)| (name, choice.into())).collect();
    json!({ "arch_id": network.arch_id(), "notation": network.to_string(), "parameters": parameters })
}

/// The size in words where it is too long to read.
fn size(space: &StriaSpace) -> String {
    match u64::try_from(space.size()) {
        Ok(size) if size < 1_000_000_000 => count(size),
        _ => format!("{:.1e}", space.size() as f64),
    }
}

/// A count that may be larger than a `u64`.
fn large(n: u128) -> String {
    u64::try_from(n).map_or_else(|_| format!("{:.1e}", n as f64), count)
}

fn network_json(name: &str, net: &TypedGraph) -> serde_json::Value {
    json!({
        "name": name,
        "source": zoo::source(name),
        "arch_id": net.arch_id(),
        "input": net.input_shape().to_string(),
        "parameters": net.parameters(),
        "macs": net.macs(),
        "levels": net.levels(),
        "notation": net.to_string(),
    })
}

fn space_json(space: &StriaSpace) -> serde_json::Value {
    let parameters: Vec<_> =
        space.parameters().iter().map(|p| json!({ "name": p.name, "choices": p.choices })).collect();
    json!({
        "name": space.name(),
        "input": space.literal().input,
        "classes": space.literal().classes,
        "slots": space.literal().slots,
        "size": space.size().to_string(),
        "bounds": space.literal().bounds,
        "parameters": parameters,
    })
}
