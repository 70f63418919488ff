//! The evaluator role of RNS-CKKS.

use std::sync::{Arc, Mutex};

use rand::RngExt;
use striae_cost_model::{CkksParams, KeyPlan, LinearPlan, OpCounts};

use crate::backend::{HeBackend, Tally, check_scales};
use crate::{HeError, Seed};

use super::basis::Limbs;
use super::ciphertext::{RnsCiphertext, RnsPlain, encode};
use super::client::RnsClient;
use super::context::Context;
use super::keys::{EvaluationKeys, RotationKey, SecretKey};
use super::keyswitch::{Addend, Digits, ExtendedPair};
use super::linear::{RnsLinear, WeightSpace, encode_linear, linear};
use super::serial::{Fingerprint, Identity, KeyId};
use super::simd::{self, Simd};
use super::square::square_all;
use super::{parallel, sampling};

/// Evaluation keys and everything derived from the parameters; no secret.
pub struct RnsBackend {
    pub(crate) params: CkksParams,
    pub(crate) ctx: Arc<Context>,
    pub(crate) keys: EvaluationKeys,
    pub(crate) tally: Tally,
    pub(crate) identity: Identity,
}

impl RnsBackend {
    /// As [`HeBackend::keygen`], with the instruction set of the kernels given.
    pub fn keygen_with(
        params: &CkksParams,
        plan: &KeyPlan,
        seed: Seed,
        simd: Simd,
    ) -> Result<(RnsClient, Self), HeError> {
        let ctx = Arc::new(Context::new(params, simd)?);
        let mut rng = seed.rng()?;
        let secret = SecretKey::generate(&ctx, &mut rng);
        let keys = EvaluationKeys::generate(&ctx, &secret, plan, &mut rng)?;
        let identity = Identity { fingerprint: Fingerprint::of(params)?, key: KeyId(rng.random()) };
        let client = RnsClient { ctx: Arc::clone(&ctx), secret, rng: Mutex::new(sampling::child(&mut rng)), identity };
        Ok((client, Self { params: params.clone(), ctx, keys, tally: Tally::default(), identity }))
    }

    /// The instruction set the kernels use.
    pub fn simd(&self) -> Simd {
        self.ctx.simd
    }

    /// The keys there are.
    pub fn key_plan(&self) -> KeyPlan {
        self.keys.plan()
    }

    /// Bytes of all evaluation keys.
    pub fn key_bytes(&self) -> usize {
        self.keys.bytes()
    }

    /// The key of a rotation at a level, `None` for 0.
    fn key(&self, rotation: u32, level: usize) -> Result<Option<&RotationKey>, HeError> {
        let slots = self.ctx.slots();
        if rotation as usize >= slots {
            return Err(HeError::RotationRange { rotation, slots });
        }
        if rotation == 0 { Ok(None) } else { self.keys.rotation(rotation, level).map(Some) }
    }

    /// `copies` ct + sum of rotations of ct: one decomposition, one division by P.
    fn rotated(&self, ct: &RnsCiphertext, rotations: &[u32], copies: u64) -> Result<RnsCiphertext, HeError> {
        let ctx = &*self.ctx;
        let keys = rotations.iter().map(|&r| self.key(r, ct.level)).collect::<Result<Vec<_>, _>>()?;
        let copies = copies + keys.iter().filter(|k| k.is_none()).count() as u64;
        let keys: Vec<&RotationKey> = keys.into_iter().flatten().collect();
        self.tally.rotated(rotations);
        let mut parts = if keys.is_empty() {
            [0, 1].map(|_| ctx.pool.zeros(ct.parts[0].len()))
        } else {
            let digits = Digits::new(ctx, ct.level, ct.part(1, ctx.n));
            let mut acc = ExtendedPair::zero(ctx, ct.level);
            acc.add_rotated(ctx, &digits, Addend::TimesP(ct.part(0, ctx.n)), &keys);
            self.mod_down(&acc)
        };
        for _ in 0..copies {
            parts.iter_mut().zip(&ct.parts).for_each(|(x, y)| self.add_limbs(x, y));
        }
        Ok(RnsCiphertext { parts, level: ct.level, scale: ct.scale })
    }

    /// Division by P of both polynomials.
    pub(crate) fn mod_down(&self, x: &ExtendedPair) -> [super::pool::Poly; 2] {
        let division = &self.ctx.levels[x.level].mod_down;
        x.parts.each_ref().map(|part| division.divide(&self.ctx, Limbs::contiguous(part, self.ctx.n)))
    }

    /// x + y over the limbs of x.
    fn add_limbs(&self, x: &mut [u64], y: &[u64]) {
        let (ctx, n) = (&*self.ctx, self.ctx.n);
        parallel::each_limb(n, x, |t, x| {
            simd::add_assign(ctx.simd, &ctx.tables[t].modulus, x, &y[t * n..][..n]);
        });
    }

