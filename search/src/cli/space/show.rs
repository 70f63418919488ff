//! `striae space show`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use striae_reports::export;
use striae_reports::format::count;
use striae_reports::plot::{Figure, png, svg};
use striae_reports::table::{Side, Table};
use striae_reports::view::HistogramView;
use striae_spaces::space::{self, StriaSpace};
use striae_spaces::{TypedGraph, zoo};

use super::super::arch::read_text;
use super::super::calibration::CalibrationArgs;
use super::super::failure::Failure;
use super::super::output::Output;
use super::analysis::Analysis;
use super::{load, network_json, space_json};

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// Network of the zoo, built-in space, or TOML file of a space
    name: String,
    /// Print the space as TOML, as the start of one's own
    #[arg(long)]
    toml: bool,
    /// Draw the latencies of its networks into an .svg or .png file
    #[arg(long, value_name = "FILE", conflicts_with = "toml")]
    out: Option<PathBuf>,
    /// Random networks that costs and sensitivities are taken from, where there are too many to take all
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    samples: u32,
    /// Seed of those; the same seed gives the same figures
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    calibration: CalibrationArgs,
}

/// Runs `striae space show`. A name may be that of a network and of a space; then both are shown.
pub(super) fn run(args: &ShowArgs, threads: usize, output: Output) -> Result<(), Failure> {
    let (name, toml) = (args.name.as_str(), args.toml);
    let picture = args.out.as_deref().map(Picture::named).transpose()?;
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
    if picture.is_some() && space.is_none() {
        return Err(Failure::bad_input(format!("--out: {name} is a network, not a space"), "leave out --out"));
    }
    let analysis = match &space {
        Some(space) => {
            let chosen = args.calibration.load(output)?;
            Some(Analysis::new(space, chosen, args.samples, args.seed, threads)?)
        }
        None => None,
    };
    if let (Some(picture), Some(analysis)) = (picture, &analysis) {
        picture.write(&analysis.histogram())?;
    }
    if output.json {
        let network = network.map(|network| network_json(name, &network));
        let space = space.as_ref().zip(analysis.as_ref()).map(|(space, analysis)| {
            let mut json = space_json(space);
            json["analysis"] = analysis.json();
            json
        });
        return output.value(&json!({ "network": network, "space": space }));
    }
    if let Some(network) = &network {
        show_network(name, network, output)?;
    }
    if let (Some(space), Some(analysis)) = (&space, &analysis) {
        show_parameters(space, output)?;
        analysis.print(output)?;
    }
    Ok(())
}

/// A file to draw into.
#[derive(Clone, Copy)]
struct Picture<'p> {
    path: &'p Path,
    svg: bool,
}

impl<'p> Picture<'p> {
    fn named(path: &'p Path) -> Result<Self, Failure> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("svg") => Ok(Self { path, svg: true }),
            Some("png") => Ok(Self { path, svg: false }),
            _ => {
                let message = format!("--out {}: is neither an .svg nor a .png file", path.display());
                Err(Failure::bad_input(message, "name a file that ends in .svg or .png"))
            }
        }
    }

    fn write(self, view: &HistogramView) -> Result<(), Failure> {
        let figure = Figure::Histogram(view);
        let bytes = if self.svg { svg(figure)?.into_bytes() } else { png(figure)? };
        Ok(export::write(self.path, &bytes)?)
    }
}

fn show_parameters(space: &StriaSpace, output: Output) -> Result<(), Failure> {
    let mut table = Table::new([("parameter", Side::Left), ("choices", Side::Left)]);
    for parameter in space.parameters() {
        let choices: Vec<String> = parameter.choices.iter().map(ToString::to_string).collect();
        table.push([parameter.name.clone().into(), choices.join(", ").into()]);
    }
    output.line(format_args!("space {}", space.name()))?;
    output.table(&table)
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
