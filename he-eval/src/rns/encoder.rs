//! Canonical embedding of real slots (Cheon, Kim, Kim and Song, 2017).
//!
//! Slot j is the value of the polynomial at zeta^(5^j), zeta = exp(i pi / N). The transforms are the special FFT of that
//! paper's library: butterflies in slot order with twiddles zeta^(5^j mod 4 len). A real vector gives an antisymmetric
//! polynomial, c_(N-k) = -c_k and c_(N/2) = 0; rounding keeps this exactly, which is what lets encoded diagonals be
//! stored by half (see `ntt`).
//!
//! In the conjugate-invariant ring of degree N slot j is the value at zeta^(5^j) with zeta = exp(i pi / 2N): the slots of
//! the standard ring of degree 2N, whose antisymmetric coefficients 0 .. N - 1 are those of a_0 + sum_i a_i (X^i + X^-i).

use std::f64::consts::PI;

use striae_cost_model::RingType;
use zeroize::{Zeroize, Zeroizing};

use crate::HeError;

/// Size below which coefficients take the vector path.
const SMALL: f64 = (1u64 << 62) as f64;
/// Size below which coefficients fit 128-bit integers.
const LARGE_LOG: f64 = 126.0;

/// Rounded integer coefficients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Coefficients {
    /// All below 2^63 in size.
    Small(Vec<i64>),
    /// Any size.
    Large(Vec<i128>),
}

impl Zeroize for Coefficients {
    fn zeroize(&mut self) {
        match self {
            Self::Small(c) => c.zeroize(),
            Self::Large(c) => c.zeroize(),
        }
    }
}

/// Tables of one ring degree.
#[derive(Debug)]
pub(crate) struct Encoder {
    ring: RingType,
    slots: usize,
    /// For each length 2, 4, .. slots the twiddles of its half: the stage of length len starts at len/2 - 1.
    twiddles: Vec<[f64; 2]>,
}

impl Encoder {
    /// Tables for ring degree n.
    pub(crate) fn new(ring: RingType, n: usize) -> Self {
        let slots = ring.slots(n);
        let mut twiddles = Vec::with_capacity(slots);
        let mut half = 1;
        while half < slots {
            let order = 8 * half;
            let mut power = 1;
            for _ in 0..half {
                let angle = 2.0 * PI * power as f64 / order as f64;
                twiddles.push([angle.cos(), angle.sin()]);
                power = power * 5 % order;
            }
            half *= 2;
        }
        Self { ring, slots, twiddles }
    }

    /// Refuses what is not a vector of finite numbers of the right length; gives the largest size.
    pub(crate) fn check(&self, values: &[f64]) -> Result<f64, HeError> {
        if values.len() != self.slots {
            return Err(HeError::Length { what: "slot vector", got: values.len(), expected: self.slots });
        }
        if let Some(slot) = values.iter().position(|v| !v.is_finite()) {
            return Err(HeError::NotFinite { slot, value: values[slot] });
        }
        Ok(values.iter().fold(0.0, |m, v| v.abs().max(m)))
    }

    /// The integer polynomial nearest to `scale` times the one with these slots.
    pub(crate) fn encode(&self, values: &[f64], scale: f64, level: usize, log_q: f64) -> Result<Coefficients, HeError> {
        if !(scale.is_finite() && scale > 0.0) {
            return Err(HeError::BadScale { scale });
        }
        let largest = self.check(values)? * scale;
        let log_value = largest.log2();
        if log_value >= log_q - 1.0 || log_value >= LARGE_LOG {
            return Err(HeError::TooLarge { op: "encode", log_value, level, log_q });
        }
        let half = Zeroizing::new(self.real_half(values, scale));
        Ok(if largest < SMALL {
            Coefficients::Small(self.coefficients(&half, |v| v.round() as i64))
        } else {
            Coefficients::Large(self.coefficients(&half, |v| v.round() as i128))
        })
    }

    /// All coefficients from as many as there are slots, rounded.
    fn coefficients<T>(&self, first: &[f64], round: impl Fn(f64) -> T) -> Vec<T>
    where
        T: Copy + Default + std::ops::Neg<Output = T>,
    {
        match self.ring {
            RingType::Standard => antisymmetric(first, round),
            RingType::ConjugateInvariant => first.iter().map(|&v| round(v)).collect(),
        }
    }

    /// As many coefficients as there are slots, scaled but not rounded; antisymmetry gives the others.
    fn real_half(&self, values: &[f64], scale: f64) -> Vec<f64> {
        let mut x: Zeroizing<Vec<[f64; 2]>> = Zeroizing::new(values.iter().map(|&v| [v, 0.0]).collect());
        let mut half = self.slots / 2;
        while half >= 1 {
            let twiddles = &self.twiddles[half - 1..][..half];
            for block in x.chunks_exact_mut(2 * half) {
                let (low, high) = block.split_at_mut(half);
                for ((a, b), w) in low.iter_mut().zip(high).zip(twiddles) {
                    let d = [a[0] - b[0], a[1] - b[1]];
                    *a = [a[0] + b[0], a[1] + b[1]];
                    *b = [d[0] * w[0] + d[1] * w[1], d[1] * w[0] - d[0] * w[1]];
                }
            }
            half /= 2;
        }
        let factor = scale / self.slots as f64;
        (0..self.slots).map(|i| x[super::ntt::reverse_bits(i, self.slots)][0] * factor).collect()
    }

