//! `striae calibrate`: what the primitives of the encrypted backend take on this machine.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use striae_cost_model::calibration::{Primitive, Provenance, Sample};
use striae_cost_model::{Calibration, CkksParams, PlanOptions, RingType, chains};
use striae_he_eval::Simd;
use striae_he_eval::bench::{MeasureEvent, measure};
use striae_reports::format::{percent, seconds};
use striae_reports::table::{Side, Table};
use striae_search::view;

use super::calibration::{CalibrationArgs, Chosen};
use super::exit::Exit;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::progress::Progress;

/// Most levels that are looked for; the security bound ends well below.
const DEEPEST: usize = 60;
/// Largest number of special primes that plans use.
const SPECIAL: usize = 3;
/// Levels of `--quick`: as many as the networks of the built-in spaces for small images need.
const QUICK_LEVELS: usize = 8;
/// Rounds whose median is taken.
const ROUNDS: u32 = 15;
/// The same with `--quick`.
const QUICK_ROUNDS: u32 = 5;

#[derive(Args, Debug)]
pub(crate) struct CalibrateArgs {
    /// The lowest levels and few rounds: seconds instead of minutes, wider intervals
    #[arg(long)]
    quick: bool,
    /// Ring degrees to measure, as log2
    #[arg(long, value_name = "LOG_N", value_delimiter = ',', default_values_t = [13, 14],
          value_parser = clap::value_parser!(u32).range(12..=15))]
    log_n: Vec<u32>,
    /// File to write; never one that exists [default: striae-calibration-DATE-N.toml in this folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    old: CalibrationArgs,
}

/// One set of primes at one level.
struct Place {
    params: CkksParams,
    level: usize,
}

/// Runs `striae calibrate`.
pub(crate) fn run(args: &CalibrateArgs, output: Output) -> Outcome {
    let out = match &args.out {
        Some(path) => super::arch::must_be_new(path.clone())?,
        None => free_name(&today()),
    };
    let old = args.old.load(Output { quiet: true, ..output })?;
    let new = calibrate(&args.log_n, args.quick, output)?;
    new.save(&out)?;
    if output.json {
        let rows: Vec<_> =
            Primitive::ALL.into_iter().map(|p| row(p, &old.calibration, &new)).map(|r| r.json()).collect();
        output.value(&json!({ "file": out, "samples": new.samples().len(), "primitives": rows }))?;
    } else {
        print(&old.calibration, &new, output)?;
        output.line(format_args!("written: {}", out.display()))?;
        output.note(format_args!("use it with `--calibration {0}` or STRIAE_CALIBRATION={0}", out.display()));
    }
    Ok(Exit::Success)
}

/// The calibration at `path`; a quick one is made and saved there if there is none yet.
pub(crate) fn quick_at(path: &Path, output: Output) -> Result<Chosen, Failure> {
    let calibration = if path.exists() {
        Calibration::load(path)?
    } else {
        output.note("measuring the encrypted backend on this machine");
        let new = calibrate(&[13, 14], true, output)?;
        new.save(path)?;
        new
    };
    Ok(Chosen { calibration, source: path.display().to_string() })
}

/// Measures and fits.
fn calibrate(log_n: &[u32], quick: bool, output: Output) -> Result<Calibration, Failure> {
    let mut places = places(log_n, quick);
    // Small rings first: the time left is then never understated for long.
    places.sort_by_key(|p| (p.params.log_n(), p.level));
    let samples = take(&places, if quick { QUICK_ROUNDS } else { ROUNDS }, output)?;
    let provenance = Provenance {
        cpu: view::machine(1).cpu,
        simd: Simd::detect().name().to_owned(),
        threads: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        date: today(),
        generic: false,
    };
    Ok(Calibration::new(provenance, samples)?)
}

fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// The first name of this day that is free.
fn free_name(date: &str) -> PathBuf {
    let name = |n: u32| PathBuf::from(format!("striae-calibration-{date}-{n}.toml"));
    let mut n = 1;
    while name(n).exists() {
        n += 1;
    }
    name(n)
}

