//! `striae cost --explain`: what each layer needs, and the single change that would save most.

use serde::Serialize;
use striae_cost_model::{Lowerer, Plan, PlanOptions};
use striae_reports::format::{bytes, count, percent, seconds};
use striae_reports::table::{Side, Table, Value};
use striae_reports::view::NetworkView;
use striae_search::explain::{self, Effect, StepNeeds};
use striae_spaces::TypedGraph;

use super::failure::Failure;
use super::output::Output;

/// Changes that are shown.
const SHOWN: usize = 8;

/// The explanation of one plan.
#[derive(Serialize)]
pub(crate) struct Explanation {
    /// What each step needs, in order.
    steps: Vec<StepNeeds>,
    /// Changes that save time, largest saving first.
    changes: Vec<Effect>,
}

impl Explanation {
    /// Explains `plan`, made of `graph` under `options`.
    pub(crate) fn new(lowerer: &mut Lowerer<'_>, graph: &TypedGraph, plan: &Plan, options: &PlanOptions) -> Self {
        let changes = explain::effects(lowerer, graph, plan, options);
        Self { steps: explain::steps(plan), changes }
    }

    /// Prints both tables and the conclusion.
    pub(crate) fn print(&self, view: &NetworkView, plan: &Plan, output: Output) -> Result<(), Failure> {
        output.line("what each step needs (steps share keys, so the keys of all are fewer than their sum)")?;
        output.table(&needs(view, &self.steps))?;
        let Some(best) = self.changes.first() else {
            return output.line("no single change that is tried here would save time\n");
        };
        output.line("single changes, planned anew; what they cost in accuracy only training tells")?;
        output.table(&changes(&self.changes, plan))?;
        output.line(format_args!(
            "the single change that would save most: {}: {} -> {} ({} less)\n",
            best.change,
            seconds(plan.estimate.latency.0),
            seconds(best.latency.0),
            percent(best.saved, 0)
        ))
    }
}

/// Rotations by how they are done: `hoists` decompositions shared by the `hoisted` rotations, `giant` steps of partial
/// sums, `full` rotations on their own.
fn needs(view: &NetworkView, steps: &[StepNeeds]) -> Table {
    let right = ["hoists", "hoisted", "giant", "full", "mult", "relin", "rescale", "keys", "weights", "time", "share"];
    let headings = ["step", "computes"].map(|h| (h, Side::Left)).into_iter().chain(right.map(|h| (h, Side::Right)));
    let mut table = Table::new(headings).expendable(&["rescale", "hoists", "computes"]);
    for (layer, needs) in view.layers.iter().zip(steps) {
        let c = &needs.counts;
        let mut row: Vec<Value> = vec![layer.name.clone().into(), layer.description.clone().into()];
        let counts = [
            c.hoists,
            c.rotations_hoisted,
            c.giant_steps,
            c.rotations_full,
            c.plain_mults,
            c.squares,
            c.rescales + c.squares,
        ];
        row.extend(counts.map(|n| if n == 0 { "·".into() } else { count(n).into() }));
        row.extend([needs.keys.0, needs.weights.0].map(|n| if n == 0 { "·".into() } else { bytes(n).into() }));
        row.extend([seconds(layer.predicted).into(), percent(layer.share, 1).into()]);
        table.push(row);
    }
    table
}

fn changes(effects: &[Effect], plan: &Plan) -> Table {
    let right = ["saves", "time", "levels", "log N", "rotations", "MACs"].map(|h| (h, Side::Right));
    let mut table = Table::new([("change", Side::Left)].into_iter().chain(right)).expendable(&["MACs", "rotations"]);
    let (levels, log_n) = (plan.program.depth(), plan.params.log_n());
    for effect in effects.iter().take(SHOWN) {
        table.push([
            effect.change.to_string().into(),
            percent(effect.saved, 1).into(),
            seconds(effect.latency.0).into(),
            format!("{levels} → {}", effect.levels).into(),
            format!("{log_n} → {}", effect.log_n).into(),
            count(effect.rotations).into(),
            count(effect.macs).into(),
        ]);
    }
    table
}
