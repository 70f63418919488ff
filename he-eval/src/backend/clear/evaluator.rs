//! The evaluator of the simulator.

use striae_cost_model::{CkksParams, KeyPlan, LinearPlan, OpCounts};

use crate::backend::{HeBackend, Tally, check_key_plan, check_square_key};
use crate::noise::NoiseModel;
use crate::{HeError, Seed};

use super::chain::Chain;
use super::linear::{ClearLinear, linear};
use super::{ClearCiphertext, ClearClient, ClearPlain};

/// Stands for the evaluator.
#[derive(Debug)]
pub struct ClearBackend {
    pub(super) chain: Chain,
    keys: KeyPlan,
    pub(super) tally: Tally,
}

impl ClearBackend {
    /// As [`HeBackend::keygen`], but every ciphertext carries the error that encryption would give it, at several times
    /// the work. See [`ClearCiphertext::error`].
    pub fn with_errors(params: &CkksParams, keys: &KeyPlan) -> Result<(ClearClient, Self), HeError> {
        Self::with_chain(Chain::new(params, true)?, keys)
    }

    /// Other values with the errors of `ct`: what a value would be in a worse case.
    pub(crate) fn replaced(&self, ct: &ClearCiphertext, slots: &[f64]) -> Result<ClearCiphertext, HeError> {
        self.chain.fits("replace", ClearCiphertext { slots: slots.to_vec(), ..ct.clone() })
    }

    fn with_chain(chain: Chain, keys: &KeyPlan) -> Result<(ClearClient, Self), HeError> {
        check_key_plan(keys, chain.params.slots(), chain.params.max_level())?;
        Ok((ClearClient(chain.clone()), Self { chain, keys: keys.clone(), tally: Tally::default() }))
    }

    /// Refuses a rotation out of range or without a key for the level. Rotation 0 needs none.
    pub(super) fn check_rotation(&self, rotation: u32, level: usize) -> Result<(), HeError> {
        let slots = self.chain.params.slots();
        if rotation as usize >= slots {
            return Err(HeError::RotationRange { rotation, slots });
        }
        if rotation == 0 {
            return Ok(());
        }
        match self.keys.rotations.binary_search_by_key(&rotation, |(r, _)| *r) {
            Err(_) => Err(HeError::MissingRotationKey { rotation }),
            Ok(i) if level > self.keys.rotations[i].1 => {
                Err(HeError::KeyLevel { key: "rotation", level, max: self.keys.rotations[i].1 })
            }
            Ok(_) => Ok(()),
        }
    }

    /// `base` + sum of rotations of ct. Each rotation but that by 0 is a key switch; all are divided by P at once.
    fn add_rotations(&self, mut base: ClearCiphertext, ct: &ClearCiphertext, rotations: &[u32]) -> ClearCiphertext {
        let slots = ct.slots.len();
        for &r in rotations {
            (0..slots).for_each(|j| base.slots[j] += ct.slots[(j + r as usize) % slots]);
            if let (Some(errors), Some(more)) = (&mut base.errors, &ct.errors) {
                errors.add_rotated(more, r as usize);
            }
        }
        let switches = rotations.iter().filter(|&&r| r != 0).count() as f64;
        if switches > 0.0 {
            self.chain.disturb(&mut base, |model| switches * model.switching(ct.level) + model.division());
        }
        base
    }
}

impl HeBackend for ClearBackend {
    type Ciphertext = ClearCiphertext;
    type EncodedLinear = ClearLinear;
    type EncodedPlain = ClearPlain;
    type Client = ClearClient;

    fn keygen(params: &CkksParams, plan: &KeyPlan, _seed: Seed) -> Result<(ClearClient, Self), HeError> {
        Self::with_chain(Chain::new(params, false)?, plan)
    }

    fn params(&self) -> &CkksParams {
        &self.chain.params
    }

    fn modulus(&self, level: usize) -> f64 {
        self.chain.primes[level]
    }

    fn level(&self, ct: &ClearCiphertext) -> usize {
        ct.level
    }

    fn scale(&self, ct: &ClearCiphertext) -> f64 {
        ct.scale
    }

    fn encode(&self, values: &[f64], level: usize, scale: f64) -> Result<ClearPlain, HeError> {
        let mut plain = self.chain.encode(values, level, scale)?;
        self.chain.disturb(&mut plain, NoiseModel::encoding);
        Ok(ClearPlain(plain))
    }

