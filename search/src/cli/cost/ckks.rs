//! `striae cost` under the ckks protocol: what the planner makes of a network.

use clap::Args;
use serde::Serialize;
use striae_cost_model::hybrid::Fusion;
use striae_cost_model::{
    BatchEstimate, CkksParams, Estimate, LowerOptions, Lowerer, OpCounts, Packing, Plan, PlanOptions, RingType,
    RotationKinds, Security, Strategy, StrategyChoice, max_log_qp,
};
use striae_reports::format::{bytes, percent, seconds};
use striae_reports::table::compare;
use striae_reports::view::NetworkView;
use striae_search::counterpart::{self, Counterpart};
use striae_search::view;
use striae_spaces::TypedGraph;

use super::super::arch::Arch;
use super::super::calibration::{Chosen, Source};
use super::super::exit::Exit;
use super::super::explain::Explanation;
use super::super::failure::{Failure, Outcome};
use super::super::output::Output;
use super::CostArgs;
use super::against::Other;
use super::batch;
use super::ckks_table::layers;

/// What the planner may choose.
#[derive(Args, Clone, Debug)]
pub(crate) struct PlanArgs {
    /// Parameters instead of chosen ones, such as "N=2^13 Q=45,30,30 P=46 scale=2^30"
    #[arg(long)]
    params: Option<String>,
    /// Accept --params below 128 bits of security
    #[arg(long, requires = "params")]
    insecure: bool,
    /// Largest log2 of the ring degree to choose
    #[arg(long, value_name = "LOG_N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(12..=16))]
    max_log_n: u32,
    /// The ring: standard (N/2 slots) or conjugate-invariant (N real slots); the cheaper of both if absent
    #[arg(long, value_parser = ring)]
    ring: Option<RingType>,
    /// How maps are packed: row-major, group-interleaved, multiplexed, multiplexed-bsgs or block:S; multiplexed if absent
    #[arg(long)]
    packing: Option<Packing>,
    /// Images of one run, a power of two
    #[arg(long, value_name = "IMAGES", default_value_t = 1, value_parser = images)]
    batch: usize,
    /// How rotations are split: cheapest, input-side, output-side, or bsgs:B with B baby steps
    #[arg(long, default_value = "cheapest", value_parser = strategy)]
    strategy: StrategyChoice,
    /// Always fuse convolutions with no activation between them
    #[arg(long, conflicts_with = "factored")]
    fused: bool,
    /// Never fuse convolutions: bottlenecks rotate fewer ciphertexts, for more levels
    #[arg(long)]
    factored: bool,
}

impl PlanArgs {
    /// Checks the parameters.
    pub(crate) fn options(&self) -> Result<PlanOptions, Failure> {
        let params = self.params.as_deref().map(|text| parse_params(text, self.insecure)).transpose()?;
        let fuse = (self.fused || self.factored).then_some(self.fused);
        let Self { max_log_n, ring, packing, batch, strategy, .. } = *self;
        Ok(PlanOptions { params, max_log_n, ring, packing, batch, strategy, fuse, ..PlanOptions::default() })
    }

    /// The lowering they ask for, where no parameters are chosen.
    pub(super) fn lowering(&self) -> LowerOptions {
        let Self { packing, batch, strategy, factored, .. } = *self;
        let default = LowerOptions::default();
        LowerOptions { fuse: !factored, packing: packing.unwrap_or_default(), batch, strategy, ..default }
    }

    /// What `--fused` and `--factored` say, which hold for every protocol.
    pub(super) fn fusion(&self) -> Fusion {
        match (self.fused, self.factored) {
            (true, _) => Fusion::Always,
            (_, true) => Fusion::Never,
            (false, false) => Fusion::Cheapest,
        }
    }

    /// The first other option that is not at its default, by its flag: for protocols that have no use for these.
    pub(super) fn first_given(&self) -> Option<&'static str> {
        let Self { params, insecure: _, max_log_n, ring, packing, batch, strategy, fused: _, factored: _ } = self;
        let given = [
            ("--params", params.is_some()),
            ("--max-log-n", *max_log_n != 16),
            ("--ring", ring.is_some()),
            ("--packing", packing.is_some()),
            ("--batch", *batch != 1),
            ("--strategy", *strategy != StrategyChoice::Cheapest),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }
}

