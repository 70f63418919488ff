//! What a space holds: its size, what its bounds remove, what its networks cost and what that depends on.

use std::sync::atomic::AtomicBool;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use striae_cost_model::{Agenda, PlanOptions, SpaceEstimator};
use striae_reports::format::{count, number, percent, seconds};
use striae_reports::table::{Side, Table};
use striae_reports::view::{HistogramBar, HistogramView};
use striae_search::landscape::{BOUNDS, BoundCounts, Distribution, Measured, Sensitivity, Survey, sensitivities};
use striae_spaces::TypedGraph;
use striae_spaces::space::{Bounds, StriaSpace, Trellis};

use super::super::calibration::Chosen;
use super::super::failure::Failure;
use super::super::output::Output;
use super::{large, size};

/// Spaces of up to so many networks are estimated whole.
const EXACT: u128 = 1_000_000;
/// Bars of a histogram.
const BARS: usize = 16;
/// Characters of the longest bar.
const WIDTH: usize = 48;

/// What was found.
pub(super) struct Analysis {
    label: String,
    combinations: String,
    bounds: Bounds,
    counts: BoundCounts,
    latencies: Distribution,
    /// Whether the latencies are those of all networks.
    exact: bool,
    sensitivities: Vec<Sensitivity>,
    samples: u32,
    seed: u64,
    chosen: Chosen,
}

impl Analysis {
    /// Analyses a space by the times of `chosen`.
    pub(super) fn new(
        space: &StriaSpace,
        chosen: Chosen,
        samples: u32,
        seed: u64,
        threads: usize,
    ) -> Result<Self, Failure> {
        let trellis = Trellis::new(space)?;
        let bounds = space.literal().bounds;
        let counts = BoundCounts::of(&trellis, &bounds);
        let mut estimator = SpaceEstimator::new(&trellis, &chosen.calibration, PlanOptions::default());
        let exact = counts.within() <= EXACT;
        let latencies = if exact {
            let agenda = Agenda::new(&trellis, bounds, TypedGraph::macs);
            Survey::run(&estimator, &agenda, f64::INFINITY, threads, &AtomicBool::new(false), |_| {}).latencies
        } else {
            let (mut rng, mut latencies) = (ChaCha8Rng::seed_from_u64(seed), Distribution::default());
            for _ in 0..samples {
                if let Ok(cost) = estimator.estimate(&space.sample(&mut rng)) {
                    latencies.add(cost.latency.0);
                }
            }
            latencies
        };
        let sensitivities = sensitivities(space, &chosen.calibration, samples, seed)?;
        let (label, combinations) = (space.name().to_owned(), size(space));
        Ok(Self { label, combinations, bounds, counts, latencies, exact, sensitivities, samples, seed, chosen })
    }

    /// The latencies, to be drawn.
    pub(super) fn histogram(&self) -> HistogramView {
        let bar = |(low, high, count)| HistogramBar { low, high, count };
        HistogramView { label: self.label.clone(), bars: self.latencies.bars(2 * BARS).into_iter().map(bar).collect() }
    }

    /// Prints all of it.
    pub(super) fn print(&self, output: Output) -> Result<(), Failure> {
        let (all, within) = (self.counts.all(), self.counts.within());
        output.line(format_args!(
            "{} combinations of choices are {} different networks, {} of them within the bounds ({})",
            self.combinations,
            large(all),
            large(within),
            percent(within as f64 / all as f64, 2)
        ))?;
        output.table(&self.bounds_table())?;
        self.print_histogram(output)?;
        output.table(&self.factors_table())?;
        output.line(format_args!(
            "switching one factor alone, in {} random networks within the bounds (seed {}), to each other choice, beyond \
             the bounds too:\n  change      mean |relative change| of latency, exp(mean |ln(new / old)|) - 1\n  \
             elasticity  mean of d ln(latency) / d ln(factor), with its standard error",
            count(self.samples.into()),
            self.seed
        ))?;
        output.line(format_args!("calibration: {}", self.chosen.describe()))
    }

    /// Value of a bound, in the order of [`BOUNDS`].
    fn bound(&self, index: usize) -> usize {
        let Bounds { max_taps, max_ciphertexts, max_levels, max_external_rotations } = self.bounds;
        [max_taps, max_ciphertexts, max_levels, max_external_rotations][index]
    }

