//! Times under the parameters that the lowering has met.

use crate::{
    Calibration, CkksParams, RingType,
    cache::{LevelTimes, LimbSizes},
    calibration::WordBytes,
    params::word_bytes,
};

use super::hash::HashMap;

/// What times depend on besides the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TimesKey {
    pub(super) ring: RingType,
    pub(super) log_n: u32,
    /// Special primes.
    pub(super) special: usize,
    /// Word sizes.
    pub(super) bytes: WordBytes,
    /// The smallest of all words.
    pub(super) least: u8,
}

impl TimesKey {
    /// That of a parameter set.
    pub(super) fn of(params: &CkksParams) -> Self {
        let (ring, log_n, special) = (params.ring(), params.log_n(), params.log_p().len());
        let least = params.log_q().iter().chain(params.log_p()).map(|&bits| word_bytes(bits) as u8).min().unwrap_or(0);
        Self { ring, log_n, special, bytes: WordBytes::of(params), least }
    }

    /// Least sizes of what a limb takes.
    pub(super) fn limb_sizes(&self) -> LimbSizes {
        let (n, word) = (1usize << self.log_n, u64::from(self.least));
        LimbSizes { special: self.special, diagonal: word * self.ring.slots(n) as u64, key: word * n as u64 }
    }
}

/// Times under some parameters.
pub(super) struct Times<'t> {
    pub(super) key: TimesKey,
    /// At each level that is needed.
    pub(super) levels: &'t [LevelTimes],
}

/// All times met so far.
#[derive(Clone, Default)]
pub(super) struct KnownTimes(HashMap<TimesKey, Vec<LevelTimes>>);

impl KnownTimes {
    /// Those under `params`, at least up to `level`.
    pub(super) fn up_to(&mut self, level: usize, params: &CkksParams, calibration: &Calibration) -> Times<'_> {
        let key = TimesKey::of(params);
        let levels = self.0.entry(key).or_default();
        levels.extend((levels.len()..=level).map(|level| LevelTimes::of(calibration, params, level)));
        Times { key, levels }
    }
}
