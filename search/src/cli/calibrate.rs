//! `striae calibrate`: what steps of encrypted programs take on this machine.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::ThreadPool;
use serde_json::json;
use striae_cost_model::calibration::{Fit, Primitive, Probe, Provenance, Ring, Sample};
use striae_cost_model::{Calibration, RingType};
use striae_he_eval::Simd;
use striae_he_eval::bench::{MeasureEvent, Sweep, last_level_cache, measure_steps};
use striae_reports::format::{percent, seconds};
use striae_reports::table::{Side, Table};
use striae_search::view;

use super::calibrate_places::{Place, places};
use super::calibration::{CalibrationArgs, Chosen};
use super::exit::Exit;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::progress::Progress;

/// Rounds, at least and at most; between them the time of a place decides.
const ROUNDS: (u32, u32) = (4, 40);
/// The same with `--quick`.
const QUICK_ROUNDS: (u32, u32) = (3, 10);
/// Cache that is assumed where the system does not tell.
const CACHE: u64 = 32 << 20;
/// Largest ring in which steps are also measured with keys and diagonals from caches; in larger ones they fit none.
const MAX_WARM_LOG_N: u32 = 12;

#[derive(Args, Debug)]
pub(crate) struct CalibrateArgs {
    /// Fewer places and rounds: under three minutes instead of fifteen, wider intervals
    #[arg(long)]
    quick: bool,
    /// Ring degrees to measure, as log2
    #[arg(long, value_name = "LOG_N", value_delimiter = ',', default_values_t = [11, 12, 13, 14, 15, 16],
          value_parser = clap::value_parser!(u32).range(11..=16))]
    log_n: Vec<u32>,
    /// Calibration of this machine to keep what it measured of other ring degrees from
    #[arg(long, value_name = "FILE")]
    extend: Option<PathBuf>,
    /// File to write; never one that exists [default: striae-calibration-DATE-N.toml in this folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    old: CalibrationArgs,
}

/// Runs `striae calibrate`.
pub(crate) fn run(args: &CalibrateArgs, threads: usize, output: Output) -> Outcome {
    let out = match &args.out {
        Some(path) => super::arch::must_be_new(path.clone())?,
        None => free_name(&today()),
    };
    let old = args.old.load(Output { quiet: true, ..output })?;
    let provenance = provenance(threads);
    let mut samples = match &args.extend {
        Some(path) => kept(path, &provenance, &args.log_n)?,
        None => Vec::new(),
    };
    samples.extend(take(&args.log_n, args.quick, threads, output)?);
    let new = Calibration::new(provenance, samples)?;
    new.save(&out)?;
    if output.json {
        let primitives: Vec<_> = Primitive::ALL.into_iter().map(|p| json(p, &new)).collect();
        let old = errors(&old.calibration, &new);
        let fits: Vec<_> =
            new.fits().iter().zip(old).map(|(fit, old)| json!({ "fit": fit, "old_error": old })).collect();
        output
            .value(&json!({ "file": out, "samples": new.samples().len(), "fits": fits, "primitives": primitives }))?;
    } else {
        print(&old.calibration, &new, output)?;
        output.line(format_args!("written: {}", out.display()))?;
        output.note(format_args!("use it with `--calibration {0}` or STRIAE_CALIBRATION={0}", out.display()));
    }
    Ok(Exit::Success)
}

/// The calibration at `path`; a quick one for small networks is made and saved there if there is none yet.
pub(crate) fn quick_at(path: &Path, output: Output) -> Result<Chosen, Failure> {
    let calibration = if path.exists() {
        Calibration::load(path)?
    } else {
        output.note("measuring the encrypted backend on this machine");
        let new = Calibration::new(provenance(1), take(&[13, 14], true, 1, output)?)?;
        new.save(path)?;
        new
    };
    Ok(Chosen { calibration, source: path.display().to_string() })
}

fn provenance(threads: usize) -> Provenance {
    Provenance {
        cpu: view::machine(1).cpu,
        simd: Simd::detect().name().to_owned(),
        threads,
        cache: last_level_cache().unwrap_or(CACHE),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        date: today(),
        generic: false,
    }
}