    fn bounds_table(&self) -> Table {
        let headings = ["at most", "removes alone", "left with it alone", "removes beyond the others"];
        let mut table =
            Table::new([("bound", Side::Left)].into_iter().chain(headings.map(|heading| (heading, Side::Right))));
        let all = self.counts.all();
        let share = |n: u128| percent(n as f64 / all as f64, 2);
        for (i, name) in BOUNDS.into_iter().enumerate() {
            let alone = self.counts.removed_alone(i);
            table.push([
                name.into(),
                self.bound(i).to_string().into(),
                share(alone).into(),
                large(all - alone).into(),
                share(self.counts.removed_marginally(i)).into(),
            ]);
        }
        table
    }

    fn print_histogram(&self, output: Output) -> Result<(), Failure> {
        let all = self.latencies.count();
        output.line(format_args!(
            "predicted latency of {}",
            if self.exact {
                format!("all {} networks within the bounds that a ring holds", count(all))
            } else {
                format!("{} random networks within the bounds; shares have standard errors up to {}", count(all), {
                    percent(0.5 / (all as f64).sqrt(), 1)
                })
            }
        ))?;
        let bars = self.latencies.bars(BARS);
        let most = bars.iter().map(|bar| bar.2).max().unwrap_or(0).max(1);
        for (low, high, networks) in bars {
            let length = (networks as f64 / most as f64 * WIDTH as f64).round() as usize;
            let share = percent(networks as f64 / all.max(1) as f64, 1);
            output.line(format_args!(
                "{:>9} to {:>9} {share:>7} {}",
                seconds(low),
                seconds(high),
                "█".repeat(length)
            ))?;
        }
        let quantile = |q| self.latencies.quantile(q).map_or_else(String::new, seconds);
        output.line(format_args!(
            "10 % below {}, 50 % below {}, 90 % below {}\n",
            quantile(0.1),
            quantile(0.5),
            quantile(0.9)
        ))
    }

    fn factors_table(&self) -> Table {
        let mut table = Table::new([
            ("factor", Side::Left),
            ("change", Side::Right),
            ("elasticity", Side::Right),
            ("cheapest → dearest", Side::Left),
            ("bounded by", Side::Left),
            ("switches", Side::Right),
        ]);
        for Sensitivity { factor, switches, effect, elasticity, extremes } in &self.sensitivities {
            let elasticity = elasticity.map_or_else(String::new, |Measured { mean, error }| {
                format!("{} ± {}", number(mean, 2), number(error, 2))
            });
            let extremes = extremes.as_ref().map_or_else(String::new, |(cheapest, dearest, ratio)| {
                format!("{cheapest} → {dearest} ×{}", number(*ratio, 2))
            });
            table.push([
                factor.as_str().into(),
                percent(effect.mean.exp_m1(), 0).into(),
                elasticity.into(),
                extremes.into(),
                bound_of(factor).unwrap_or_default().into(),
                count(*switches).into(),
            ]);
        }
        table
    }

    /// The JSON form.
    pub(super) fn json(&self) -> Value {
        let bound = |(i, name): (usize, &str)| {
            json!({
                "bound": name,
                "at_most": self.bound(i),
                "removes_alone": self.counts.removed_alone(i).to_string(),
                "removes_beyond_the_others": self.counts.removed_marginally(i).to_string(),
            })
        };
        let factor = |s: &Sensitivity| {
            let mut json = json!(s);
            json["bounded_by"] = json!(bound_of(&s.factor));
            json
        };
        json!({
            "networks": self.counts.all().to_string(),
            "within_bounds": self.counts.within().to_string(),
            "bounds": BOUNDS.into_iter().enumerate().map(bound).collect::<Vec<_>>(),
            "latency": {
                "exact": self.exact,
                "networks": self.latencies.count(),
                "range": self.latencies.range(),
                "median": self.latencies.quantile(0.5),
                "histogram": self.histogram().bars,
            },
            "samples": self.samples,
            "seed": self.seed,
            "sensitivity": self.sensitivities.iter().map(factor).collect::<Vec<_>>(),
            "calibration": self.chosen.as_source(),
        })
    }
}

/// The bound that limits a factor: the Focused Constraint leaves the others free.
fn bound_of(factor: &str) -> Option<&'static str> {
    match factor {
        "taps" | "kernel" | "mask" => Some("max_taps"),
        "mixing" | "external rotations" => Some("max_external_rotations"),
        "width" | "stem width" => Some("max_ciphertexts"),
        "levels" | "depth" | "inner" => Some("max_levels"),
        _ => None,
    }
}
