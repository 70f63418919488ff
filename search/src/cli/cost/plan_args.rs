//! What `striae cost` lets the planner choose.

use clap::Args;
use striae_cost_model::hybrid::Fusion;
use striae_cost_model::{
    CkksParams, DegreeChoice, LowerOptions, Packing, PlanOptions, RingType, Strategy, StrategyChoice,
};

use super::super::failure::Failure;
use super::super::parameters::ParameterArgs;

/// What the planner may choose.
#[derive(Args, Clone, Debug)]
pub(crate) struct PlanArgs {
    /// Parameters instead of chosen ones, such as "N=2^13 Q=45,30,30 P=46 scale=2^30"
    #[arg(long, conflicts_with_all = ["security", "min_precision", "max_log_n"])]
    params: Option<String>,
    /// Accept --params below 128 bits of security
    #[arg(long, requires = "params")]
    insecure: bool,
    #[command(flatten)]
    chosen: ParameterArgs,
    /// The ring: standard (N/2 slots) or conjugate-invariant (N real slots); the cheaper of both if absent
    #[arg(long, value_parser = ring)]
    ring: Option<RingType>,
    /// Of the ring degrees that hold the network, the smallest, or the cheapest: that of the least latency
    #[arg(long, value_name = "CHOICE", default_value = "smallest", value_parser = degree, conflicts_with = "params")]
    degree: DegreeChoice,
    /// How maps are packed: row-major, group-interleaved, multiplexed, multiplexed-bsgs or block:S, or the cheapest of these
    /// with S up to 8; multiplexed if absent
    #[arg(long, value_parser = packing)]
    packing: Option<PackingChoice>,
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

/// What `--packing` says.
#[derive(Clone, Copy, Debug)]
enum PackingChoice {
    One(Packing),
    Cheapest,
}

impl PlanArgs {
    /// Checks the parameters. The packing is one of [`Self::packings`].
    pub(crate) fn options(&self) -> Result<PlanOptions, Failure> {
        let params = self.params.as_deref().map(|text| parse_params(text, self.insecure)).transpose()?;
        let fuse = (self.fused || self.factored).then_some(self.fused);
        let Self { chosen, ring, degree, batch, strategy, .. } = *self;
        Ok(PlanOptions { params, ring, degree, batch, strategy, fuse, ..chosen.options() })
    }

    /// The packings to compare.
    pub(super) fn packings(&self) -> Vec<Packing> {
        match self.packing {
            None => vec![Packing::default()],
            Some(PackingChoice::One(packing)) => vec![packing],
            Some(PackingChoice::Cheapest) => Packing::COMPARED.to_vec(),
        }
    }

    /// The lowering they ask for, where no parameters are chosen.
    pub(super) fn lowering(&self) -> Result<LowerOptions, Failure> {
        let Self { batch, strategy, factored, .. } = *self;
        let [packing] = self.packings()[..] else {
            let message = "--packing cheapest: packings are compared by latency, and --count tells none";
            return Err(Failure::bad_input(message, "name a packing, or leave --count out"));
        };
        Ok(LowerOptions { fuse: !factored, packing, batch, strategy, ..LowerOptions::default() })
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
        let Self { params, insecure: _, chosen, ring, degree, packing, batch, strategy, fused: _, factored: _ } = self;
        let given = [
            ("--params", params.is_some()),
            ("--ring", ring.is_some()),
            ("--degree", *degree != DegreeChoice::default()),
            ("--packing", packing.is_some()),
            ("--batch", *batch != 1),
            ("--strategy", *strategy != StrategyChoice::Cheapest),
        ];
        chosen.first_given().or(given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag))
    }
}

fn images(text: &str) -> Result<usize, String> {
    let images = text.parse().ok().filter(|images: &usize| images.is_power_of_two() && *images <= 1 << 20);
    images.ok_or_else(|| "expected a power of two up to 2^20".to_owned())
}

fn packing(text: &str) -> Result<PackingChoice, String> {
    match text {
        "cheapest" => Ok(PackingChoice::Cheapest),
        _ => text.parse().map(PackingChoice::One).map_err(|e| format!("{e}, or cheapest")),
    }
}

fn degree(text: &str) -> Result<DegreeChoice, &'static str> {
    match text {
        "smallest" => Ok(DegreeChoice::Smallest),
        "cheapest" => Ok(DegreeChoice::Cheapest),
        _ => Err("expected smallest or cheapest"),
    }
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