/// The samples of a calibration of this machine that are not to be measured anew.
fn kept(path: &Path, here: &Provenance, log_n: &[u32]) -> Result<Vec<Sample>, Failure> {
    let old = Calibration::load(path)?;
    let there = &old.provenance;
    if (&there.cpu, &there.simd, there.threads) != (&here.cpu, &here.simd, here.threads) {
        let of = |p: &Provenance| format!("{}, {}, {} threads", p.cpu, p.simd, p.threads);
        let message = format!("{}: was measured on another machine ({}; here {})", path.display(), of(there), of(here));
        return Err(Failure::bad_input(message, "extend a calibration of this machine, with the same --threads"));
    }
    Ok(old.samples().iter().filter(|s| !log_n.contains(&s.place.ring.log_n)).copied().collect())
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

/// One thread, and all.
fn pools(threads: usize) -> Result<Vec<ThreadPool>, Failure> {
    let counts = if threads == 1 { vec![1] } else { vec![1, threads] };
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().map_err(Failure::unexpected);
    counts.into_iter().map(pool).collect()
}

/// Measures all places, in random order: a machine that slows down for a while then slows no ring more than another.
fn take(log_n: &[u32], quick: bool, threads: usize, output: Output) -> Result<Vec<Sample>, Failure> {
    let mut places = places(log_n, quick)?;
    places.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    let pools = pools(threads)?;
    let (probes, (least, most)) = if quick { (&Probe::FEW[..], QUICK_ROUNDS) } else { (&Probe::ALL[..], ROUNDS) };
    let total: f64 = places.iter().map(|p| p.seconds).sum();
    let (mut done, mut samples) = (0.0, Vec::new());
    let started = Instant::now();
    let sweep = Sweep::default();
    let mut progress = Progress::new(output, 1000);
    for Place { params, seconds } in &places {
        let (ring, special) = (Ring::of(params, params.max_level()), params.log_p().len());
        let what =
            format!("{} ring, N = 2^{}, level {}, {special} special", ring.ring_type.name(), ring.log_n, ring.level);
        let limit = Duration::from_secs_f64(*seconds);
        let since = Instant::now();
        let left = (done > 0.0).then(|| started.elapsed().mul_f64(total / done - 1.0));
        progress.set((1000.0 * done / total) as u64, left, &what);
        let mut observer = |event| match event {
            MeasureEvent::Round { done, .. } if done >= least && since.elapsed() > limit => ControlFlow::Break(()),
            MeasureEvent::Ready | MeasureEvent::Round { .. } => ControlFlow::Continue(()),
        };
        let warm = params.log_n() <= MAX_WARM_LOG_N;
        samples.extend(measure_steps(params, (probes, &pools), (warm, most), &sweep, &mut observer)?);
        done += seconds;
    }
    Ok(samples.into_iter().map(rounded).collect())
}

/// Times with four digits: more would be noise.
fn rounded(sample: Sample) -> Sample {
    let round = |t: f64| {
        let unit = 10f64.powf(t.log10().floor() - 3.0);
        // Through text, so that the shortest number is kept and not one next to it.
        format!("{:.4e}", (t / unit).round() * unit).parse().unwrap_or(t)
    };
    Sample { seconds: round(sample.seconds), p10: round(sample.p10), p90: round(sample.p90), ..sample }
}

/// What a primitive takes in every ring and at every level that was measured, on one thread.
fn json(primitive: Primitive, new: &Calibration) -> serde_json::Value {
    let times: Vec<_> =
        new.rings().into_iter().map(|ring| json!({ "ring": ring, "seconds": new.seconds(primitive, ring) })).collect();
    json!({ "primitive": primitive.name(), "times": times })
}

/// Mean absolute relative error that an older calibration makes on the samples of each fit.
fn errors(old: &Calibration, new: &Calibration) -> Vec<f64> {
    let of = |fit: &Fit| {
        let old = old.clone().on_threads(fit.threads);
        let samples = new.samples().iter().filter(|s| {
            (s.place.ring.ring_type, s.place.ring.log_n, s.threads) == (fit.ring_type, fit.log_n, fit.threads)
        });
        let (sum, count) = samples.fold((0.0, 0.0), |(sum, count), s| {
            (sum + (old.probe_seconds(s) / s.undisturbed() - 1.0).abs(), count + 1.0)
        });
        sum / count
    };
    new.fits().iter().map(of).collect()
}

fn print(old: &Calibration, new: &Calibration, output: Output) -> Result<(), Failure> {
    let headings = ["threads", "steps", "error, old", "error, new", "held out"].map(|h| (h, Side::Right));
    let mut table = Table::new([("N", Side::Left), ("ring", Side::Left)].into_iter().chain(headings));
    for (fit, old) in new.fits().iter().zip(errors(old, new)) {
        let of_fit = |s: &&Sample| {
            (s.place.ring.ring_type, s.place.ring.log_n, s.threads) == (fit.ring_type, fit.log_n, fit.threads)
        };
        let steps = new.samples().iter().filter(of_fit).count();
        let cells =
            [format!("2^{}", fit.log_n), fit.ring_type.name().to_owned(), fit.threads.to_string(), steps.to_string()];
        table.push(cells.into_iter().chain([old, fit.error, fit.spread].map(|e| percent(e, 1))).map(Into::into));
    }
    output.table(&table)?;
    let standard = |ring: &Ring| ring.ring_type == RingType::Standard;
    let mut rings: Vec<Ring> = new.rings().into_iter().filter(standard).collect();
    // The deepest of each degree.
    rings.reverse();
    rings.dedup_by_key(|ring| ring.log_n);
    rings.reverse();
    let names: Vec<String> = rings.iter().map(|r| format!("2^{}, level {}, {}", r.log_n, r.level, r.special)).collect();
    let columns = [("primitive", Side::Left)].into_iter().chain(names.iter().map(|n| (n.as_str(), Side::Right)));
    let mut table = Table::new(columns);
    for primitive in Primitive::ALL {
        let times = rings.iter().map(|ring| seconds(new.seconds(primitive, *ring)));
        table.push([primitive.name().to_owned()].into_iter().chain(times).map(Into::into));
    }
    output.table(&table)
}
