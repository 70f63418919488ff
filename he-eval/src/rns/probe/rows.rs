//! One run of a row of the reference table, or of a unit its lower bound is made of.

use std::hint::black_box;

use rayon::prelude::*;
use striae_cost_model::{CkksParams, KeyPlan, LinearPlan};

use crate::backend::{HeBackend, HeClient};
use crate::bench::{Chain, HOISTED, OperandBytes, RowOp};
use crate::rns::basis::Limbs;
use crate::rns::ciphertext::RnsCiphertext;
use crate::rns::client::RnsClient;
use crate::rns::evaluator::RnsBackend;
use crate::rns::keys::RotationKey;
use crate::rns::keyswitch::{Addend, Digits, SwitchJob, switch_limb};
use crate::rns::linear::RnsLinear;
use crate::rns::parallel;
use crate::rns::pool::Poly;
use crate::rns::simd::{self, KEY_BLOCK, KeyLayout, KeyLimb};
use crate::{HeError, Seed};

use super::{Product, fallible, timed};

/// Words that are summed to measure the bandwidth: 256 MiB, many times a cache.
const STREAM_WORDS: usize = 32 << 20;
/// Words of a piece of them.
const PIECE: usize = 1 << 16;
/// Digits, words and repetitions of the products that measure multiply-adds: 24 KiB, which the first cache holds.
const DIGITS: usize = 8;
const WORDS: usize = BLOCKS * KEY_BLOCK;
const BLOCKS: usize = 4;
const REPEATS: usize = 1000;

/// What lower bounds are made of, besides forward transforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Inverse transform of one limb in cache.
    InverseNtt,
    /// One multiply-add of two words in cache.
    MultiplyAdd,
    /// One byte read from memory.
    Stream,
}

/// Both roles and operands of every row of a chain, at its highest level.
pub(crate) struct RowProbe {
    client: RnsClient,
    backend: RnsBackend,
    values: Vec<f64>,
    ct: RnsCiphertext,
    plan: LinearPlan,
    weights: RnsLinear,
    products: Product,
    limb: Vec<u64>,
    stream: Vec<u64>,
    /// Rotation the next row uses: programs touch far more keys than a cache holds.
    next: u32,
}

impl RowProbe {
    /// Keys and operands.
    pub(crate) fn new(chain: &Chain, params: &CkksParams) -> Result<Self, HeError> {
        let plan = chain.matvec();
        let keys = KeyPlan::up_to(params.max_level(), plan.rotations().chain(1..=HOISTED));
        let (client, backend) = RnsBackend::keygen(params, &keys, Seed::Fixed(0))?;
        let values: Vec<f64> = (0..params.slots()).map(|i| (i as f64).sin()).collect();
        let (level, scale) = (params.max_level(), f64::from(params.log_scale()).exp2());
        let ct = client.encrypt(&values, level, scale)?;
        let fill =
            |i: usize, slots: &mut [f64]| slots.iter_mut().zip(&values).for_each(|(s, v)| *s = v / (i + 1) as f64);
        let weights = backend.encode_linear(&plan, level, scale, &fill)?;
        let products = Product::new(&backend, level, false, &values)?;
        let limb = (0..backend.ctx.n as u64).collect();
        let stream = (0..STREAM_WORDS as u64).collect();
        Ok(Self { client, backend, values, ct, plan, weights, products, limb, stream, next: 1 })
    }

    /// Bytes of what the rows read besides ciphertexts, as the evaluator stores it.
    pub(crate) fn operand_bytes(&self) -> OperandBytes {
        let keys = self.backend.key_plan().levels().count();
        OperandBytes {
            key: (self.backend.key_bytes() / keys) as f64,
            matrix: self.weights.bytes() as f64,
            diagonal: self.products.diagonal_bytes(),
        }
    }

    /// Seconds of one execution.
    pub(crate) fn time(&mut self, op: RowOp) -> Result<f64, HeError> {
        self.next = self.next % HOISTED + 1;
        let Self { client, backend, ct, values, .. } = self;
        match op {
            RowOp::Rotation => fallible(|| backend.rotate(ct, self.next)),
            RowOp::RotationHoisted => Ok(fallible(|| self.rotations())? / f64::from(HOISTED)),
            RowOp::Matvec => {
                let inputs = [self.ct.clone()];
                fallible(|| self.backend.linear(&self.plan, &self.weights, &inputs))
            }
            RowOp::Square => fallible(|| backend.square(ct)),
            RowOp::PlainMult => Ok(self.products.time(backend, ct.level)),
            RowOp::ForwardNtt => {
                let tables = &self.backend.ctx.tables[0];
                Ok(timed(|| tables.forward(black_box(&mut self.limb))))
            }
            RowOp::Encode => fallible(|| backend.encode(values, ct.level, ct.scale)),
            RowOp::Encrypt => fallible(|| client.encrypt(values, ct.level, ct.scale)),
            RowOp::Decrypt => fallible(|| client.decrypt(ct)),
        }
    }