    /// The slots of a polynomial with these coefficients, divided by `scale`; imaginary parts are dropped.
    pub(crate) fn decode(&self, coefficients: &[f64], scale: f64) -> Vec<f64> {
        let upper = |k: usize| match (self.ring, k) {
            (RingType::Standard, _) => coefficients[k + self.slots],
            (RingType::ConjugateInvariant, 0) => 0.0,
            (RingType::ConjugateInvariant, _) => -coefficients[self.slots - k],
        };
        let at = |i: usize| {
            let k = super::ntt::reverse_bits(i, self.slots);
            [coefficients[k] / scale, upper(k) / scale]
        };
        let mut x: Zeroizing<Vec<[f64; 2]>> = Zeroizing::new((0..self.slots).map(at).collect());
        let mut half = 1;
        while half < self.slots {
            let twiddles = &self.twiddles[half - 1..][..half];
            for block in x.chunks_exact_mut(2 * half) {
                let (low, high) = block.split_at_mut(half);
                for ((a, b), w) in low.iter_mut().zip(high).zip(twiddles) {
                    let t = [b[0] * w[0] - b[1] * w[1], b[0] * w[1] + b[1] * w[0]];
                    *b = [a[0] - t[0], a[1] - t[1]];
                    *a = [a[0] + t[0], a[1] + t[1]];
                }
            }
            half *= 2;
        }
        x.iter().map(|v| v[0]).collect()
    }
}

/// All coefficients from the first half, rounded.
fn antisymmetric<T: Copy + Default + std::ops::Neg<Output = T>>(half: &[f64], round: impl Fn(f64) -> T) -> Vec<T> {
    let mut all = vec![T::default(); 2 * half.len()];
    all[0] = round(half[0]);
    for (k, &v) in half.iter().enumerate().skip(1) {
        let c = round(v);
        all[k] = c;
        all[2 * half.len() - k] = -c;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(slots: usize) -> Vec<f64> {
        (0..slots).map(|i| ((i * i + 3) as f64 * 0.37).sin()).collect()
    }

    #[test]
    fn slot_is_the_value_at_a_power_of_zeta() {
        let n = 2048;
        let encoder = Encoder::new(RingType::Standard, n);
        let v = values(n / 2);
        let Coefficients::Small(c) = encoder.encode(&v, 2f64.powi(40), 0, 50.0).unwrap() else { panic!("small") };
        let mut power = 1;
        for (j, v) in v.iter().enumerate().take(20) {
            let at = |k: usize| (PI * ((k * power) % (2 * n)) as f64 / n as f64).cos();
            let value: f64 = c.iter().enumerate().map(|(k, &c)| c as f64 * at(k)).sum();
            assert!((value / 2f64.powi(40) - v).abs() < 1e-9, "slot {j}");
            power = power * 5 % (2 * n);
        }
    }

    #[test]
    fn decode_undoes_encode() {
        let cases = [(11, 35), (15, 45), (13, 90)].into_iter().flat_map(|c| RingType::ALL.map(|ring| (c, ring)));
        for ((log_n, log_scale), ring) in cases {
            let n = 1 << log_n;
            let (encoder, scale) = (Encoder::new(ring, n), 2f64.powi(log_scale));
            let v = values(ring.slots(n));
            let c: Vec<f64> = match encoder.encode(&v, scale, 3, 100.0).unwrap() {
                Coefficients::Small(c) => c.iter().map(|&c| c as f64).collect(),
                Coefficients::Large(c) => c.iter().map(|&c| c as f64).collect(),
            };
            assert_eq!(c.len(), n);
            let back = encoder.decode(&c, scale);
            let worst = v.iter().zip(&back).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-8, "log_n = {log_n}, {}: {worst:e}", ring.name());
        }
    }

    #[test]
    fn bad_vectors_are_refused() {
        let encoder = Encoder::new(RingType::Standard, 2048);
        let mut v = vec![0.0; 1024];
        assert!(matches!(encoder.encode(&v[1..], 1.0, 0, 50.0), Err(HeError::Length { got: 1023, .. })));
        assert!(matches!(encoder.encode(&v, -1.0, 0, 50.0), Err(HeError::BadScale { .. })));
        v[7] = f64::NAN;
        assert!(matches!(encoder.encode(&v, 1.0, 0, 50.0), Err(HeError::NotFinite { slot: 7, .. })));
        v[7] = 2048.0;
        assert!(matches!(encoder.encode(&v, 2f64.powi(38), 0, 50.0), Err(HeError::TooLarge { .. })));
        v[7] = 1024.0;
        assert!(encoder.encode(&v, 2f64.powi(38), 0, 50.0).is_ok());
    }
}
