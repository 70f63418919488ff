//! Learning rate: linear warm-up, then a cosine to zero (Loshchilov and Hutter 2017).

/// Fraction of all steps that warm up.
const WARM_UP: f64 = 0.05;

/// Learning rate of step `step` of `steps`, from 0.
pub(crate) fn learning_rate(peak: f64, step: usize, steps: usize) -> f64 {
    let (step, steps) = (step as f64, steps as f64);
    let warm = (WARM_UP * steps).max(1.0);
    if step < warm {
        peak * (step + 1.0) / (warm + 1.0)
    } else {
        let progress = (step - warm) / (steps - warm).max(1.0);
        peak * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls() {
        let rates: Vec<f64> = (0..200).map(|s| learning_rate(0.1, s, 200)).collect();
        assert!(rates[..10].windows(2).all(|w| w[0] < w[1]) && rates[11..].windows(2).all(|w| w[0] > w[1]));
        assert!(rates.iter().all(|r| (0.0..=0.1).contains(r)) && rates[199] < 1e-4);
        assert!(learning_rate(0.1, 0, 1) > 0.0);
    }
}