    /// Seconds of one unit.
    pub(crate) fn time_unit(&mut self, unit: Unit) -> f64 {
        match unit {
            Unit::InverseNtt => {
                let tables = &self.backend.ctx.tables[0];
                timed(|| tables.inverse_unscaled(black_box(&mut self.limb)))
            }
            Unit::MultiplyAdd => self.multiply_add(),
            Unit::Stream => {
                let sum = |piece: &[u64]| piece.iter().fold(0u64, |sum, &x| sum.wrapping_add(x));
                let all = || self.stream.par_chunks(PIECE).map(sum).reduce(|| 0, u64::wrapping_add);
                timed(all) / (8 * STREAM_WORDS) as f64
            }
        }
    }

    fn multiply_add(&self) -> f64 {
        let ctx = &*self.backend.ctx;
        let digits: Vec<&[u64]> = self.limb.chunks_exact(WORDS).take(DIGITS).collect();
        let layout = KeyLayout::new(ctx.modulus(0, 0).value(), digits.len());
        let bytes = vec![0; layout.bytes(WORDS)];
        let key = KeyLimb { layout, bytes: &bytes };
        let mut out = [[0; WORDS]; 2];
        let [u0, u1] = &mut out;
        let seconds = timed(|| {
            for _ in 0..REPEATS {
                simd::key_dot(ctx.simd, ctx.modulus(0, 0), black_box(&digits), black_box(key), 0..BLOCKS, [u0, u1]);
            }
        });
        seconds / (REPEATS * 2 * digits.len() * WORDS) as f64
    }

    /// Rotations that share a decomposition, limb by limb as in a linear step, each divided by P.
    fn rotations(&self) -> Result<Vec<[Poly; 2]>, HeError> {
        let (ctx, level) = (&*self.backend.ctx, self.ct.level);
        let keys = (1..=HOISTED).map(|r| self.backend.keys.rotation(r, level)).collect::<Result<Vec<_>, _>>()?;
        let digits = Digits::new(ctx, level, self.ct.part(1, ctx.n));
        let stride = 2 * keys.len() * ctx.n;
        let mut all = ctx.pool.take(ctx.extended_limbs(level) * stride);
        parallel::each_limb(stride, &mut all, |t, out| self.rotate_limb(&keys, &digits, t, out));
        let part = |place: usize| Limbs::strided(&all, place * ctx.n, stride, ctx.n);
        let divide = |place| ctx.levels[level].mod_down.divide(ctx, part(place));
        Ok((0..keys.len()).map(|k| [divide(2 * k), divide(2 * k + 1)]).collect())
    }

    fn rotate_limb(&self, keys: &[&RotationKey], digits: &Digits<'_>, t: usize, out: &mut [u64]) {
        let (ctx, level, n) = (&*self.backend.ctx, self.ct.level, self.backend.ctx.n);
        let mut buffer = ctx.pool.take(Digits::limb_words(ctx, level) + 2 * n);
        let (buffer, switched) = buffer.split_at_mut(Digits::limb_words(ctx, level));
        let (u0, u1) = switched.split_at_mut(n);
        let digits = digits.limb(ctx, t, buffer);
        for (key, out) in keys.iter().zip(out.chunks_exact_mut(2 * n)) {
            let job = SwitchJob { digits: &digits, out: [&mut *u0, &mut *u1] };
            switch_limb(ctx, (level, t), &key.key, &mut [job]);
            Addend::TimesP(self.ct.part(0, n)).add_to(ctx, level, t, u0);
            let auto = &key.automorphism;
            for (u, out) in [&*u0, &*u1].into_iter().zip(out.chunks_exact_mut(n)) {
                simd::permute(ctx.simd, &auto.map, &auto.lanes, u, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hoisted_rotations_are_rotations() {
        let chain = Chain { log_n: 11, log_scale: 30, levels: 2, special: 1, diagonals: 16 };
        let probe = RowProbe::new(&chain, &chain.params().unwrap()).unwrap();
        let (level, scale) = (probe.ct.level, probe.ct.scale);
        for (parts, r) in probe.rotations().unwrap().into_iter().zip(1..) {
            let hoisted = probe.client.decrypt(&RnsCiphertext { parts, level, scale }).unwrap();
            let alone = probe.client.decrypt(&probe.backend.rotate(&probe.ct, r).unwrap()).unwrap();
            let error = hoisted.iter().zip(alone).map(|(h, a)| (h - a).abs()).fold(0.0, f64::max);
            assert!(error < 1e-4, "rotation by {r}: {error:e}");
        }
    }
}
