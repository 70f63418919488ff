//! `striae cost` under the ckks protocol: what the planner makes of a network.

use serde::Serialize;
use striae_cost_model::{BatchEstimate, Lowerer, Packing, Plan, PlanOptions, RotationKinds, Security};
use striae_reports::format::{bytes, percent, seconds};
use striae_reports::table::compare;
use striae_reports::view::NetworkView;
use striae_search::counterpart::{self, Counterpart};
use striae_search::view;
use striae_spaces::TypedGraph;

use super::super::arch::Arch;
use super::super::calibration::Chosen;
use super::super::exit::Exit;
use super::super::explain::Explanation;
use super::super::failure::{Failure, Outcome};
use super::super::output::Output;
use super::super::parameters::security_of;
use super::CostArgs;
use super::against::Other;
use super::batch;
use super::ckks_json::Document;
use super::ckks_table::layers;

/// A network with its plan.
pub(super) struct Costed {
    graph: TypedGraph,
    pub(super) plan: Plan,
    pub(super) view: NetworkView,
}

/// Plans `arch` and the `others`.
pub(super) fn run(args: &CostArgs, arch: Arch, others: Vec<Other>, chosen: &Chosen, output: Output) -> Outcome {
    let (options, packings) = (args.plan.options()?, args.plan.packings());
    let mut lowerer = Lowerer::new(&chosen.calibration);
    let network = cost(&mut lowerer, arch, &options, &packings)?;
    let packing = Some(network.plan.options.packing);
    let as_planned = PlanOptions { packing, ..options.clone() };
    let explanation = args.explain.then(|| Explanation::new(&mut lowerer, &network.graph, &network.plan, &as_planned));
    let mut comparisons = Vec::new();
    for other in others {
        // A plain counterpart is set beside the network at equal parameters, so that a ciphertext holds equally much.
        let params = other.blocks.is_some().then(|| network.plan.params.clone()).or_else(|| options.params.clone());
        let costed = cost(&mut lowerer, other.arch, &PlanOptions { params, ..options.clone() }, &packings)?;
        comparisons.push((costed, other.blocks));
    }
    if !network.plan.estimate.calibrated {
        output.warn(
            "the chain has primes above 50 bits, which no calibration measures: latencies are those of smaller primes, \
             expect up to 2.6 times as much",
        );
    }
    if output.json {
        output.value(&Document::new(&network, &comparisons, chosen, explanation.as_ref()))?;
    } else {
        print(&network, &comparisons, chosen, explanation.as_ref(), output)?;
    }
    Ok(Exit::Success)
}

/// Plans a network in that of some packings in which it takes least.
fn cost(lowerer: &mut Lowerer<'_>, arch: Arch, options: &PlanOptions, packings: &[Packing]) -> Result<Costed, Failure> {
    let Arch { label, graph } = arch;
    let plan = lowerer.plan_in(&graph, options, packings).map_err(|e| Failure::from(e).named(&label))?;
    let view = view::network(&label, &graph, &plan);
    Ok(Costed { graph, plan, view })
}

/// Another network, with the replaced blocks if it is the plain counterpart.
pub(super) type Comparison = (Costed, Option<Counterpart>);

fn print(
    network: &Costed,
    comparisons: &[Comparison],
    chosen: &Chosen,
    explanation: Option<&Explanation>,
    output: Output,
) -> Result<(), Failure> {
    let threads = chosen.threads();
    print_one(network, &threads, output)?;
    if let Some(explanation) = explanation {
        explanation.print(&network.view, &network.plan, output)?;
    }
    for (costed, _) in comparisons {
        print_one(costed, &threads, output)?;
    }
    for (other, blocks) in comparisons {
        output.table(&compare(&network.view, &other.view))?;
        if let Some(blocks) = blocks {
            let Blocks { rotations, plain_rotations, internal_share } = Blocks::of(network, other, blocks);
            output.line(format_args!(
                "in the {} StriaBlocks alone: internal rotations {} of {} ({}), external {} of {}",
                blocks.plain.len(),
                rotations.internal,
                plain_rotations.internal,
                percent(internal_share.unwrap_or(f64::NAN), 1),
                rotations.external,
                plain_rotations.external
            ))?;
        }
        output.line("")?;
    }
    output.line(format_args!("calibration: {}", chosen.describe()))
}

fn print_one(costed: &Costed, threads: &str, output: Output) -> Result<(), Failure> {
    let Costed { graph, plan, view } = costed;
    output.line(format_args!("{} ({})\n{graph}", view.label, view.arch_id))?;
    output.table(&layers(view, &plan.program))?;
    let (params, estimate) = (&plan.params, &plan.estimate);
    output.line(format_args!("parameters  {params}"))?;
    output.line(format_args!("security    {}", security_of(params)))?;
    if params.security() == Security::Insecure {
        output.warn("INSECURE parameters: use them for experiments only, never for real data");
    }
    output.line(format_args!("packing     {}", plan.program.packing))?;
    output.line(format_args!("levels      {} of {}", view.levels, params.max_level()))?;
    let images = plan.program.batch();
    let run = if images == 1 { "image".to_owned() } else { format!("batch of {images}") };
    output.line(format_args!(
        "latency     {} ({} to {}) per {run} on {threads}",
        seconds(estimate.latency.0),
        seconds(estimate.interval.0.0),
        seconds(estimate.interval.1.0)
    ))?;
    output.line(format_args!(
        "memory      {}: weights {}, keys {}, ciphertexts {}",
        bytes(view.memory.total()),
        bytes(view.memory.weights),
        bytes(view.memory.keys),
        bytes(view.memory.ciphertexts)
    ))?;
    output.line(format_args!(
        "traffic     {} up, {} down per {run}",
        bytes(view.upload_bytes),
        bytes(view.download_bytes)
    ))?;
    if images > 1 {
        batch::print(&BatchEstimate::of(&plan.program, params, estimate.latency), output)?;
    }
    output.line("")
}

/// What the blocks alone rotate, beside what their plain counterparts do.
#[derive(Serialize)]
pub(super) struct Blocks {
    rotations: RotationKinds,
    plain_rotations: RotationKinds,
    internal_share: Option<f64>,
}

impl Blocks {
    pub(super) fn of(network: &Costed, plain: &Costed, blocks: &Counterpart) -> Self {
        let rotations = counterpart::rotations_of(&network.plan.program, &blocks.replaced);
        let plain_rotations = counterpart::rotations_of(&plain.plan.program, &blocks.plain);
        let share = rotations.internal as f64 / plain_rotations.internal as f64;
        Self { rotations, plain_rotations, internal_share: share.is_finite().then_some(share) }
    }
}
