//! Values of the simulator and the client that makes them.

use crate::HeError;
use crate::backend::{HeClient, check_scales};
use crate::noise::{ErrorEstimate, NoiseModel, Probes};

use super::chain::Chain;

/// A vector that stands for a ciphertext.
#[derive(Clone, Debug)]
pub struct ClearCiphertext {
    pub(super) slots: Vec<f64>,
    pub(super) level: usize,
    pub(super) scale: f64,
    /// Present where the backend tracks errors.
    pub(super) errors: Option<Probes>,
}

impl ClearCiphertext {
    /// The exact values.
    pub fn slots(&self) -> &[f64] {
        &self.slots
    }

    /// How far an encrypted computation may be from the exact values; `None` unless errors are tracked.
    pub fn error(&self) -> Option<ErrorEstimate> {
        self.error_at(0..self.slots.len())
    }

    /// The same for some of the slots.
    pub fn error_at(&self, slots: impl IntoIterator<Item = usize>) -> Option<ErrorEstimate> {
        self.errors.as_ref().map(|probes| ErrorEstimate::of(&self.slots, probes, slots))
    }

    /// Sum of two vectors of equal level and scale.
    pub(super) fn plus(&self, op: &'static str, other: &Self) -> Result<Self, HeError> {
        if self.level != other.level {
            return Err(HeError::LevelMismatch { op, left: self.level, right: other.level });
        }
        check_scales(op, self.scale, other.scale)?;
        let mut sum = self.clone();
        sum.slots.iter_mut().zip(&other.slots).for_each(|(x, y)| *x += y);
        if let (Some(errors), Some(more)) = (&mut sum.errors, &other.errors) {
            errors.add(more);
        }
        Ok(sum)
    }
}

/// A vector to be added, with the rounding of its encoding for an error.
#[derive(Clone, Debug)]
pub struct ClearPlain(pub(super) ClearCiphertext);

/// Stands for the owner of the secret key.
#[derive(Clone, Debug)]
pub struct ClearClient(pub(super) Chain);

impl HeClient for ClearClient {
    type Ciphertext = ClearCiphertext;

    fn encrypt(&self, values: &[f64], level: usize, scale: f64) -> Result<ClearCiphertext, HeError> {
        let mut ct = self.0.encode(values, level, scale)?;
        self.0.disturb(&mut ct, NoiseModel::fresh);
        Ok(ct)
    }

    fn decrypt(&self, ct: &ClearCiphertext) -> Result<Vec<f64>, HeError> {
        Ok(ct.slots.clone())
    }
}