fn images(text: &str) -> Result<usize, String> {
    let images = text.parse().ok().filter(|images: &usize| images.is_power_of_two() && *images <= 1 << 20);
    images.ok_or_else(|| "expected a power of two up to 2^20".to_owned())
}

fn ring(name: &str) -> Result<RingType, String> {
    let [standard, other] = RingType::ALL.map(RingType::name);
    RingType::ALL.into_iter().find(|r| r.name() == name).ok_or_else(|| format!("expected {standard} or {other}"))
}

/// The word `insecure` in the text is what reports print; only the flag accepts weak parameters.
fn parse_params(text: &str, insecure: bool) -> Result<CkksParams, Failure> {
    let text = text.trim();
    let plain = text.strip_suffix("insecure").unwrap_or(text).trim_end();
    let text = if insecure { format!("{plain} insecure") } else { plain.to_owned() };
    Ok(text.parse::<CkksParams>()?)
}

fn strategy(text: &str) -> Result<StrategyChoice, String> {
    let expected = "expected cheapest, input-side, output-side or bsgs:B with B at least 2";
    Ok(match text {
        "cheapest" => StrategyChoice::Cheapest,
        "input-side" => StrategyChoice::Always(Strategy::InputSide),
        "output-side" => StrategyChoice::Always(Strategy::OutputSide),
        _ => {
            let babies = text.strip_prefix("bsgs:").and_then(|b| b.parse().ok()).filter(|b| (2..=1 << 15).contains(b));
            StrategyChoice::Always(Strategy::BabyGiant { babies: babies.ok_or(expected)? })
        }
    })
}

/// A network with its plan.
struct Costed {
    graph: TypedGraph,
    plan: Plan,
    view: NetworkView,
}

/// Plans `arch` and the `others`.
pub(super) fn run(args: &CostArgs, arch: Arch, others: Vec<Other>, output: Output) -> Outcome {
    let options = args.plan.options()?;
    let chosen = args.calibration.load(output)?;
    let mut lowerer = Lowerer::new(&chosen.calibration);
    let network = cost(&mut lowerer, arch, &options)?;
    let explanation = args.explain.then(|| Explanation::new(&mut lowerer, &network.graph, &network.plan, &options));
    let mut comparisons = Vec::new();
    for other in others {
        // A plain counterpart is set beside the network at equal parameters, so that a ciphertext holds equally much.
        let params = other.blocks.is_some().then(|| network.plan.params.clone()).or_else(|| options.params.clone());
        let costed = cost(&mut lowerer, other.arch, &PlanOptions { params, ..options.clone() })?;
        comparisons.push((costed, other.blocks));
    }
    if !network.plan.estimate.calibrated {
        output.warn(
            "the chain has primes above 50 bits, which no calibration measures: latencies are those of smaller primes, \
             expect up to 2.6 times as much",
        );
    }
    if output.json {
        output.value(&Document::new(&network, &comparisons, &chosen, explanation.as_ref()))?;
    } else {
        print(&network, &comparisons, &chosen, explanation.as_ref(), output)?;
    }
    Ok(Exit::Success)
}

fn cost(lowerer: &mut Lowerer<'_>, arch: Arch, options: &PlanOptions) -> Result<Costed, Failure> {
    let Arch { label, graph } = arch;
    let plan = lowerer.plan(&graph, options).map_err(|e| Failure::from(e).named(&label))?;
    let view = view::network(&label, &graph, &plan);
    Ok(Costed { graph, plan, view })
}

type Comparison = (Costed, Option<Counterpart>);

