//! From fits to times.

use crate::step_work::FEATURES;
use crate::{CkksParams, RingType};

use super::file::Calibration;
use super::fit::{Fit, time};
use super::primitive::{Place, Primitive, Ring, WordBytes};
use super::samples::Sample;
use super::times::OpTimes;
use super::units::{Unit, Units, units};

/// Largest ring whose keys and diagonals are so small that a part of them is found in caches, and how much of what a read
/// from memory costs is paid in it. Fitted to runs of random networks that are part of no report.
const PARTLY_CACHED: (u32, f64) = (12, 0.6);

impl Calibration {
    /// The fit for a ring: its own, else that of the nearest degree, else of the other ring.
    fn fit(&self, ring: RingType, log_n: u32) -> Option<&Fit> {
        let distance = |f: &&Fit| (f.threads != self.threads, f.log_n.abs_diff(log_n), f.ring_type != ring);
        self.fits.iter().min_by_key(distance)
    }

    /// Seconds of each unit in a ring.
    fn unit_seconds(&self, ring: RingType, log_n: u32) -> Units {
        let Some(fit) = self.fit(ring, log_n) else { return [f64::NAN; super::UNITS] };
        let mut seconds = fit.units();
        if fit.log_n != log_n {
            let words = f64::from(log_n as i32 - fit.log_n as i32).exp2();
            let levels = f64::from(log_n) / f64::from(fit.log_n);
            for (unit, seconds) in seconds.iter_mut().enumerate() {
                *seconds *= match unit {
                    u if u == Unit::Call as usize || u == Unit::Item as usize => 1.0,
                    u if u == Unit::Inverse as usize || u == Unit::Forward as usize => words * levels,
                    _ => words,
                };
            }
        }
        seconds
    }

    /// Relative half-width of an interval of about 90 % for a network with these parameters.
    pub fn spread(&self, params: &CkksParams) -> f64 {
        self.fit(params.ring(), params.log_n()).map_or(1.0, |fit| fit.spread)
    }

    /// Times of what steps do under `params` at `level`.
    pub fn times(&self, params: &CkksParams, level: usize) -> OpTimes {
        self.times_at(Place::of(params, level))
    }

    /// The same at a place.
    pub fn times_at(&self, place: Place) -> OpTimes {
        let per_feature: [Units; FEATURES] = units(place, self.threads);
        let (log_n, share) = PARTLY_CACHED;
        let from_memory = if place.ring.log_n <= log_n { share } else { 1.0 };
        OpTimes::new(&per_feature, &self.unit_seconds(place.ring.ring_type, place.ring.log_n), from_memory)
    }

    /// Seconds that a measured step should have taken, on the threads of the sample.
    pub fn probe_seconds(&self, sample: &Sample) -> f64 {
        let Ring { ring_type, log_n, .. } = sample.place.ring;
        time(&self.unit_seconds(ring_type, log_n), sample)
    }

    /// Seconds of a primitive, its keys and diagonals read as those of networks are.
    pub fn seconds(&self, primitive: Primitive, ring: Ring) -> f64 {
        let times = self.times_at(Place { ring, bytes: WordBytes::default() });
        primitive.features().iter().map(|feature| times.of(*feature)).sum()
    }
}
