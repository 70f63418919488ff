//! Rank correlations, with bootstrap intervals.
//!
//! Ties share their mean rank (Spearman) or count as neither (Kendall's tau-b). A sample in which everything is equal has
//! no correlation: not a number.

use rand::RngExt;

use crate::Seed;

/// Resamples of a bootstrap.
const RESAMPLES: u64 = 2000;
/// Shares of the resamples below the ends of an interval, which covers 95 %.
const ENDS: [f64; 2] = [0.025, 0.975];

/// Spearman's rho.
pub fn spearman(x: &[f64], y: &[f64]) -> f64 {
    let (x, y) = (ranks(x), ranks(y));
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (mean_x, mean_y) = (mean(&x), mean(&y));
    let sum = |f: &dyn Fn(f64, f64) -> f64| x.iter().zip(&y).map(|(x, y)| f(x - mean_x, y - mean_y)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

/// Kendall's tau-b.
pub fn kendall(x: &[f64], y: &[f64]) -> f64 {
    let (mut both, mut in_x, mut in_y) = (0i64, 0i64, 0i64);
    for i in 0..x.len() {
        for j in 0..i {
            let (a, b) = (x[i].total_cmp(&x[j]) as i64, y[i].total_cmp(&y[j]) as i64);
            both += a * b;
            in_x += a.abs();
            in_y += b.abs();
        }
    }
    both as f64 / ((in_x * in_y) as f64).sqrt()
}

/// The central 95 % of a statistic over resamples of the pairs (percentile bootstrap).
pub fn interval(x: &[f64], y: &[f64], statistic: fn(&[f64], &[f64]) -> f64, seed: Seed) -> [f64; 2] {
    let resample = |i| {
        let mut rng = seed.child(i).rng();
        let picked: Vec<usize> = x.iter().map(|_| rng.random_range(0..x.len())).collect();
        let pick = |v: &[f64]| picked.iter().map(|&i| v[i]).collect::<Vec<_>>();
        statistic(&pick(x), &pick(y))
    };
    let mut values: Vec<f64> = (0..RESAMPLES).map(resample).filter(|v| v.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = share * values.len().saturating_sub(1) as f64;
        values.get(index.round() as usize).copied().unwrap_or(f64::NAN)
    };
    ENDS.map(at)
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |v: f64| values.iter().filter(|other| other.total_cmp(&v).is_lt()).count() as f64;
    let equal = |v: f64| values.iter().filter(|other| other.total_cmp(&v).is_eq()).count() as f64;
    values.iter().map(|&v| below(v) + f64::midpoint(1.0, equal(v))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlations_of_known_samples() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0];
        // By hand: squared rank differences add up to 2, so 1 - 6 * 2 / 120; one of ten pairs is swapped.
        let y = [3.0, 2.0, 4.0, 5.0, 6.0];
        assert!((spearman(&x, &y) - 0.9).abs() < 1e-12);
        assert!((kendall(&x, &y) - 0.8).abs() < 1e-12);
        // One tie in y: 9 concordant pairs of sqrt(10 * 9).
        let y = [1.0, 1.0, 2.0, 3.0, 4.0];
        assert!((kendall(&x, &y) - 9.0 / 90f64.sqrt()).abs() < 1e-12);
        assert!((spearman(&x, &y) - 9.5 / 95f64.sqrt()).abs() < 1e-12);
        let falling: Vec<f64> = x.iter().map(|v| -v).collect();
        assert_eq!((spearman(&x, &falling), kendall(&x, &falling)), (-1.0, -1.0));
        assert!(spearman(&x, &[1.0; 5]).is_nan() && kendall(&x, &[1.0; 5]).is_nan());
    }

    #[test]
    fn ranks_of_equal_values_are_shared() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
        assert!((spearman(&[1.0, 2.0, 3.0], &[9.0, 4.0, 1.0]) + 1.0).abs() < 1e-12);
        // By hand: ranks (1, 2.5, 2.5, 4) and (1, 3, 2, 4).
        let expected = 4.5 / (4.5f64 * 5.0).sqrt();
        assert!((spearman(&[1.0, 2.0, 2.0, 5.0], &[0.1, 0.7, 0.3, 0.9]) - expected).abs() < 1e-12);
    }

    #[test]
    fn intervals_hold_the_statistic_and_repeat() {
        let x: Vec<f64> = (0..60).map(f64::from).collect();
        let y: Vec<f64> = x.iter().map(|v| v + 25.0 * (v * 12.9898).sin()).collect();
        let [low, high] = interval(&x, &y, spearman, Seed(1));
        let value = spearman(&x, &y);
        assert!(low < value && value < high && high < 1.0 && high - low < 0.4, "{low} {value} {high}");
        assert_eq!([low, high], interval(&x, &y, spearman, Seed(1)));
    }
}
