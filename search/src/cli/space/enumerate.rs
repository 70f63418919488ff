//! `striae space enumerate`: every network of a space, by predicted cost.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use striae_cost_model::{Agenda, PlanOptions, SpaceEstimator};
use striae_reports::export;
use striae_reports::format::count;
use striae_search::landscape::{BoundCounts, Survey};
use striae_spaces::TypedGraph;
use striae_spaces::space::{Bounds, Trellis};

use super::super::calibration::CalibrationArgs;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::super::interrupt::Interrupt;
use super::super::output::Output;
use super::super::progress::Progress;
use super::front::{Found, Report};
use super::{large, load};

#[derive(Args, Debug)]
pub(crate) struct EnumerateArgs {
    /// Built-in space, or TOML file of a space
    pub(super) name: String,
    /// Most networks to estimate; of a space with more, those with the fewest levels are
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    max: u64,
    /// Only networks predicted to take at most this long
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub(super) limit: Option<f64>,
    /// What a larger network has more of
    #[arg(long, value_enum, default_value_t = Capacity::Macs)]
    pub(super) capacity: Capacity,
    /// Write the networks found to a .csv or .json file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    calibration: CalibrationArgs,
}

/// Stands for the accuracy, which only training tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Capacity {
    /// Multiply-accumulates of one image
    Macs,
    /// Trained values
    Parameters,
}

impl Capacity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Macs => "multiply-accumulates",
            Self::Parameters => "parameters",
        }
    }

    fn of(self, graph: &TypedGraph) -> u64 {
        match self {
            Self::Macs => graph.macs(),
            Self::Parameters => graph.parameters(),
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    if value > 0.0 && value.is_finite() { Ok(value) } else { Err("expected a positive number of seconds".to_owned()) }
}

/// Which networks are estimated.
pub(super) struct Coverage {
    pub(super) bounds: Bounds,
    /// Networks within the bounds of the space, and those of them that are estimated.
    pub(super) within: u128,
    pub(super) covered: u128,
    /// Whether fewer levels than the space allows are covered.
    pub(super) narrowed: bool,
}

/// Runs `striae space enumerate` on `threads` threads.
pub(crate) fn run(args: &EnumerateArgs, threads: usize, output: Output) -> Outcome {
    check_out(args)?;
    let space = load(&args.name)?;
    let trellis = Trellis::new(&space)?;
    let chosen = args.calibration.load(output)?;
    let coverage = Coverage::new(&trellis, args.max)?;
    if coverage.narrowed {
        output.note(format_args!(
            "the space has {} networks within its bounds, more than --max {}: those of at most {} levels are covered",
            large(coverage.within),
            count(args.max),
            coverage.bounds.max_levels
        ));
    }
    let mut estimator = SpaceEstimator::new(&trellis, &chosen.calibration, PlanOptions::default());
    let (interrupt, started) = (Interrupt::listen()?, Instant::now());
    let agenda = Agenda::new(&trellis, coverage.bounds, |graph| args.capacity.of(graph));
    let total = u64::try_from(coverage.covered).unwrap_or(u64::MAX);
    let mut progress = Progress::new(output, total);
    let limit = args.limit.unwrap_or(f64::INFINITY);
    let survey = Survey::run(&estimator, &agenda, limit, threads, &interrupt.flag(), |done| {
        let left = left(started.elapsed(), done, total);
        progress.set(done, left, format_args!("{} networks", count(done)));
    });
    progress.finish();
    let points = survey.front.points().iter().map(|point| Found::new(&mut estimator, point));
    let found: Vec<Found> = points.collect::<Result<_, Failure>>()?;
    let report = Report { args, coverage, survey, elapsed: started.elapsed(), threads, chosen, found };
    if let Some(path) = &args.out {
        let csv = path.extension().is_some_and(|e| e == "csv");
        let text = if csv { report.table(usize::MAX).to_csv() } else { format!("{:#}\n", report.json()) };
        export::write(path, text.as_bytes())?;
    }
    if output.json {
        output.value(&report.json())?;
    } else {
        report.print(output)?;
    }
    Ok(if report.survey.complete { Exit::Success } else { Exit::Interrupted })
}

fn check_out(args: &EnumerateArgs) -> Result<(), Failure> {
    let Some(path) = &args.out else { return Ok(()) };
    if path.extension().is_some_and(|e| e == "csv" || e == "json") {
        return Ok(());
    }
    let message = format!("--out {}: is neither a .csv nor a .json file", path.display());
    Err(Failure::bad_input(message, "name a file that ends in .csv or .json"))
}

fn left(elapsed: Duration, done: u64, total: u64) -> Option<Duration> {
    (done > 0).then(|| elapsed.mul_f64(total.saturating_sub(done) as f64 / done as f64))
}

impl Coverage {
    /// All networks within the bounds if they are at most `max`, else those of as many levels as keep them so.
    fn new(trellis: &Trellis, max: u64) -> Result<Self, Failure> {
        let bounds = trellis.space().literal().bounds;
        let networks = |max_levels| BoundCounts::of(trellis, &Bounds { max_levels, ..bounds }).within();
        let within = networks(bounds.max_levels);
        let levels = (1..=bounds.max_levels).rev().map(|levels| (levels, networks(levels)));
        match levels.into_iter().find(|(_, networks)| *networks <= max.into()) {
            Some((max_levels, covered)) if covered > 0 => {
                let narrowed = max_levels < bounds.max_levels;
                Ok(Self { bounds: Bounds { max_levels, ..bounds }, within, covered, narrowed })
            }
            _ => {
                let name = trellis.space().name().escape_debug();
                let message = format!(
                    "--max {max}: space {name} has {} networks within its bounds, and more than that of the fewest levels",
                    large(within)
                );
                Err(Failure::bad_input(message, "raise --max, or tighten the bounds of the space"))
            }
        }
    }
}
