//! Calibration files: measured steps, the fit beside them, and where they come from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::fit::{Fit, FitError};
use super::primitive::Ring;
use super::samples::{Measured, Provenance, Sample};
use super::units::Unit;

/// Version of the file format.
pub const FORMAT_VERSION: u32 = 2;

/// Samples and their fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Where it comes from.
    pub provenance: Provenance,
    pub(super) fits: Vec<Fit>,
    samples: Vec<Sample>,
    /// Threads that times are for.
    pub(super) threads: usize,
}

/// As files hold it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    provenance: Provenance,
    fits: Vec<Fit>,
    measured: Vec<Measured>,
}

/// A calibration that cannot be read, written or made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// File access.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// Not a calibration.
    #[error("{path}: not a calibration file: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Cause.
        reason: String,
    },
    /// A format of another version.
    #[error("{path}: format version {found} is not supported, this Striae reads {FORMAT_VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Version found.
        found: i64,
    },
    /// The file is there already.
    #[error("{path} exists; calibrations are never overwritten")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Too few samples.
    #[error(transparent)]
    Fit(#[from] FitError),
}

impl Calibration {
    /// Fits `samples`, each ring, degree and number of threads on its own; times are for one thread until
    /// [`Self::on_threads`] says otherwise.
    pub fn new(provenance: Provenance, mut samples: Vec<Sample>) -> Result<Self, FitError> {
        samples.sort_by_key(|s| (s.place.ring.ring_type, s.place.ring.log_n, s.threads, s.place));
        let kind = |s: &Sample| (s.place.ring.ring_type, s.place.ring.log_n, s.threads);
        let of_kind = |of_kind: &[Sample]| {
            Fit::of(of_kind[0].place.ring, of_kind[0].threads, &of_kind.iter().collect::<Vec<_>>())
        };
        let fits: Vec<Fit> = samples.chunk_by(|a, b| kind(a) == kind(b)).map(of_kind).collect::<Result<_, _>>()?;
        if !fits.iter().any(|fit| fit.threads == 1) {
            return Err(FitError { log_n: 0, threads: 1, samples: 0 });
        }
        Ok(Self { provenance, fits, samples, threads: 1 })
    }

    /// The calibration that ships with the crate, of an AVX-512 machine; estimates made with it say so.
    pub fn generic() -> Self {
        Self::shipped(include_str!("../../data/generic-avx512.toml"))
    }

    /// The one that ships for machines whose kernels use these instructions, as [`Provenance::simd`] names them.
    pub fn generic_for(simd: &str) -> Self {
        if simd == "avx512ifma" {
            Self::generic()
        } else {
            Self::shipped(include_str!("../../data/generic-portable.toml"))
        }
    }

    fn shipped(text: &str) -> Self {
        let parsed = Self::from_toml(text, Path::new("generic"));
        #[expect(clippy::expect_used, reason = "the files are part of the crate and a test reads them")]
        parsed.expect("the shipped calibration is valid")
    }

    /// The same with times for this many threads, or for the most that were measured below.
    #[must_use]
    pub fn on_threads(self, threads: usize) -> Self {
        let measured: BTreeSet<usize> = self.fits.iter().map(|fit| fit.threads).collect();
        Self { threads: measured.range(..=threads).next_back().copied().unwrap_or(1), ..self }
    }

    /// Threads that times are for.
    pub const fn threads(&self) -> usize {
        self.threads
    }

    /// Raw data.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The fits, by ring, degree and threads.
    pub fn fits(&self) -> &[Fit] {
        &self.fits
    }

    /// Rings and levels that were measured, ascending.
    pub fn rings(&self) -> Vec<Ring> {
        let rings: BTreeSet<Ring> = self.samples.iter().map(|s| s.place.ring).collect();
        rings.into_iter().collect()
    }

    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, CalibrationError> {
        let io = |source| CalibrationError::Io { path: path.to_owned(), source };
        Self::from_toml(&fs_err::read_to_string(path).map_err(io)?, path)
    }

    /// Reads the text of a file; `path` is where it came from, for messages.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, CalibrationError> {
        let format = |reason: String| CalibrationError::Format { path: path.to_owned(), reason };
        let parse = |e: toml::de::Error| format(e.message().replace('\n', " "));
        let table: toml::Table = toml::from_str(text).map_err(parse)?;
        // The version first: another format may have fields that this one does not know.
        match table.get("version").and_then(toml::Value::as_integer) {
            Some(found) if found != i64::from(FORMAT_VERSION) => {
                return Err(CalibrationError::Version { path: path.to_owned(), found });
            }
            Some(_) | None => {}
        }
        let stored: Stored = table.try_into().map_err(parse)?;
        check_fits(&stored.fits).map_err(format)?;
        let mut samples = Vec::new();
        for (i, measured) in stored.measured.iter().enumerate() {
            samples.extend(measured.samples().map_err(|e| format(format!("measured[{i}] {e}")))?);
        }
        Ok(Self { provenance: stored.provenance, fits: stored.fits, samples, threads: 1 })
    }

    /// The text of its file.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(&Stored {
            version: FORMAT_VERSION,
            provenance: self.provenance.clone(),
            fits: self.fits.clone(),
            measured: Measured::group(&self.samples),
        })
    }

    /// Writes a new file, by rename; refuses to overwrite one.
    pub fn save(&self, path: &Path) -> Result<(), CalibrationError> {
        if path.exists() {
            return Err(CalibrationError::Exists { path: path.to_owned() });
        }
        let io = |source| CalibrationError::Io { path: path.to_owned(), source };
        let format = |e: toml::ser::Error| CalibrationError::Format { path: path.to_owned(), reason: e.to_string() };
        let text = self.to_toml().map_err(format)?;
        let partial = path.with_extension("partial");
        fs_err::write(&partial, text).map_err(io)?;
        fs_err::rename(&partial, path).map_err(io)
    }
}

/// What is wrong with the values, if anything: coefficients must be there, finite and not negative, or estimates would be
/// nonsense.
fn check_fits(fits: &[Fit]) -> Result<(), String> {
    if !fits.iter().any(|fit| fit.threads == 1) {
        return Err("fits: there is none of one thread".to_owned());
    }
    let sound = |v: f64| v.is_finite() && v >= 0.0;
    for (i, fit) in fits.iter().enumerate() {
        if let Some(name) = Unit::NAMES.into_iter().find(|name| !fit.seconds.contains_key(*name)) {
            return Err(format!("fits[{i}].seconds.{name} is missing"));
        }
        let bad = fit.seconds.iter().find(|(name, seconds)| !sound(**seconds) || !Unit::NAMES.contains(&name.as_str()));
        if let Some((name, _)) = bad {
            return Err(format!("fits[{i}].seconds.{name} is negative, not finite, or of no unit"));
        }
        if !sound(fit.error) || !sound(fit.spread) {
            return Err(format!("fits[{i}] has an error or spread that is negative or not finite"));
        }
        if !(1..=20).contains(&fit.log_n) || fit.threads == 0 {
            return Err(format!("fits[{i}] is of no ring: log_n within 1 to 20, threads at least 1"));
        }
    }
    Ok(())
}
