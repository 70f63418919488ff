//! From probes to a bound.

use super::probes::{PROBES, Probes};

/// Probability that any of the slots an estimate speaks for exceeds its bound, as a power of two.
const LOG_FAILURE: f64 = -20.0;
/// Relative error of encoding and decoding in double precision, which no scale makes smaller.
const FLOATING_POINT: f64 = 1.0 / (1u64 << 50) as f64;

/// How far the slots of a value may be from the exact result, in units of the message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorEstimate {
    /// Largest standard deviation of a slot.
    pub sigma: f64,
    /// Largest magnitude of a slot.
    pub magnitude: f64,
    /// Slots it speaks for.
    pub slots: usize,
}

impl ErrorEstimate {
    /// The estimate for some slots of a value.
    pub(crate) fn of(values: &[f64], probes: &Probes, slots: impl IntoIterator<Item = usize>) -> Self {
        let (mut variance, mut magnitude, mut count) = (0f64, 0f64, 0);
        for slot in slots {
            variance = variance.max(probes.variance(slot));
            magnitude = magnitude.max(values[slot].abs());
            count += 1;
        }
        let floor = magnitude * FLOATING_POINT;
        Self { sigma: (variance + floor * floor).sqrt(), magnitude, slots: count }
    }

    /// The estimate for the slots of both.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        Self {
            sigma: self.sigma.max(other.sigma),
            magnitude: self.magnitude.max(other.magnitude),
            slots: self.slots + other.slots,
        }
    }

    /// No slot's error is larger, but with probability 2^-20.
    pub fn bound(&self) -> f64 {
        self.sigma * tail_factor(self.slots)
    }

    /// Bits of the largest value that are above the bound.
    pub fn precision_bits(&self) -> f64 {
        (self.magnitude / self.bound()).log2()
    }
}

/// How many estimated standard deviations the largest of `slots` errors may have.
///
/// Given the keys, errors are normal, but their variance differs from slot to slot with |s(zeta)|^2 and the like, which
/// are exponentially distributed. So over all keys a slot's error x follows Laplace's distribution,
/// P(|x| > t sigma) = exp(-sqrt(2) t). The estimate itself is s = sigma u from nu = 32 probes, nu u^2 being chi-squared with
/// nu degrees of freedom at worst. The factor c solves slots E[exp(-sqrt(2) c u)] = 2^-20.
fn tail_factor(slots: usize) -> f64 {
    const STEP: f64 = 1.0 / 128.0;
    let nu = PROBES as f64;
    let density = |u: f64| ((nu - 1.0) * u.ln() - nu * (u * u - 1.0) / 2.0).exp();
    let grid: Vec<(f64, f64)> = (1..512).map(|i| f64::from(i) * STEP).map(|u| (u, density(u))).collect();
    let total: f64 = grid.iter().map(|(_, weight)| weight).sum();
    let wanted = LOG_FAILURE.exp2() / slots.max(1) as f64 * total;
    let tail = |c: f64| grid.iter().map(|(u, weight)| weight * (-std::f64::consts::SQRT_2 * c * u).exp()).sum::<f64>();
    let (mut low, mut high) = (0.0, 256.0);
    while high - low > 1e-3 {
        let middle = f64::midpoint(low, high);
        if tail(middle) > wanted { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_factor_grows_slowly_with_the_slots() {
        // With a known deviation it would be ln(slots 2^20) / sqrt(2): 9.8, 15.7 and 17.2.
        let factors = [1, 1 << 12, 1 << 15].map(tail_factor);
        assert!(factors[0] > 9.8 && factors[0] < 12.0, "{factors:?}");
        assert!(factors[1] > 15.7 && factors[1] < 20.0, "{factors:?}");
        assert!(factors[2] > factors[1] && factors[2] < 22.0, "{factors:?}");
    }

    #[test]
    fn an_estimate_keeps_its_largest_slot() {
        let estimate = ErrorEstimate { sigma: 1e-6, magnitude: 2.0, slots: 10 };
        let other = ErrorEstimate { sigma: 3e-6, magnitude: 1.0, slots: 5 };
        assert_eq!(estimate.join(&other), ErrorEstimate { sigma: 3e-6, magnitude: 2.0, slots: 15 });
        assert!(estimate.bound() > 1e-5 && estimate.bound() < 1.5e-5);
        assert!((estimate.precision_bits() - (2.0 / estimate.bound()).log2()).abs() < 1e-12);
    }
}