    fn check(op: &'static str, left: (usize, f64), right: (usize, f64)) -> Result<(), HeError> {
        if left.0 != right.0 {
            return Err(HeError::LevelMismatch { op, left: left.0, right: right.0 });
        }
        check_scales(op, left.1, right.1)
    }
}

impl HeBackend for RnsBackend {
    type Ciphertext = RnsCiphertext;
    type EncodedLinear = RnsLinear;
    type EncodedPlain = RnsPlain;
    type Client = RnsClient;

    fn keygen(params: &CkksParams, plan: &KeyPlan, seed: Seed) -> Result<(RnsClient, Self), HeError> {
        Self::keygen_with(params, plan, seed, Simd::detect())
    }

    fn params(&self) -> &CkksParams {
        &self.params
    }

    fn modulus(&self, level: usize) -> f64 {
        self.ctx.tables[level].modulus.value() as f64
    }

    fn level(&self, ct: &RnsCiphertext) -> usize {
        ct.level
    }

    fn scale(&self, ct: &RnsCiphertext) -> f64 {
        ct.scale
    }

    fn encode(&self, values: &[f64], level: usize, scale: f64) -> Result<RnsPlain, HeError> {
        encode(&self.ctx, values, level, scale)
    }

    fn encode_linear(
        &self,
        plan: &LinearPlan,
        level: usize,
        plain_scale: f64,
        fill: &(dyn Fn(usize, &mut [f64]) + Sync),
    ) -> Result<RnsLinear, HeError> {
        self.encode_linear_in(&mut WeightSpace::memory(), plan, (level, plain_scale), fill)
    }

    fn encode_linear_in(
        &self,
        space: &mut WeightSpace,
        plan: &LinearPlan,
        (level, plain_scale): (usize, f64),
        fill: &(dyn Fn(usize, &mut [f64]) + Sync),
    ) -> Result<RnsLinear, HeError> {
        encode_linear(&self.ctx, space, plan, (level, plain_scale), fill)
    }

    fn linear(
        &self,
        plan: &LinearPlan,
        weights: &RnsLinear,
        inputs: &[RnsCiphertext],
    ) -> Result<Vec<RnsCiphertext>, HeError> {
        let outputs = linear(self, plan, weights, inputs)?;
        let fold = |ct, &rotation: &u32| self.rotate_add(&ct, rotation);
        outputs.into_iter().map(|ct| plan.folds.iter().try_fold(ct, fold)).collect()
    }

    fn square_all(&self, cts: &[RnsCiphertext]) -> Result<Vec<RnsCiphertext>, HeError> {
        square_all(self, cts)
    }

    fn rotate(&self, ct: &RnsCiphertext, rotation: u32) -> Result<RnsCiphertext, HeError> {
        self.rotated(ct, &[rotation], 0)
    }

    fn rotate_add(&self, ct: &RnsCiphertext, rotation: u32) -> Result<RnsCiphertext, HeError> {
        self.rotate_sum(ct, &[rotation])
    }

    fn rotate_sum(&self, ct: &RnsCiphertext, rotations: &[u32]) -> Result<RnsCiphertext, HeError> {
        let sum = self.rotated(ct, rotations, 1)?;
        self.tally.count(|c| c.adds += rotations.len() as u64);
        Ok(sum)
    }

    fn add(&self, a: &RnsCiphertext, b: &RnsCiphertext) -> Result<RnsCiphertext, HeError> {
        Self::check("add", (a.level, a.scale), (b.level, b.scale))?;
        self.tally.count(|c| c.adds += 1);
        let mut sum = a.clone();
        sum.parts.iter_mut().zip(&b.parts).for_each(|(x, y)| self.add_limbs(x, y));
        Ok(sum)
    }

    fn add_plain(&self, ct: &RnsCiphertext, plain: &RnsPlain) -> Result<RnsCiphertext, HeError> {
        Self::check("add_plain", (ct.level, ct.scale), (plain.level, plain.scale))?;
        self.tally.count(|c| c.plain_adds += 1);
        let mut sum = ct.clone();
        self.add_limbs(&mut sum.parts[0], &plain.poly);
        Ok(sum)
    }

    fn drop_to_level(&self, ct: &RnsCiphertext, level: usize) -> Result<RnsCiphertext, HeError> {
        if level > ct.level {
            return Err(HeError::LevelTooHigh { op: "drop_to_level", level, max: ct.level });
        }
        let mut lower = RnsCiphertext { level, ..ct.clone() };
        lower.parts.iter_mut().for_each(|part| part.truncate((level + 1) * self.ctx.n));
        Ok(lower)
    }

    fn with_scale(&self, ct: &RnsCiphertext, scale: f64) -> Result<RnsCiphertext, HeError> {
        if !(scale.is_finite() && scale > 0.0) {
            return Err(HeError::BadScale { scale });
        }
        Ok(RnsCiphertext { scale, ..ct.clone() })
    }

    fn counts(&self) -> OpCounts {
        self.tally.get()
    }

    fn reset_counts(&self) {
        self.tally.count(|c| *c = OpCounts::default());
    }
}
