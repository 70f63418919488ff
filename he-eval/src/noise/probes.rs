//! Error vectors carried beside a cleartext value.

use std::sync::{Mutex, PoisonError};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Error vectors per value.
pub(crate) const PROBES: usize = 32;

/// One slot of all probes.
type Lanes = [f32; PROBES];

/// Random signs, one per slot and probe.
#[derive(Clone, Debug)]
pub(crate) struct Signs(Vec<u32>);

/// Where random signs come from. Fixed: estimates are repeatable.
#[derive(Debug)]
pub(crate) struct NoiseSource(Mutex<ChaCha8Rng>);

impl NoiseSource {
    /// The source with this number.
    pub(crate) fn new(number: u64) -> Self {
        Self(Mutex::new(ChaCha8Rng::seed_from_u64(number)))
    }

    /// Fresh signs.
    pub(crate) fn signs(&self, slots: usize) -> Signs {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Signs((0..slots).map(|_| rng.next_u32()).collect())
    }
}

/// Errors of a value in units of the message, `[slot][probe]`. Single precision: only their size matters.
#[derive(Clone, Debug)]
pub(crate) struct Probes(Vec<Lanes>);

impl Probes {
    /// No error.
    pub(crate) fn zero(slots: usize) -> Self {
        Self(vec![[0.0; PROBES]; slots])
    }

    /// Adds an error of standard deviation `sigma`, independent from slot to slot.
    pub(crate) fn add_white(&mut self, signs: &Signs, sigma: f64) {
        for (lanes, &bits) in self.0.iter_mut().zip(&signs.0) {
            let step = signed(bits, sigma as f32);
            lanes.iter_mut().zip(step).for_each(|(x, e)| *x += e);
        }
    }

    /// Adds another value's errors.
    pub(crate) fn add(&mut self, other: &Self) {
        self.add_rotated(other, 0);
    }

    /// Adds another value's errors, rotated.
    pub(crate) fn add_rotated(&mut self, other: &Self, rotation: usize) {
        let (head, tail) = other.0.split_at(rotation);
        for (lanes, more) in self.0.iter_mut().zip(tail.iter().chain(head)) {
            lanes.iter_mut().zip(more).for_each(|(x, y)| *x += y);
        }
    }

    /// Rotates to the left.
    pub(crate) fn rotate(&mut self, rotation: usize) {
        self.0.rotate_left(rotation);
    }

    /// Multiplies all errors.
    pub(crate) fn scale(&mut self, factor: f64) {
        self.0.iter_mut().flatten().for_each(|x| *x *= factor as f32);
    }

    /// (x + e)^2 = x^2 + (2 x e + e^2), by slot.
    pub(crate) fn square(&mut self, values: &[f64]) {
        for (lanes, &value) in self.0.iter_mut().zip(values) {
            lanes.iter_mut().for_each(|e| *e *= 2.0 * value as f32 + *e);
        }
    }

    /// `self[to] += factor * (other[from] + white)`, the error of a rotated operand times a diagonal's slot; `white` has the
    /// signs at `to`.
    #[inline]
    pub(crate) fn accumulate(
        &mut self,
        to: usize,
        factor: f64,
        other: &Self,
        from: usize,
        white: Option<(&Signs, f32)>,
    ) {
        let factor = factor as f32;
        let (out, x) = (&mut self.0[to], &other.0[from]);
        match white {
            Some((signs, sigma)) => {
                let step = signed(signs.0[to], sigma);
                (0..PROBES).for_each(|k| out[k] += factor * (x[k] + step[k]));
            }
            None => (0..PROBES).for_each(|k| out[k] += factor * x[k]),
        }
    }

    /// Mean square of a slot's probes.
    pub(crate) fn variance(&self, slot: usize) -> f64 {
        self.0[slot].iter().map(|&e| f64::from(e) * f64::from(e)).sum::<f64>() / PROBES as f64
    }
}

/// `sigma` with the sign of each bit.
#[inline]
fn signed(bits: u32, sigma: f32) -> Lanes {
    let sign = |k: usize| (bits >> k) << 31;
    std::array::from_fn(|k| f32::from_bits(sigma.to_bits() ^ sign(k)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOTS: usize = 1024;

    fn mean_variance(probes: &Probes) -> f64 {
        (0..SLOTS).map(|j| probes.variance(j)).sum::<f64>() / SLOTS as f64
    }

    fn white(source: &NoiseSource, sigma: f64) -> Probes {
        let mut probes = Probes::zero(SLOTS);
        probes.add_white(&source.signs(SLOTS), sigma);
        probes
    }

    #[test]
    fn independent_errors_add_in_variance_and_equal_ones_in_deviation() {
        let source = NoiseSource::new(1);
        let (mut a, b) = (white(&source, 3.0), white(&source, 4.0));
        assert!((mean_variance(&a) - 9.0).abs() < 1e-6);
        a.add(&b);
        assert!((mean_variance(&a) - 25.0).abs() < 1.0, "{}", mean_variance(&a));
        let mut c = b.clone();
        c.add(&b);
        assert!((mean_variance(&c) - 64.0).abs() < 1e-6);
        // Slots are independent of their neighbours, but not of themselves once they were added up.
        let mut turned = b.clone();
        turned.add_rotated(&b, 1);
        assert!((mean_variance(&turned) - 32.0).abs() < 1.5, "{}", mean_variance(&turned));
        let once = turned.clone();
        turned.add_rotated(&once, 1);
        assert!((mean_variance(&turned) - 16.0 * 6.0).abs() < 6.0, "{}", mean_variance(&turned));
    }

    #[test]
    fn squares_and_products_follow_the_value() {
        let source = NoiseSource::new(2);
        let mut a = white(&source, 1e-3);
        let b = a.clone();
        a.square(&[-2.5; SLOTS]);
        assert!((mean_variance(&a).sqrt() - 5e-3).abs() < 1e-5);
        let signs = source.signs(SLOTS);
        let mut sum = Probes::zero(SLOTS);
        (0..SLOTS).for_each(|j| sum.accumulate(j, 3.0, &b, (j + 7) % SLOTS, Some((&signs, 1e-3))));
        assert!((mean_variance(&sum) - 18e-6).abs() < 1e-6);
    }
}