/// For each ring and number of special primes the deepest secure chain, at all its levels.
fn places(log_n: &[u32], quick: bool) -> Vec<Place> {
    let options = PlanOptions::default();
    let deepest = if quick { QUICK_LEVELS } else { DEEPEST };
    let chain = |ring: RingType, log_n: u32, special: usize| {
        let of_depth = |depth| chains(ring, log_n, depth, &options).into_iter().find(|c| c.log_p().len() == special);
        (1..=deepest).rev().find_map(of_depth)
    };
    let degrees = RingType::ALL.into_iter().flat_map(|ring| log_n.iter().map(move |&n| (ring, n)));
    degrees
        .flat_map(|(ring, n)| (1..=SPECIAL).map(move |special| (ring, n, special)))
        .filter_map(|(ring, log_n, special)| chain(ring, log_n, special))
        .flat_map(|params| (0..=params.max_level()).map(move |level| Place { params: params.clone(), level }))
        .collect()
}

fn take(places: &[Place], rounds: u32, output: Output) -> Result<Vec<Sample>, Failure> {
    // Estimates are for one thread.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(Failure::unexpected)?;
    let total: f64 = places.iter().map(weight).sum();
    let (mut done, mut samples) = (0.0, Vec::new());
    let started = std::time::Instant::now();
    let mut progress = Progress::new(output, 1000);
    for place in places {
        let Place { params, level } = place;
        let (ring, log_n, special) = (params.ring().name(), params.log_n(), params.log_p().len());
        let what = format!("{ring} ring, N = 2^{log_n}, level {level}, {special} special");
        let measured = pool.install(|| {
            measure(params, *level, &Primitive::ALL, rounds, &mut |event| {
                let share = match event {
                    MeasureEvent::Ready => 0.0,
                    MeasureEvent::Round { done, total } => f64::from(done) / f64::from(total),
                };
                let share = (done + share * weight(place)) / total;
                let left = (share > 0.01).then(|| started.elapsed().mul_f64(1.0 / share - 1.0));
                progress.set((share * 1000.0) as u64, left, &what);
                ControlFlow::Continue(())
            })
        })?;
        samples.extend(measured);
        done += weight(place);
    }
    Ok(samples)
}

/// Time that a place takes, in arbitrary units: key switching dominates, and grows with limbs times digits.
fn weight(place: &Place) -> f64 {
    let limbs = (place.level + 1 + place.params.log_p().len()) as f64;
    limbs * (1.0 + place.params.digits(place.level) as f64) * f64::from(1u32 << place.params.log_n())
}

/// A primitive's old and new error, and what it takes at the deepest measured place.
struct Row {
    primitive: Primitive,
    old: f64,
    new: f64,
    deepest: f64,
}

fn row(primitive: Primitive, old: &Calibration, new: &Calibration) -> Row {
    let samples: Vec<&Sample> = new.samples().iter().filter(|s| s.primitive == primitive).collect();
    let error = |s: &&Sample| (old.seconds(primitive, s.ring) / s.seconds - 1.0).abs();
    let mean = samples.iter().map(error).sum::<f64>() / samples.len().max(1) as f64;
    let deepest = samples.iter().max_by_key(|s| s.ring).map_or(f64::NAN, |s| s.seconds);
    Row { primitive, old: mean, new: new.fit(primitive).map_or(f64::NAN, |fit| fit.error), deepest }
}

impl Row {
    fn json(&self) -> serde_json::Value {
        let Self { primitive, old, new, deepest } = self;
        json!({ "primitive": primitive.name(), "old_error": old, "new_error": new, "seconds": deepest })
    }
}

fn print(old: &Calibration, new: &Calibration, output: Output) -> Result<(), Failure> {
    let deepest = new.samples().iter().map(|s| s.ring).max();
    let at = deepest.map_or_else(String::new, |r| format!("at 2^{}, level {}, {}", r.log_n, r.level, r.special));
    let mut table = Table::new([
        ("primitive", Side::Left),
        (&at, Side::Right),
        ("error, old", Side::Right),
        ("error, new fit", Side::Right),
    ]);
    for primitive in Primitive::ALL {
        let row = row(primitive, old, new);
        table.push([
            primitive.name().into(),
            seconds(row.deepest).into(),
            percent(row.old, 1).into(),
            percent(row.new, 1).into(),
        ]);
    }
    output.table(&table)
}
