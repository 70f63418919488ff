//! What was measured, and where it comes from.

use serde::{Deserialize, Serialize};

use super::primitive::Place;
use super::probes::Probe;

/// One measured step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// What was measured.
    pub probe: Probe,
    /// Where.
    pub place: Place,
    /// On how many threads.
    pub threads: usize,
    /// Whether keys and diagonals came from memory rather than from caches.
    pub cold: bool,
    /// Median.
    pub seconds: f64,
    /// 10th percentile.
    pub p10: f64,
    /// 90th percentile.
    pub p90: f64,
    /// Rounds the figures come from.
    pub rounds: u32,
}

impl Sample {
    /// Seconds where nothing else disturbs: whatever else runs on a machine, or beside it on the same host, only adds to a
    /// time, so the least of several tell what the step itself takes.
    pub const fn undisturbed(&self) -> f64 {
        self.p10
    }
}

/// Where a calibration comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Processor.
    pub cpu: String,
    /// Vector instructions the kernels used.
    pub simd: String,
    /// Most threads that were measured.
    pub threads: usize,
    /// Bytes of the last-level cache.
    pub cache: u64,
    /// Version of Striae.
    pub version: String,
    /// Day of the measurement, UTC.
    pub date: String,
    /// Whether it was measured on another machine and ships as a default.
    #[serde(default)]
    pub generic: bool,
}

/// Samples of one place as files hold them: probe, whether cold, median, 10th and 90th percentile, rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measured {
    pub(super) threads: usize,
    pub(super) place: Place,
    pub(super) steps: Vec<(String, bool, f64, f64, f64, u32)>,
}

impl Measured {
    /// Samples by place and number of threads, in their order.
    pub(super) fn group(samples: &[Sample]) -> Vec<Self> {
        let same = |a: &Sample, b: &Sample| (a.place, a.threads) == (b.place, b.threads);
        let row = |s: &Sample| (s.probe.to_string(), s.cold, s.seconds, s.p10, s.p90, s.rounds);
        let group = |group: &[Sample]| Self {
            threads: group[0].threads,
            place: group[0].place,
            steps: group.iter().map(row).collect(),
        };
        samples.chunk_by(same).map(group).collect()
    }

    /// The samples, or what is wrong with them.
    pub(super) fn samples(&self) -> Result<Vec<Sample>, String> {
        let Self { threads, place, steps } = self;
        let ring = place.ring;
        if !(1..=20).contains(&ring.log_n) || ring.special == 0 || ring.level == 0 || *threads == 0 {
            return Err("is at no place: log_n within 1 to 20, level, special and threads at least 1".to_owned());
        }
        let sample = |(probe, cold, seconds, p10, p90, rounds): &(String, bool, f64, f64, f64, u32)| {
            let sound = |v: f64| v.is_finite() && v > 0.0;
            if !(sound(*seconds) && sound(*p10) && sound(*p90)) {
                return Err(format!("has a time of `{probe}` that is not positive and finite"));
            }
            let (seconds, p10, p90) = (*seconds, *p10, *p90);
            Ok(Sample {
                probe: probe.parse()?,
                place: *place,
                threads: *threads,
                cold: *cold,
                seconds,
                p10,
                p90,
                rounds: *rounds,
            })
        };
        steps.iter().map(sample).collect()
    }
}