fn print(
    network: &Costed,
    comparisons: &[Comparison],
    chosen: &Chosen,
    explanation: Option<&Explanation>,
    output: Output,
) -> Result<(), Failure> {
    print_one(network, output)?;
    if let Some(explanation) = explanation {
        explanation.print(&network.view, &network.plan, output)?;
    }
    for (costed, _) in comparisons {
        print_one(costed, output)?;
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

fn print_one(costed: &Costed, output: Output) -> Result<(), Failure> {
    let Costed { graph, plan, view } = costed;
    output.line(format_args!("{} ({})\n{graph}", view.label, view.arch_id))?;
    output.table(&layers(view, &plan.program))?;
    let (params, estimate) = (&plan.params, &plan.estimate);
    let bound = max_log_qp(params.log_n()).unwrap_or(0);
    output.line(format_args!("parameters  {params}"))?;
    match params.security() {
        Security::Bits128 => output.line(format_args!(
            "security    128 bits: log QP {} of at most {bound} at N = 2^{}",
            params.log_qp(),
            params.log_n()
        ))?,
        Security::Insecure => {
            output.line(format_args!(
                "security    INSECURE: log QP {} where 128 bits of security allow {bound} at N = 2^{}",
                params.log_qp(),
                params.log_n()
            ))?;
            output.warn("INSECURE parameters: use them for experiments only, never for real data");
        }
    }
    output.line(format_args!("levels      {} of {}", view.levels, params.max_level()))?;
    let images = plan.program.batch();
    let run = if images == 1 { "image".to_owned() } else { format!("batch of {images}") };
    output.line(format_args!(
        "latency     {} ({} to {}) per {run} on one thread",
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
struct Blocks {
    rotations: RotationKinds,
    plain_rotations: RotationKinds,
    internal_share: Option<f64>,
}

impl Blocks {
    fn of(network: &Costed, plain: &Costed, blocks: &Counterpart) -> Self {
        let rotations = counterpart::rotations_of(&network.plan.program, &blocks.replaced);
        let plain_rotations = counterpart::rotations_of(&plain.plan.program, &blocks.plain);
        let share = rotations.internal as f64 / plain_rotations.internal as f64;
        Self { rotations, plain_rotations, internal_share: share.is_finite().then_some(share) }
    }
}

/// The JSON form.
#[derive(Serialize)]
struct Document<'a> {
    calibration: Source<'a>,
    networks: Vec<NetworkJson<'a>>,
    /// One per plain counterpart, in the order of the networks.
    blocks: Vec<Blocks>,
    /// With `--explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<&'a Explanation>,
}

#[derive(Serialize)]
struct NetworkJson<'a> {
    params: String,
    insecure: bool,
    rotations: RotationKinds,
    counts: OpCounts,
    steps: Vec<StepJson>,
    estimate: &'a Estimate,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<BatchEstimate>,
    network: &'a NetworkView,
}

#[derive(Serialize)]
struct StepJson {
    node: String,
    rotations: RotationKinds,
    counts: OpCounts,
}

impl<'a> Document<'a> {
    fn new(
        network: &'a Costed,
        comparisons: &'a [Comparison],
        chosen: &'a Chosen,
        explanation: Option<&'a Explanation>,
    ) -> Self {
        let all = std::iter::once(network).chain(comparisons.iter().map(|(costed, _)| costed));
        let blocks = comparisons.iter().filter_map(|(c, b)| b.as_ref().map(|b| Blocks::of(network, c, b)));
        Self {
            calibration: chosen.as_source(),
            networks: all.map(NetworkJson::new).collect(),
            blocks: blocks.collect(),
            explanation,
        }
    }
}

impl<'a> NetworkJson<'a> {
    fn new(costed: &'a Costed) -> Self {
        let program = &costed.plan.program;
        let step = |i: usize| StepJson {
            node: program.steps[i].node.to_string(),
            rotations: program.step_rotation_kinds(i),
            counts: program.step_counts(i),
        };
        Self {
            params: costed.plan.params.to_string(),
            insecure: costed.plan.params.security() == Security::Insecure,
            rotations: program.rotation_kinds(),
            counts: program.counts(),
            steps: (0..program.steps.len()).map(step).collect(),
            estimate: &costed.plan.estimate,
            batch: (program.batch() > 1)
                .then(|| BatchEstimate::of(program, &costed.plan.params, costed.plan.estimate.latency)),
            network: &costed.view,
        }
    }
}
