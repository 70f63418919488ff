//! `striae space`: the networks and search spaces that come with Striae, and samples of a space.

use std::path::Path;

use clap::{Args, Subcommand};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use striae_reports::format::count;
use striae_reports::table::{Side, Table};
use striae_spaces::space::{self, StriaSpace};
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
    /// Show one network or space
    Show {
        /// Network of the zoo, built-in space, or TOML file of a space
        name: String,
        /// Print the space as TOML, as the start of one's own
        #[arg(long)]
        toml: bool,
    },
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

/// Runs `striae space`.
pub(crate) fn run(args: &SpaceArgs, output: Output) -> Outcome {
    match &args.action {
        Action::List => list(output)?,
        Action::Show { name, toml } => show(name, *toml, output)?,
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

fn list(output: Output) -> Result<(), Failure> {
    let networks: Vec<(&str, TypedGraph)> =
        zoo::names().into_iter().map(|n| Ok((n, zoo::build(n)?))).collect::<Result<_, Failure>>()?;
    let spaces: Vec<StriaSpace> = space::builtin_names().into_iter().map(space::builtin).collect::<Result<_, _>>()?;
    if output.json {
        let networks: Vec<_> = networks.iter().map(|(name, net)| network_json(name, net)).collect();
        let spaces: Vec<_> = spaces.iter().map(space_json).collect();
        return output.value(&json!({ "networks": networks, "spaces": spaces }));
    }
    let mut table = Table::new([
        ("network", Side::Left),
        ("input", Side::Left),
        ("weights", Side::Right),
        ("MACs", Side::Right),
        ("levels", Side::Right),
        ("source", Side::Left),
    ]);
    for (name, net) in &networks {
        let source = zoo::source(name).unwrap_or_default();
        table.push([
            (*name).into(),
            net.input_shape().to_string().into(),
            count(net.parameters()).into(),
            count(net.macs()).into(),
            net.levels().to_string().into(),
            source.into(),
        ]);
    }
    output.table(&table)?;
    let headings = ["networks", "levels", "taps", "ext. rotations", "ciphertexts"].map(|h| (h, Side::Right));
    let mut table =
        Table::new([("space", Side::Left), ("input", Side::Left), ("slots", Side::Right)].into_iter().chain(headings));
    for space in &spaces {
        let (literal, bounds) = (space.literal(), space.literal().bounds);
        let at_most = |n: usize| format!("<= {n}").into();
        table.push([
            space.name().into(),
            literal.input.map(|n| n.to_string()).join("x").into(),
            literal.slots.to_string().into(),
            size(space).into(),
            at_most(bounds.max_levels),
            at_most(bounds.max_taps),
            at_most(bounds.max_external_rotations),
            at_most(bounds.max_ciphertexts),
        ]);
    }
    output.table(&table)
}

/// A name may be that of a network and of a space; then both are shown.
fn show(name: &str, toml: bool, output: Output) -> Result<(), Failure> {
    let network = if zoo::names().contains(&name) { Some(zoo::build(name)?) } else { None };
    let space = match load(name) {
        Ok(space) => Some(space),
        Err(_) if network.is_some() && !toml => None,
        Err(e) if name.contains(['.', '/']) => return Err(e),
        Err(_) => {
            let (networks, spaces) = (zoo::names().join(", "), space::builtin_names().join(", "));
            let what = if toml { "space" } else { "network or space" };
            let message = format!("unknown {what} `{name}`; the zoo holds {networks}; built-in spaces are {spaces}");
            return Err(Failure::bad_input(message, "see `striae space list`"));
        }
    };
    if toml {
        let text = match space::builtin_toml(name) {
            Some(text) => text.to_owned(),
            None => read_text(Path::new(name))?,
        };
        return output.line(text.trim_end());
    }
    if output.json {
        let network = network.map(|network| network_json(name, &network));
        return output.value(&json!({ "network": network, "space": space.as_ref().map(space_json) }));
    }
    if let Some(network) = &network {
        show_network(name, network, output)?;
    }
    space.as_ref().map_or(Ok(()), |space| show_space(space, output))
}

fn show_space(space: &StriaSpace, output: Output) -> Result<(), Failure> {
    let mut table = Table::new([("parameter", Side::Left), ("choices", Side::Left)]);
    for parameter in space.parameters() {
        let choices: Vec<String> = parameter.choices.iter().map(ToString::to_string).collect();
        table.push([parameter.name.clone().into(), choices.join(", ").into()]);
    }
    output.line(format_args!("space {}", space.name()))?;
    output.table(&table)?;
    let bounds = space.literal().bounds;
    output.line(format_args!(
        "{} combinations; at most {} levels, {} taps, {} external rotations, {} ciphertexts",
        size(space),
        bounds.max_levels,
        bounds.max_taps,
        bounds.max_external_rotations,
        bounds.max_ciphertexts
    ))
}

fn show_network(name: &str, net: &TypedGraph, output: Output) -> Result<(), Failure> {
    let mut table = Table::new([
        ("node", Side::Left),
        ("operation", Side::Left),
        ("shape", Side::Left),
        ("weights", Side::Right),
        ("MACs", Side::Right),
    ]);
    for id in net.ids() {
        let node = net.node(id);
        let op = match *node.inputs.as_slice() {
            [a, b] => format!("{}({a},{b})", node.op),
            [input] if input.0 + 1 != id.0 => format!("{}@{input}", node.op),
            _ => node.op.to_string(),
        };
        table.push([
            id.to_string().into(),
            op.into(),
            node.shape.to_string().into(),
            count(net.node_parameters(id)).into(),
            count(net.node_macs(id)).into(),
        ]);
    }
    let total = ["total".into(), "".into(), "".into(), count(net.parameters()).into(), count(net.macs()).into()];
    table.push_strong(total);
    output.line(format_args!("network {name}: {}", zoo::source(name).unwrap_or_default()))?;
    output.table(&table)?;
    output.line(net)
}

fn sample(name: &str, count: u32, seed: u64, output: Output) -> Result<(), Failure> {
    let space = load(name)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = Vec::new();
    for _ in 0..count {
        let genotype = space.sample(&mut rng);
        let network = space.build(&genotype)?;
        if output.json {
            let parameters: serde_json::Map<_, _> = space
                .to_params(&genotype)
                .into_iter()
                .map(|(name, choice)| (name, serde_json::Value::from(choice)))
                .collect();
            let notation = network.to_string();
            drawn.push(json!({ "arch_id": network.arch_id(), "notation": notation, "parameters": parameters }));
        } else {
            output.line(&network)?;
        }
    }
    if output.json { output.value(&drawn) } else { Ok(()) }
}

/// The size in words where it is too long to read.
fn size(space: &StriaSpace) -> String {
    match u64::try_from(space.size()) {
        Ok(size) if size < 1_000_000_000 => count(size),
        _ => format!("{:.1e}", space.size() as f64),
    }
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
