//! What `striae space enumerate` found: the front, and what it covers.

use std::time::Duration;

use serde_json::{Value, json};
use striae_cost_model::SpaceEstimator;
use striae_reports::format::{bytes, count, percent, seconds};
use striae_reports::table::{Side, Table, Value as Cell};
use striae_search::landscape::{FrontPoint, Survey};

use super::super::calibration::Chosen;
use super::super::failure::Failure;
use super::super::output::Output;
use super::enumerate::{Coverage, EnumerateArgs};
use super::{genotype_json, large};

/// Rows of the front that the table shows.
const ROWS: usize = 24;

/// A network of the front with its plan.
pub(super) struct Found {
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
    pub(super) fn new(estimator: &mut SpaceEstimator<'_>, point: &FrontPoint) -> Result<Self, Failure> {
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
pub(super) struct Report<'a> {
    pub(super) args: &'a EnumerateArgs,
    pub(super) coverage: Coverage,
    pub(super) survey: Survey,
    pub(super) elapsed: Duration,
    pub(super) threads: usize,
    pub(super) chosen: Chosen,
    pub(super) found: Vec<Found>,
}

impl Report<'_> {
    /// The front, thinned evenly to `rows`.
    pub(super) fn table(&self, rows: usize) -> Table {
        let right = ["latency", "MACs", "parameters", "levels", "N", "rotations", "memory"].map(|h| (h, Side::Right));
        let mut table = Table::new(right.into_iter().chain([("network", Side::Left)]));
        let last = self.found.len().saturating_sub(1);
        let shown = rows.min(self.found.len());
        for i in 0..shown {
            let found = &self.found[if shown <= last { i * last / (shown - 1).max(1) } else { i }];
            table.push([
                Cell::new(seconds(found.latency), &found.latency),
                Cell::new(count(found.macs), &found.macs),
                Cell::new(count(found.parameters), &found.parameters),
                found.levels.to_string().into(),
                format!("2^{}", found.log_n).into(),
                count(found.rotations).into(),
                Cell::new(bytes(found.memory), &found.memory),
                found.notation.as_str().into(),
            ]);
        }
        table
    }

    pub(super) fn print(&self, output: Output) -> Result<(), Failure> {
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
        let notes = [(survey.too_slow, "are slower than --limit"), (survey.unplannable, "are too deep for any ring")];
        for (networks, note) in notes.into_iter().filter(|(networks, _)| *networks > 0) {
            text.extend(["; ", &count(networks), " ", note]);
        }
        text
    }

    pub(super) fn json(&self) -> Value {
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
