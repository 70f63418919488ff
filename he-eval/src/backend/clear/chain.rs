//! What both roles of the simulator know.

use std::sync::Arc;

use striae_cost_model::CkksParams;

use crate::HeError;
use crate::noise::{NoiseModel, NoiseSource, Probes};
use crate::rns::PrimeChain;

use super::ClearCiphertext;

/// Where errors come from, if they are tracked.
#[derive(Debug)]
pub(super) struct Noise {
    pub(super) model: NoiseModel,
    pub(super) source: NoiseSource,
}

impl Noise {
    /// Adds an error of variance `scaled`, in units of the polynomial, to a value at `scale`.
    pub(super) fn add(&self, probes: &mut Probes, slots: usize, scaled: f64, scale: f64) {
        probes.add_white(&self.source.signs(slots), scaled.sqrt() / scale);
    }
}

/// Facts of a chain.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) params: CkksParams,
    pub(super) primes: Vec<f64>,
    pub(super) noise: Option<Arc<Noise>>,
}

impl Chain {
    pub(super) fn new(params: &CkksParams, errors: bool) -> Result<Self, HeError> {
        let chain = PrimeChain::of(params)?;
        let noise = || Arc::new(Noise { model: NoiseModel::new(params, &chain), source: NoiseSource::new(0) });
        Ok(Self {
            params: params.clone(),
            primes: chain.q.iter().map(|&q| q as f64).collect(),
            noise: errors.then(noise),
        })
    }

    /// Adds errors of variance `scaled`, in units of the polynomial, to a ciphertext.
    pub(super) fn disturb(&self, ct: &mut ClearCiphertext, scaled: impl Fn(&NoiseModel) -> f64) {
        if let (Some(noise), Some(probes)) = (&self.noise, &mut ct.errors) {
            noise.add(probes, ct.slots.len(), scaled(&noise.model), ct.scale);
        }
    }

    /// Refuses values that the modulus of the level cannot hold.
    pub(super) fn fits(&self, op: &'static str, ct: ClearCiphertext) -> Result<ClearCiphertext, HeError> {
        self.check_values(op, &ct.slots, ct.level, ct.scale)?;
        Ok(ct)
    }

    fn check_values(&self, op: &'static str, slots: &[f64], level: usize, scale: f64) -> Result<(), HeError> {
        let log_q: f64 = self.primes[..=level].iter().map(|q| q.log2()).sum();
        if let Some(slot) = slots.iter().position(|v| !v.is_finite()) {
            return Err(HeError::NotFinite { slot, value: slots[slot] });
        }
        let log_value = (slots.iter().fold(0.0, |m: f64, v| m.max(v.abs())) * scale).log2();
        if log_value >= log_q - 1.0 { Err(HeError::TooLarge { op, log_value, level, log_q }) } else { Ok(()) }
    }

    /// Refuses what the encoder refuses.
    pub(super) fn check_vector(&self, values: &[f64], level: usize, scale: f64) -> Result<(), HeError> {
        let (max, slots) = (self.params.max_level(), self.params.slots());
        if level > max {
            return Err(HeError::LevelTooHigh { op: "encode", level, max });
        }
        if values.len() != slots {
            return Err(HeError::Length { what: "slot vector", got: values.len(), expected: slots });
        }
        if !(scale.is_finite() && scale > 0.0) {
            return Err(HeError::BadScale { scale });
        }
        self.check_values("encode", values, level, scale)
    }

    /// A vector without error.
    pub(super) fn encode(&self, values: &[f64], level: usize, scale: f64) -> Result<ClearCiphertext, HeError> {
        self.check_vector(values, level, scale)?;
        let errors = self.noise.is_some().then(|| Probes::zero(values.len()));
        Ok(ClearCiphertext { slots: values.to_vec(), level, scale, errors })
    }
}
