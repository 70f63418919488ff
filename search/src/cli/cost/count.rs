//! `striae cost --count`: the operations of a network of any depth, without parameters or times.

use serde::Serialize;
use striae_cost_model::{HeProgram, LowerOptions, Lowerer, OpCounts, RotationKinds};
use striae_reports::format::count;
use striae_reports::view::LayerView;
use striae_search::view;
use striae_spaces::TypedGraph;

use super::super::exit::Exit;
use super::ckks_table::counted_layers;
use super::{Arch, CostArgs, Failure, Outcome, Output};

/// Reads a number of slots.
pub(super) fn slots(text: &str) -> Result<usize, String> {
    let slots = text.parse().ok().filter(|slots: &usize| slots.is_power_of_two() && (9..=16).contains(&slots.ilog2()));
    slots.ok_or_else(|| "expected a power of two from 512 to 65536".to_owned())
}

/// Counts `arch` in ciphertexts of `slots` slots.
pub(super) fn run(args: &CostArgs, slots: usize, arch: &Arch, output: Output) -> Outcome {
    let options = args.plan.lowering()?;
    let chosen = args.calibration.load(output)?;
    let program = Lowerer::new(&chosen.calibration)
        .count(&arch.graph, slots, &options)
        .map_err(|e| Failure::from(e).named(&arch.label))?;
    let counted = Counted::new(&arch.label, &arch.graph, &program, slots, &options);
    if output.json {
        output.value(&counted)?;
    } else {
        counted.print(&program, output)?;
    }
    Ok(Exit::Success)
}

/// A network that is counted only.
#[derive(Serialize)]
struct Counted<'a> {
    label: &'a str,
    arch_id: String,
    slots: usize,
    packing: String,
    batch: usize,
    levels: usize,
    rotations: RotationKinds,
    counts: OpCounts,
    layers: Vec<LayerView>,
}

impl<'a> Counted<'a> {
    fn new(label: &'a str, graph: &TypedGraph, program: &HeProgram, slots: usize, options: &LowerOptions) -> Self {
        let layers = (0..program.steps.len()).map(|step| view::counted(graph, program, step)).collect();
        Self {
            label,
            arch_id: graph.arch_id().to_string(),
            slots,
            packing: options.packing.to_string(),
            batch: options.batch,
            levels: program.depth(),
            rotations: program.rotation_kinds(),
            counts: program.counts(),
            layers,
        }
    }

    fn print(&self, program: &HeProgram, output: Output) -> Result<(), Failure> {
        output.line(format_args!("{} ({})", self.label, self.arch_id))?;
        output.table(&counted_layers(&self.layers, program))?;
        let images = if self.batch > 1 { format!(", {} images", self.batch) } else { String::new() };
        output.line(format_args!("packing     {} in {} slots{images}", self.packing, count(self.slots as u64)))?;
        output.line(format_args!("levels      {}; bootstrappings are not counted", self.levels))?;
        let OpCounts { hoists, rotations_hoisted, giant_steps, rotations_full, plain_mults, squares, .. } = self.counts;
        output.line(format_args!(
            "operations  {} rotations ({} hoisted in {} decompositions, {} giant steps, {} full), {} products, {} squares",
            count(self.counts.rotations()),
            count(rotations_hoisted),
            count(hoists),
            count(giant_steps),
            count(rotations_full),
            count(plain_mults),
            count(squares)
        ))
    }
}
