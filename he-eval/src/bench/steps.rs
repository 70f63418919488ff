//! Measurement of canonical steps, for calibration.

use std::ops::ControlFlow;

use rayon::ThreadPool;
use striae_cost_model::CkksParams;
use striae_cost_model::calibration::{Place, Probe, Sample};

use crate::HeError;
use crate::rns::StepProbe;

use super::rounds::{MeasureEvent, Spread, interleave};
use super::sweep::Sweep;

/// One thing that is timed: which probe, whether cold, on which threads.
type Item = (usize, bool, usize);

/// Times probes at the highest level of a chain, at least 1, on each of these pools: with keys and diagonals from memory and, if
/// `warm`, also from caches. Samples are in the order of the pools. The observer may end it early.
pub fn measure_steps(
    params: &CkksParams,
    (probes, pools): (&[Probe], &[ThreadPool]),
    (warm, rounds): (bool, u32),
    sweep: &Sweep,
    observer: &mut dyn FnMut(MeasureEvent) -> ControlFlow<()>,
) -> Result<Vec<Sample>, HeError> {
    if params.max_level() == 0 {
        return Err(HeError::LevelExhausted { op: "measure" });
    }
    let Some(widest) = pools.last() else { return Ok(Vec::new()) };
    let made = widest.install(|| StepProbe::new(params, probes))?;
    let modes: &[bool] = if warm { &[true, false] } else { &[true] };
    let of_pool = |pool| (0..probes.len()).flat_map(move |i| modes.iter().map(move |&cold| (i, cold, pool)));
    let items: Vec<Item> = (0..pools.len()).flat_map(of_pool).collect();
    let mut time = |(i, cold, pool): Item| pools[pool].install(|| made.time(i, cold, sweep));
    let measured = interleave(&items, rounds, &mut time, observer)?;
    let place = Place::of(params, params.max_level());
    let sample = |((i, cold, pool), Spread { median: seconds, p10, p90, rounds }): (Item, Spread)| {
        let threads = pools[pool].current_num_threads();
        Sample { probe: probes[i], place, threads, cold, seconds, p10, p90, rounds }
    };
    Ok(measured.into_iter().map(sample).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_probe_is_measured() {
        let params: CkksParams = "N=2^11 Q=36,26,26 P=37 scale=2^26 insecure".parse().unwrap();
        let pools = [1, 2].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap());
        let (mut events, sweep) = (0, Sweep::default());
        let mut observer = |_| {
            events += 1;
            ControlFlow::Continue(())
        };
        let samples = measure_steps(&params, (&Probe::ALL, &pools), (true, 2), &sweep, &mut observer).unwrap();
        assert_eq!((events, samples.len()), (3, 4 * Probe::ALL.len()));
        for (i, s) in samples.iter().enumerate() {
            assert!(0.0 < s.p10 && s.p10 <= s.seconds && s.seconds <= s.p90 && s.rounds == 2, "{s:?}");
            assert_eq!((s.place, s.threads), (Place::of(&params, 2), 1 + 2 * i / samples.len()));
        }
        let flat: CkksParams = "N=2^11 Q=36 P=37 scale=2^26 insecure".parse().unwrap();
        let mut ignore = |_| ControlFlow::Continue(());
        assert!(measure_steps(&flat, (&Probe::ALL, &pools), (true, 2), &sweep, &mut ignore).is_err());
    }
}
