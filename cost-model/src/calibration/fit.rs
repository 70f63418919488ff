//! Non-negative least squares of measured times on the work of a primitive.

use nnls::nnls;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Primitive, Ring, Sample, Work};

/// `seconds = per_call + per_butterfly * butterflies + per_point * pointwise`, work in millions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// Seconds of a call that does nothing.
    pub per_call: f64,
    /// Seconds of a million butterflies.
    pub per_butterfly: f64,
    /// Seconds of a million pointwise operations.
    pub per_point: f64,
    /// Mean absolute relative error over the samples.
    pub error: f64,
}

/// A fit that cannot be made.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{primitive:?} has {samples} sample(s), at least 1 with a positive time is needed")]
pub struct FitError {
    /// The primitive.
    pub primitive: Primitive,
    /// Samples there are.
    pub samples: usize,
}

impl Fit {
    /// Fits the samples of one primitive in relative error: rows are divided by the measured time.
    pub fn of(primitive: Primitive, samples: &[&Sample]) -> Result<Self, FitError> {
        let usable: Vec<(&Ring, f64)> =
            samples.iter().filter(|s| s.seconds.is_finite() && s.seconds > 0.0).map(|s| (&s.ring, s.seconds)).collect();
        if usable.is_empty() {
            return Err(FitError { primitive, samples: samples.len() });
        }
        let rows = usable.iter().flat_map(|(ring, seconds)| {
            let work = Work::of(primitive, **ring);
            // A microsecond as the unit of the constant keeps the columns of like size.
            [1e-6 / seconds, 1e-3 * work.butterflies / seconds, 1e-3 * work.pointwise / seconds]
        });
        let matrix = ndarray::Array2::from_shape_vec((usable.len(), 3), rows.collect())
            .map_err(|_| FitError { primitive, samples: samples.len() })?;
        let ones = ndarray::Array1::from_elem(usable.len(), 1.0);
        let (x, _) = nnls(matrix.view(), ones.view());
        let mut fit = Self { per_call: x[0] * 1e-6, per_butterfly: x[1] * 1e-3, per_point: x[2] * 1e-3, error: 0.0 };
        let errors = usable.iter().map(|(ring, seconds)| (fit.seconds(primitive, **ring) / seconds - 1.0).abs());
        fit.error = errors.sum::<f64>() / usable.len() as f64;
        Ok(fit)
    }

    /// Predicted time.
    pub fn seconds(&self, primitive: Primitive, ring: Ring) -> f64 {
        let work = Work::of(primitive, ring);
        self.per_call + self.per_butterfly * work.butterflies + self.per_point * work.pointwise
    }
}
