//! Learning rate: a linear warm-up, then one of three ways to the end.

use serde::{Deserialize, Serialize};

/// How the learning rate goes on after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Half a cosine to zero (Loshchilov and Hutter 2017).
    #[default]
    Cosine,
    /// A line to zero.
    Linear,
    /// Not at all.
    Constant,
}

impl Schedule {
    /// Learning rate of step `step` of `steps`, from 0; the share `warm_up` of them warms up.
    pub(crate) fn rate(self, peak: f64, warm_up: f64, step: usize, steps: usize) -> f64 {
        let (step, steps) = (step as f64, steps as f64);
        let warm = (warm_up * steps).max(1.0);
        if step < warm {
            return peak * (step + 1.0) / (warm + 1.0);
        }
        let progress = (step - warm) / (steps - warm).max(1.0);
        match self {
            Self::Cosine => peak * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Self::Linear => peak * (1.0 - progress),
            Self::Constant => peak,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls() {
        for schedule in [Schedule::Cosine, Schedule::Linear] {
            let rates: Vec<f64> = (0..200).map(|s| schedule.rate(0.1, 0.05, s, 200)).collect();
            assert!(rates[..10].windows(2).all(|w| w[0] < w[1]) && rates[11..].windows(2).all(|w| w[0] > w[1]));
            assert!(rates.iter().all(|r| (0.0..=0.1).contains(r)) && rates[199] < 1e-3);
            assert!(schedule.rate(0.1, 0.05, 0, 1) > 0.0);
        }
        assert!((1..200).all(|s| (Schedule::Constant.rate(0.1, 0.0, s, 200) - 0.1).abs() < 1e-12));
    }
}
