//! Calibration files: raw samples, the fit beside them, and where they come from.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::CkksParams;

use super::{Fit, FitError, OpTimes, Primitive, Ring};

/// Version of the file format.
pub const FORMAT_VERSION: u32 = 1;

/// One measured primitive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// What was measured.
    pub primitive: Primitive,
    /// Where.
    pub ring: Ring,
    /// Median.
    pub seconds: f64,
    /// 10th percentile.
    pub p10: f64,
    /// 90th percentile.
    pub p90: f64,
    /// Rounds the figures come from.
    pub rounds: u32,
}

/// Where a calibration comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Processor.
    pub cpu: String,
    /// Vector instructions the kernels used.
    pub simd: String,
    /// Threads.
    pub threads: usize,
    /// Version of Striae.
    pub version: String,
    /// Day of the measurement, UTC.
    pub date: String,
    /// Whether it was measured on another machine and ships as a default.
    #[serde(default)]
    pub generic: bool,
}

/// Samples and their fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    version: u32,
    /// Where it comes from.
    pub provenance: Provenance,
    fits: BTreeMap<Primitive, Fit>,
    samples: Vec<Sample>,
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
    /// A newer format.
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
    /// Fits `samples`; every primitive must be among them.
    pub fn new(provenance: Provenance, samples: Vec<Sample>) -> Result<Self, FitError> {
        let fits = Primitive::ALL
            .into_iter()
            .map(|p| {
                let of_primitive: Vec<&Sample> = samples.iter().filter(|s| s.primitive == p).collect();
                Ok((p, Fit::of(p, &of_primitive)?))
            })
            .collect::<Result<_, FitError>>()?;
        Ok(Self { version: FORMAT_VERSION, provenance, fits, samples })
    }

    /// The calibration that ships with the crate, of an AVX-512 machine; estimates made with it say so.
    pub fn generic() -> Self {
        let text = include_str!("../../data/generic-avx512.toml");
        let parsed = toml::from_str(text);
        #[expect(clippy::expect_used, reason = "the file is part of the crate and a test reads it")]
        parsed.expect("the shipped calibration is valid")
    }

    /// Relative error of the worst fit that programs depend on most: rotations, diagonals, squares.
    pub fn spread(&self) -> f64 {
        let weighty = [Primitive::RotationHoisted, Primitive::PlainMultExtended, Primitive::Square];
        weighty.iter().filter_map(|p| self.fits.get(p)).map(|f| f.error).fold(0.0, f64::max)
    }

    /// Raw data.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Fit of a primitive.
    pub fn fit(&self, primitive: Primitive) -> Option<&Fit> {
        self.fits.get(&primitive)
    }

    /// Seconds of a primitive: measured where that very ring and level was, else from the fit.
    pub fn seconds(&self, primitive: Primitive, ring: Ring) -> f64 {
        let measured = self.samples.iter().find(|s| s.primitive == primitive && s.ring == ring);
        match (measured, self.fits.get(&primitive)) {
            (Some(sample), _) => sample.seconds,
            (None, Some(fit)) => fit.seconds(primitive, ring),
            (None, None) => f64::NAN,
        }
    }

    /// Times of the primitives of a program at `level`.
    pub fn times(&self, params: &CkksParams, level: usize) -> OpTimes {
        let ring = Ring::of(params, level);
        let t = |primitive| self.seconds(primitive, ring);
        OpTimes {
            hoist: t(Primitive::Hoist),
            rotation_hoisted: t(Primitive::RotationHoisted),
            giant_step: t(Primitive::GiantStep),
            rotation_full: t(Primitive::RotationFull),
            plain_mult_extended: t(Primitive::PlainMultExtended),
            plain_mult: t(Primitive::PlainMult),
            mod_down: t(Primitive::ModDown),
            mod_down_rescale: t(Primitive::ModDownRescale),
            rescale: t(Primitive::Rescale),
            square: t(Primitive::Square),
            add: t(Primitive::Add),
            plain_add: t(Primitive::PlainAdd),
        }
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
        // The version first: a newer format may have fields that this one does not know.
        match table.get("version").and_then(toml::Value::as_integer) {
            Some(found) if found != i64::from(FORMAT_VERSION) => {
                return Err(CalibrationError::Version { path: path.to_owned(), found });
            }
            Some(_) | None => {}
        }
        let calibration: Self = table.try_into().map_err(parse)?;
        calibration.check().map_err(format)?;
        Ok(calibration)
    }

    /// What is wrong with the values, if anything: times and coefficients must be finite and not negative, or estimates
    /// would be nonsense.
    fn check(&self) -> Result<(), String> {
        if let Some(p) = Primitive::ALL.into_iter().find(|p| !self.fits.contains_key(p)) {
            return Err(format!("fits.{} is missing", p.name()));
        }
        let sound = |v: f64| v.is_finite() && v >= 0.0;
        for (primitive, fit) in &self.fits {
            let fields = [fit.per_call, fit.per_butterfly, fit.per_point, fit.error];
            if !fields.into_iter().all(sound) {
                return Err(format!("fits.{} has a coefficient that is negative or not finite", primitive.name()));
            }
        }
        for (i, sample) in self.samples.iter().enumerate() {
            if !(sound(sample.seconds) && sample.seconds > 0.0 && sound(sample.p10) && sound(sample.p90)) {
                let primitive = sample.primitive.name();
                return Err(format!("samples[{i}] ({primitive}) has a time that is not positive and finite"));
            }
            if !(1..=20).contains(&sample.ring.log_n) || sample.ring.special == 0 {
                return Err(format!("samples[{i}].ring is no ring: log_n within 1 to 20, special at least 1"));
            }
        }
        Ok(())
    }

    /// Writes a new file, by rename; refuses to overwrite one.
    pub fn save(&self, path: &Path) -> Result<(), CalibrationError> {
        if path.exists() {
            return Err(CalibrationError::Exists { path: path.to_owned() });
        }
        let io = |source| CalibrationError::Io { path: path.to_owned(), source };
        let format = |e: toml::ser::Error| CalibrationError::Format { path: path.to_owned(), reason: e.to_string() };
        let text = toml::to_string(self).map_err(format)?;
        let partial = path.with_extension("partial");
        fs_err::write(&partial, text).map_err(io)?;
        fs_err::rename(&partial, path).map_err(io)
    }
}
