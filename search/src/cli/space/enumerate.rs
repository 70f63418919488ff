//! `striae space enumerate`: every network of a space, by predicted cost.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use striae_cost_model::{Agenda, PlanOptions, SpaceEstimator};
use striae_reports::export;
use striae_reports::format::{bytes, count, percent, seconds};
use striae_reports::table::{Side, Table, Value as Cell};
use striae_search::landscape::{BoundCounts, FrontPoint, Survey};
use striae_spaces::TypedGraph;
use striae_spaces::space::{Bounds, Trellis};

use super::super::calibration::{CalibrationArgs, Chosen};
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::super::interrupt::Interrupt;
use super::super::output::Output;
use super::super::progress::Progress;
use super::{genotype_json, large, load};

/// Rows of the front that the table shows.
const ROWS: usize = 24;

#[derive(Args, Debug)]
pub(crate) struct EnumerateArgs {
    /// Built-in space, or TOML file of a space
    name: String,
    /// Most networks to estimate; of a space with more, those with the fewest levels are
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    max: u64,
    /// Only networks predicted to take at most this long
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    limit: Option<f64>,
    /// What a larger network has more of
    #[arg(long, value_enum, default_value_t = Capacity::Macs)]
    capacity: Capacity,
    /// Write the networks found to a .csv or .json file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    calibration: CalibrationArgs,
}

/// Stands for the accuracy that only training tells: networks of one family grow better with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Capacity {
    /// Multiply-accumulates of one image
    Macs,
    /// Trained values
    Parameters,
}

impl Capacity {
    fn name(self) -> &'static str {
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
struct Coverage {
    bounds: Bounds,
    /// Networks within the bounds of the space, and those of them that are estimated.
    within: u128,
    covered: u128,
    /// Whether fewer levels than the space allows are covered.
    narrowed: bool,
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
        output.value(&report.json())?
    } else {
        report.print(output)?
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

/// A network of the front with its plan.
struct Found {
    latency: f64,
    levels: usize,
    log_n: u32,
    ring: &'static str,
    memory: u64,
    macs: u64,
    parameters: u64,
    rotations: u64,
    json: Value,
    notation: String,
}

impl Found {
    fn new(estimator: &mut SpaceEstimator<'_>, point: &FrontPoint) -> Result<Self, Failure> {
        let trellis = estimator.trellis();
        let genotype = trellis.genotype(trellis.branches(&point.branches)).map_err(Failure::unexpected)?;
        let graph = trellis.space().build(&genotype)?;
        let plan = estimator.plan(&genotype)?;
        Ok(Self {
            latency: plan.estimate.latency.0,
            levels: plan.program.depth(),
            log_n: plan.params.log_n(),
            ring: plan.params.ring().name(),
            memory: plan.estimate.memory.total().0,
            macs: graph.macs(),
            parameters: graph.parameters(),
            rotations: plan.program.counts().rotations(),
            json: genotype_json(trellis.space(), &genotype, &graph),
            notation: graph.to_string(),
        })
    }

    fn json(&self) -> Value {
        json!({
            "latency": self.latency,
            "levels": self.levels,
            "log_n": self.log_n,
            "ring": self.ring,
            "memory": self.memory,
            "macs": self.macs,
            "parameters": self.parameters,
            "rotations": self.rotations,
            "network": self.json,
        })
    }
}

/// All there is to say.
struct Report<'a> {
    args: &'a EnumerateArgs,
    coverage: Coverage,
    survey: Survey,
    elapsed: Duration,
    threads: usize,
    chosen: Chosen,
    found: Vec<Found>,
}

impl Report<'_> {
    /// The front, thinned evenly to `rows`.
    fn table(&self, rows: usize) -> Table {
        let right = ["latency", "MACs", "parameters", "levels", "N", "rotations", "memory"].map(|h| (h, Side::Right));
        let mut table = Table::new(right.into_iter().chain([("network", Side::Left)]));
        let last = self.found.len().saturating_sub(1);
        let shown = rows.min(self.found.len());
        for i in 0..shown {
            let found = &self.found[if shown <= last { i * last / (shown - 1).max(1) } else { i }];
            table.push([
                Cell::new(seconds(found.latency), found.latency),
                Cell::new(count(found.macs), found.macs),
                Cell::new(count(found.parameters), found.parameters),
                found.levels.to_string().into(),
                format!("2^{}", found.log_n).into(),
                count(found.rotations).into(),
                Cell::new(bytes(found.memory), found.memory),
                found.notation.as_str().into(),
            ]);
        }
        table
    }

    fn print(&self, output: Output) -> Result<(), Failure> {
        let Self { survey, found, .. } = self;
        output.table(&self.table(ROWS).expendable(&["network", "parameters", "rotations"]))?;
        output.line(format_args!(
            "{} networks of which none is both faster and has more {}{}",
            found.len(),
            self.args.capacity.name(),
            if found.len() > ROWS {
                format!("; {ROWS} of them shown, all with --json or --out")
            } else {
                String::new()
            }
        ))?;
        output.line(format_args!("covered: {}", self.covered()))?;
        if let (Some((least, most)), Some(median)) = (survey.latencies.range(), survey.latencies.quantile(0.5)) {
            let (least, median, most) = (seconds(least), seconds(median), seconds(most));
            output.line(format_args!("latencies: {least} to {most}, half of them below {median}"))?;
        }
        let rate = survey.visited as f64 / self.elapsed.as_secs_f64();
        output.line(format_args!(
            "{} networks in {} on {} threads, {} a second",
            count(survey.visited),
            seconds(self.elapsed.as_secs_f64()),
            self.threads,
            count(rate as u64)
        ))?;
        output.line(format_args!("calibration: {}", self.chosen.describe()))
    }

    /// What was covered, in words.
    fn covered(&self) -> String {
        let Self { survey, coverage, .. } = self;
        let (visited, planned) = (u128::from(survey.visited), coverage.covered);
        let share = percent(visited as f64 / coverage.within as f64, 2);
        let mut text = match (survey.complete, coverage.narrowed) {
            (true, false) => format!("all {} networks within the bounds", large(visited)),
            (true, true) => format!(
                "all {} networks of at most {} levels, {share} of the {} within the bounds",
                large(visited),
                coverage.bounds.max_levels,
                large(coverage.within)
            ),
            (false, _) => format!(
                "interrupted after {} of {} networks, {share} of those within the bounds",
                large(visited),
                large(planned)
            ),
        };
        if survey.too_slow > 0 {
            text += &format!("; {} are slower than --limit", large(survey.too_slow.into()));
        }
        if survey.unplannable > 0 {
            text += &format!("; {} are too deep for any ring", large(survey.unplannable.into()));
        }
        text
    }

    fn json(&self) -> Value {
        let Self { survey, coverage, .. } = self;
        json!({
            "space": self.args.name,
            "capacity": self.args.capacity.name(),
            "limit": self.args.limit,
            "complete": survey.complete,
            "covered": self.covered(),
            "networks_within_bounds": coverage.within.to_string(),
            "max_levels_covered": coverage.bounds.max_levels,
            "visited": survey.visited,
            "too_slow": survey.too_slow,
            "too_deep": survey.unplannable,
            "seconds": self.elapsed.as_secs_f64(),
            "threads": self.threads,
            "calibration": self.chosen.as_source(),
            "front": self.found.iter().map(Found::json).collect::<Vec<_>>(),
        })
    }
}
