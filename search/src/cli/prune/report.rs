//! What pruning has taken: counts before and after, as JSON and as a table.

use std::path::Path;

use serde::Serialize;
use striae_cost_model::{
    CostError, HeProgram, LowerOptions, Lowerer, Packing, Plan, Strategy, StrategyChoice, estimate,
};
use striae_reports::format::percent;
use striae_reports::table::{Side, Table, Value};
use striae_search::prune::{Unit, ungrouped};
use striae_spaces::TypedGraph;
use striae_train::{Evaluation, PruneConfig, PruneRound};

use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// What a lowering costs.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Costs {
    rotations: u64,
    /// With all rotations on the inputs, as SpENCNN counts them.
    rotations_hoisted_on_inputs: u64,
    multiplications: u64,
    latency_ms: f64,
}

/// `pruned.json`, and what `--json` prints.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    pub(super) format: u32,
    pub(super) network: String,
    pub(super) packing: Packing,
    pub(super) unit: Unit,
    pub(super) config: &'a PruneConfig,
    pub(super) blocks: usize,
    pub(super) blocks_left: usize,
    pub(super) rounds: &'a [PruneRound],
    pub(super) validation_accuracy_before: f64,
    pub(super) validation_accuracy: f64,
    pub(super) test: &'a Evaluation,
    /// The network with all convolutions dense.
    pub(super) ungrouped: Option<Costs>,
    pub(super) before: Costs,
    pub(super) after: Costs,
}

/// The costs of a plan, and with all rotations on the inputs.
pub(super) fn costs(lowerer: &mut Lowerer<'_>, graph: &TypedGraph, plan: &Plan) -> Result<Costs, CostError> {
    let strategy = StrategyChoice::Always(Strategy::InputSide);
    let hoisted: HeProgram = lowerer.lower(graph, &plan.params, &LowerOptions { strategy, ..plan.options.clone() })?;
    let counts = plan.program.counts();
    Ok(Costs {
        rotations: counts.rotations(),
        rotations_hoisted_on_inputs: hoisted.counts().rotations(),
        multiplications: counts.plain_mults,
        latency_ms: plan.estimate.latency.0 * 1e3,
    })
}

/// What the network costs with dense convolutions, under the same parameters; nothing where it has no others.
pub(super) fn ungrouped_costs(
    lowerer: &mut Lowerer<'_>,
    graph: &TypedGraph,
    plan: &Plan,
) -> Result<Option<Costs>, Failure> {
    let dense = ungrouped(graph).map_err(Failure::unexpected)?;
    if dense == *graph {
        return Ok(None);
    }
    let program = lowerer.lower(&dense, &plan.params, &plan.options)?;
    let estimate = estimate(&program, &plan.params, lowerer.calibration());
    let plan = Plan { program, estimate, ..plan.clone() };
    Ok(Some(costs(lowerer, &dense, &plan)?))
}

/// Prints the report of the pruning in the folder `out`.
pub(super) fn print(report: &Report<'_>, out: &Path, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.value(report);
    }
    let columns = ["", "rotations", "all on inputs", "multiplications", "latency"];
    let mut table = Table::new(columns.map(|name| (name, if name.is_empty() { Side::Left } else { Side::Right })));
    let rows = [("dense, G = 1", report.ungrouped), ("before", Some(report.before)), ("after", Some(report.after))];
    let base = report.ungrouped.unwrap_or(report.before);
    for (name, costs) in rows.into_iter().filter_map(|(name, costs)| Some((name, costs?))) {
        let of = |count: u64, all: u64| {
            Value::new(format!("{count} ({})", percent(count as f64 / all.max(1) as f64, 1)), &count)
        };
        table.push([
            Value::new(name, &name),
            of(costs.rotations, base.rotations),
            of(costs.rotations_hoisted_on_inputs, base.rotations_hoisted_on_inputs),
            of(costs.multiplications, base.multiplications),
            Value::new(format!("{:.1} ms", costs.latency_ms), &costs.latency_ms),
        ]);
    }
    output.table(&table)?;
    output.line(format_args!(
        "{} of {} blocks left; validation accuracy {} (before {}), test accuracy {} ({} images)",
        report.blocks_left,
        report.blocks,
        percent(report.validation_accuracy, 2),
        percent(report.validation_accuracy_before, 2),
        percent(report.test.accuracy, 2),
        report.test.images
    ))?;
    output.line(format_args!("written: {}", out.display()))
}
