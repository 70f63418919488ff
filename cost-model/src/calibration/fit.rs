//! Non-negative least squares of measured steps on the work they do.

use std::collections::{BTreeMap, BTreeSet};

use nnls::nnls;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::RingType;

use super::primitive::{Place, Ring};
use super::samples::Sample;
use super::units::{UNITS, Unit, Units, step_units};

/// Fewest samples a fit is made of.
const LEAST_SAMPLES: usize = 8;
/// A sample is disturbed where a fit says that it should have taken so much less.
const DISTURBED: f64 = 0.15;
/// Times that disturbed samples are looked for.
const TRIMMINGS: usize = 6;

/// What units of work take in rings of one kind and degree, on some threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// The ring.
    #[serde(default, rename = "type", skip_serializing_if = "RingType::is_standard")]
    pub ring_type: RingType,
    /// log2 of the ring degree.
    pub log_n: u32,
    /// Threads.
    pub threads: usize,
    /// Mean absolute relative error of a sample, disturbed ones left out.
    pub error: f64,
    /// Relative error that nine in ten of the measured places stay below, each predicted, all its steps together, by a fit
    /// of the others.
    pub spread: f64,
    /// Seconds of each unit.
    pub seconds: BTreeMap<String, f64>,
}

/// A fit that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("N = 2^{log_n} on {threads} thread(s) has {samples} sample(s), at least {LEAST_SAMPLES} are needed")]
pub struct FitError {
    /// log2 of the ring degree.
    pub log_n: u32,
    /// Threads.
    pub threads: usize,
    /// Samples there are.
    pub samples: usize,
}

impl Fit {
    /// Fits samples of one ring, degree and number of threads in relative error: rows are divided by the measured time.
    pub fn of(ring: Ring, threads: usize, samples: &[&Sample]) -> Result<Self, FitError> {
        let Ring { ring_type, log_n, .. } = ring;
        if samples.len() < LEAST_SAMPLES {
            return Err(FitError { log_n, threads, samples: samples.len() });
        }
        let (seconds, kept) = trimmed(samples);
        let errors = kept.iter().map(|s| (time(&seconds, s) / s.undisturbed() - 1.0).abs());
        let error = errors.sum::<f64>() / kept.len() as f64;
        let spread = held_out(&kept);
        let names = Unit::NAMES.iter().map(|name| (*name).to_owned());
        Ok(Self { ring_type, log_n, threads, error, spread, seconds: names.zip(seconds).collect() })
    }

    /// Seconds of each unit, in order.
    pub fn units(&self) -> Units {
        Unit::NAMES.map(|name| self.seconds.get(name).copied().unwrap_or(0.0))
    }
}

/// Work of a sample.
fn work(sample: &Sample) -> Units {
    let (at, behind) = sample.probe.work();
    let mut units = step_units(&at, sample.place, sample.threads);
    let more = step_units(&behind, sample.place.lower(), sample.threads);
    units.iter_mut().zip(more).for_each(|(u, m)| *u += m);
    if !sample.cold {
        units[Unit::KeyBytes as usize] = 0.0;
        units[Unit::DiagonalBytes as usize] = 0.0;
    }
    units
}

pub(super) fn time(seconds: &Units, sample: &Sample) -> f64 {
    work(sample).iter().zip(seconds).map(|(u, s)| u * s).sum()
}

/// The fit of the samples that were not disturbed, and these. Whatever else runs on a machine only adds time, so samples that
/// took much longer than a fit says are left out of the next, until none of the rest did.
fn trimmed<'s>(samples: &[&'s Sample]) -> (Units, Vec<&'s Sample>) {
    let mut kept = samples.to_vec();
    let mut seconds = solve(&kept);
    for _ in 0..TRIMMINGS {
        let calm = |s: &&&Sample| time(&seconds, s) >= (1.0 - DISTURBED) * s.undisturbed();
        let calm: Vec<&Sample> = samples.iter().filter(calm).copied().collect();
        if calm.len() < LEAST_SAMPLES || calm.len() == kept.len() {
            break;
        }
        kept = calm;
        seconds = solve(&kept);
    }
    (seconds, kept)
}

fn solve(samples: &[&Sample]) -> Units {
    let mut rows: Vec<Units> = samples.iter().map(|s| work(s).map(|u| u / s.undisturbed())).collect();
    // Columns of like size keep the solver exact.
    let mut scales = [0.0f64; UNITS];
    for row in &rows {
        scales.iter_mut().zip(row).for_each(|(scale, u)| *scale = scale.max(*u));
    }
    let scales = scales.map(|scale| if scale > 0.0 { scale } else { 1.0 });
    rows.iter_mut().for_each(|row| row.iter_mut().zip(&scales).for_each(|(u, scale)| *u /= scale));
    let matrix = ndarray::Array2::from_shape_fn((rows.len(), UNITS), |(i, j)| rows[i][j]);
    let (x, _) = nnls(matrix.view(), ndarray::Array1::ones(rows.len()).view());
    std::array::from_fn(|j| x[j] / scales[j])
}

/// Error of places that the fit has not seen, over all steps measured there: a network is such a sum.
fn held_out(samples: &[&Sample]) -> f64 {
    let places: BTreeSet<Place> = samples.iter().map(|s| s.place).collect();
    let mut errors: Vec<f64> = (places.iter())
        .filter_map(|place| {
            let (here, others): (Vec<&Sample>, Vec<&Sample>) = samples.iter().partition(|s| s.place == *place);
            (others.len() >= LEAST_SAMPLES).then(|| {
                let seconds = solve(&others);
                let predicted: f64 = here.iter().map(|s| time(&seconds, s)).sum();
                (predicted / here.iter().map(|s| s.undisturbed()).sum::<f64>() - 1.0).abs()
            })
        })
        .collect();
    errors.sort_by(f64::total_cmp);
    errors.get((0.9 * errors.len() as f64) as usize).or(errors.last()).copied().unwrap_or(0.0)
}
