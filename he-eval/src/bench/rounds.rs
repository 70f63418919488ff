//! Interleaved rounds and what is said of their times.

use std::ops::ControlFlow;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::HeError;

/// Times of one thing over rounds, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Median.
    pub median: f64,
    /// 10th percentile.
    pub p10: f64,
    /// 90th percentile.
    pub p90: f64,
    /// Rounds.
    pub rounds: u32,
}

impl Spread {
    /// Of these times; `None` of none.
    pub fn of(mut times: Vec<f64>) -> Option<Self> {
        times.sort_by(f64::total_cmp);
        let at = |q| quantile(&times, q);
        (!times.is_empty()).then(|| Self { median: at(0.5), p10: at(0.1), p90: at(0.9), rounds: times.len() as u32 })
    }
}

/// Quantile of sorted values, by linear interpolation.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = place.ceil() as usize;
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

/// How far a measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasureEvent {
    /// Keys and operands are there.
    Ready,
    /// A round is over.
    Round {
        /// Rounds done.
        done: u32,
        /// Of how many.
        total: u32,
    },
}

/// Hears how far a measurement is, and may end it: what is measured so far is kept.
pub(super) type Observer<'a> = dyn FnMut(MeasureEvent) -> ControlFlow<()> + 'a;

/// Times every item once per round. One more round than asked for runs first and is dropped: it fills caches and buffers.
/// Items that no round has timed are left out.
pub(super) fn interleave<T: Copy>(
    items: &[T],
    rounds: u32,
    time: &mut dyn FnMut(T) -> Result<f64, HeError>,
    observer: &mut Observer<'_>,
) -> Result<Vec<(T, Spread)>, HeError> {
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); items.len()];
    let mut order: Vec<usize> = (0..items.len()).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut flow = observer(MeasureEvent::Ready);
    for round in 0..=rounds {
        if flow.is_break() {
            break;
        }
        order.shuffle(&mut rng);
        for &i in &order {
            let seconds = time(items[i])?;
            if round > 0 {
                times[i].push(seconds);
            }
        }
        if round > 0 {
            flow = observer(MeasureEvent::Round { done: round, total: rounds });
        }
    }
    Ok(items.iter().zip(times).filter_map(|(&item, times)| Some((item, Spread::of(times)?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[7.0], 0.9), 7.0);
        assert_eq!(Spread::of(vec![]), None);
    }

    #[test]
    fn rounds_are_kept_when_the_observer_ends_them() {
        let mut calls = 0;
        let mut time = |item: u32| {
            calls += 1;
            Ok(f64::from(item))
        };
        let mut stop = |event| match event {
            MeasureEvent::Round { done: 2, .. } => ControlFlow::Break(()),
            MeasureEvent::Ready | MeasureEvent::Round { .. } => ControlFlow::Continue(()),
        };
        let found = interleave(&[3, 5], 9, &mut time, &mut stop).unwrap();
        assert_eq!(calls, 6, "a round that warms up and two that count");
        assert_eq!(found[1], (5, Spread { median: 5.0, p10: 5.0, p90: 5.0, rounds: 2 }));
        let none = interleave(&[3], 9, &mut |_| Ok(1.0), &mut |_| ControlFlow::Break(())).unwrap();
        assert!(none.is_empty());
    }
}
