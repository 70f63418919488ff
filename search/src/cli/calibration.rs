//! `--calibration`: which measured times the estimates use.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use striae_cost_model::Calibration;
use striae_he_eval::Simd;
use striae_search::view;

use super::failure::Failure;
use super::output::Output;

/// Environment variable that names a calibration file.
const VARIABLE: &str = "STRIAE_CALIBRATION";

/// The calibration to use.
#[derive(Args, Clone, Debug)]
pub(crate) struct CalibrationArgs {
    /// Calibration file that `striae calibrate` wrote; else that of STRIAE_CALIBRATION, else the one shipped with Striae
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
}

/// A calibration and where it comes from.
pub(crate) struct Chosen {
    /// The times.
    pub(crate) calibration: Calibration,
    /// File, or `generic`.
    pub(crate) source: String,
}

/// What JSON output says of it.
#[derive(Serialize)]
pub(crate) struct Source<'a> {
    file: &'a str,
    generic: bool,
    cpu: &'a str,
    simd: &'a str,
    date: &'a str,
    /// Threads that times are for.
    threads: usize,
}

impl CalibrationArgs {
    /// Whether the user named one.
    pub(crate) fn is_given(&self) -> bool {
        self.path().is_some()
    }

    fn path(&self) -> Option<PathBuf> {
        let named = std::env::var_os(VARIABLE).filter(|v| !v.is_empty());
        self.calibration.clone().or(named.map(PathBuf::from))
    }

    /// Loads it, and says so where it was not measured on this machine.
    pub(crate) fn load(&self, output: Output) -> Result<Chosen, Failure> {
        let chosen = match self.path() {
            Some(path) => Chosen { calibration: Calibration::load(&path)?, source: path.display().to_string() },
            None => {
                Chosen { calibration: Calibration::generic_for(Simd::detect().name()), source: "generic".to_owned() }
            }
        };
        if chosen.calibration.provenance.generic {
            output.note(format_args!(
                "times are those of another machine ({}): measure this one with `striae calibrate` and pass \
                 `--calibration FILE` or set STRIAE_CALIBRATION",
                chosen.calibration.provenance.cpu
            ));
        }
        if let Some(difference) = chosen.difference().filter(|_| !output.quiet) {
            output.warn(format_args!(
                "{}: the calibration is of another machine ({difference}): measure this one with `striae calibrate` and pass \
                 its file with `--calibration FILE`",
                chosen.source
            ));
        }
        Ok(chosen)
    }
}

impl Chosen {
    /// With times for so many threads, or for the most below that were measured, which is said then.
    pub(crate) fn on_threads(self, threads: usize, output: Output) -> Self {
        let chosen = Self { calibration: self.calibration.on_threads(threads), ..self };
        if chosen.calibration.threads() < threads {
            output.note(format_args!(
                "no times were measured on {threads} threads: those on {} are given",
                chosen.calibration.threads()
            ));
        }
        chosen
    }

    /// `one thread`, `2 threads`.
    pub(crate) fn threads(&self) -> String {
        match self.calibration.threads() {
            1 => "one thread".to_owned(),
            threads => format!("{threads} threads"),
        }
    }

    /// How the machine that was measured differs from this one; the shipped calibrations are of another one anyway.
    fn difference(&self) -> Option<String> {
        let there = &self.calibration.provenance;
        let (cpu, simd) = (view::machine(1).cpu, Simd::detect().name());
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        if there.generic {
            None
        } else if there.cpu != cpu {
            Some(format!("{}, here {cpu}", there.cpu))
        } else if there.simd != simd {
            Some(format!("{} kernels, here {simd}", there.simd))
        } else {
            (there.threads > cores).then(|| format!("{} threads, here {cores}", there.threads))
        }
    }

    /// For JSON.
    pub(crate) fn as_source(&self) -> Source<'_> {
        let p = &self.calibration.provenance;
        let threads = self.calibration.threads();
        Source { file: &self.source, generic: p.generic, cpu: &p.cpu, simd: &p.simd, date: &p.date, threads }
    }

    /// For a person, in one line.
    pub(crate) fn describe(&self) -> String {
        let p = &self.calibration.provenance;
        format!("{} ({}, {}, {})", self.source, p.cpu, p.simd, p.date)
    }
}
