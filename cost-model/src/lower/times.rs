//! Times under the parameters that the lowering has met.

use crate::{
    Calibration, CkksParams, RingType,
    calibration::{OpTimes, WordBytes},
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
}

impl TimesKey {
    /// That of a parameter set.
    pub(super) fn of(params: &CkksParams) -> Self {
        let (ring, log_n, special) = (params.ring(), params.log_n(), params.log_p().len());
        Self { ring, log_n, special, bytes: WordBytes::of(params) }
    }
}

/// Times under some parameters.
pub(super) struct Times<'t> {
    pub(super) key: TimesKey,
    /// At each level that is needed.
    pub(super) levels: &'t [OpTimes],
}

/// All times met so far.
#[derive(Clone, Default)]
pub(super) struct KnownTimes(HashMap<TimesKey, Vec<OpTimes>>);

impl KnownTimes {
    /// Those under `params`, at least up to `level`.
    pub(super) fn up_to(&mut self, level: usize, params: &CkksParams, calibration: &Calibration) -> Times<'_> {
        let key = TimesKey::of(params);
        let levels = self.0.entry(key).or_default();
        levels.extend((levels.len()..=level).map(|level| calibration.times(params, level)));
        Times { key, levels }
    }
}