    fn encode_linear(
        &self,
        plan: &LinearPlan,
        level: usize,
        plain_scale: f64,
        fill: &(dyn Fn(usize, &mut [f64]) + Sync),
    ) -> Result<ClearLinear, HeError> {
        ClearLinear::new(self, plan, level, plain_scale, fill)
    }

    fn linear(
        &self,
        plan: &LinearPlan,
        weights: &ClearLinear,
        inputs: &[ClearCiphertext],
    ) -> Result<Vec<ClearCiphertext>, HeError> {
        linear(self, plan, weights, inputs)
    }

    fn square_all(&self, cts: &[ClearCiphertext]) -> Result<Vec<ClearCiphertext>, HeError> {
        cts.iter().map(|ct| self.square(ct)).collect()
    }

    fn square(&self, ct: &ClearCiphertext) -> Result<ClearCiphertext, HeError> {
        let level = ct.level.checked_sub(1).ok_or(HeError::LevelExhausted { op: "square" })?;
        check_square_key(self.keys.square, ct.level)?;
        self.tally.count(|c| c.squares += 1);
        let mut out = ct.clone();
        if let Some(errors) = &mut out.errors {
            errors.square(&ct.slots);
        }
        out.slots.iter_mut().for_each(|x| *x *= *x);
        // The key switch happens at the squared scale, the rounding after the division by the level's prime.
        out.scale = ct.scale * ct.scale;
        self.chain.disturb(&mut out, |model| model.switching(ct.level));
        (out.level, out.scale) = (level, out.scale / self.modulus(ct.level));
        self.chain.disturb(&mut out, NoiseModel::division);
        self.chain.fits("square", out)
    }

    fn rotate(&self, ct: &ClearCiphertext, rotation: u32) -> Result<ClearCiphertext, HeError> {
        self.check_rotation(rotation, ct.level)?;
        self.tally.rotated(&[rotation]);
        let mut out = ct.clone();
        if rotation != 0 {
            out.slots.rotate_left(rotation as usize);
            if let Some(errors) = &mut out.errors {
                errors.rotate(rotation as usize);
            }
            self.chain.disturb(&mut out, |model| model.switching(ct.level) + model.division());
        }
        Ok(out)
    }

    fn rotate_add(&self, ct: &ClearCiphertext, rotation: u32) -> Result<ClearCiphertext, HeError> {
        self.rotate_sum(ct, &[rotation])
    }

    fn rotate_sum(&self, ct: &ClearCiphertext, rotations: &[u32]) -> Result<ClearCiphertext, HeError> {
        rotations.iter().try_for_each(|&r| self.check_rotation(r, ct.level))?;
        self.tally.rotated(rotations);
        self.tally.count(|c| c.adds += rotations.len() as u64);
        self.chain.fits("rotate_sum", self.add_rotations(ct.clone(), ct, rotations))
    }

    fn add(&self, a: &ClearCiphertext, b: &ClearCiphertext) -> Result<ClearCiphertext, HeError> {
        let sum = a.plus("add", b)?;
        self.tally.count(|c| c.adds += 1);
        self.chain.fits("add", sum)
    }

    fn add_plain(&self, ct: &ClearCiphertext, plain: &ClearPlain) -> Result<ClearCiphertext, HeError> {
        let sum = ct.plus("add_plain", &plain.0)?;
        self.tally.count(|c| c.plain_adds += 1);
        self.chain.fits("add_plain", sum)
    }

    fn drop_to_level(&self, ct: &ClearCiphertext, level: usize) -> Result<ClearCiphertext, HeError> {
        if level > ct.level {
            return Err(HeError::LevelTooHigh { op: "drop_to_level", level, max: ct.level });
        }
        self.chain.fits("drop_to_level", ClearCiphertext { level, ..ct.clone() })
    }

    fn with_scale(&self, ct: &ClearCiphertext, scale: f64) -> Result<ClearCiphertext, HeError> {
        if !(scale.is_finite() && scale > 0.0) {
            return Err(HeError::BadScale { scale });
        }
        let (mut out, ratio) = (ct.clone(), ct.scale / scale);
        out.scale = scale;
        // Ciphertexts that are read at the scale they have are the rule.
        if ratio != 1.0 {
            out.slots.iter_mut().for_each(|v| *v *= ratio);
            if let Some(errors) = &mut out.errors {
                errors.scale(ratio);
            }
        }
        self.chain.fits("with_scale", out)
    }

    fn counts(&self) -> OpCounts {
        self.tally.get()
    }

    fn reset_counts(&self) {
        self.tally.count(|c| *c = OpCounts::default());
    }
}
