//! One run of a single primitive, timed, on data like that of a real program: keys and diagonals come from memory, since
//! a program touches far more of them than a cache holds.

mod rows;

use std::hint::black_box;
use std::time::Instant;

use striae_cost_model::calibration::Primitive;
use striae_cost_model::{CkksParams, KeyPlan, LinearPlan, Term};

use crate::backend::{CheckedPlan, HeBackend, HeClient};
use crate::{HeError, Seed};

use super::ciphertext::RnsCiphertext;
use super::client::RnsClient;
use super::evaluator::RnsBackend;
use super::keys::RotationKey;
use super::keyswitch::{Addend, Digits, ExtendedPair, SwitchJob, switch_limb};
use super::linear::{IndexedTerms, RnsLinear, Run};
use super::parallel;
use super::simd::{self, PADDING, Tiling};

pub(crate) use rows::{RowProbe, Unit};

/// Rotation keys the probe cycles through.
const KEYS: u32 = 8;
/// Rotated inputs of the measured products: as many terms per sum as a small convolution has.
const INPUTS: u16 = 3;
/// Bytes of diagonals that no cache holds.
const COLD_BYTES: usize = 64 << 20;

/// Both roles and operands of every primitive at one level.
pub(crate) struct Probe {
    client: RnsClient,
    backend: RnsBackend,
    values: Vec<f64>,
    level: usize,
    ct: RnsCiphertext,
    /// Multiplications in Q, and in QP.
    products: [Product; 2],
    /// Plan and diagonals of giant steps.
    giants: (LinearPlan, RnsLinear),
    /// Rotation the next key switch uses.
    next: u32,
}

/// A linear step's multiplications without its rotations.
struct Product {
    terms: [IndexedTerms; 2],
    weights: RnsLinear,
    count: usize,
    operands: usize,
}

/// Every output reads every rotation of every input (in QP), or as many inputs as they are (in Q).
fn plan(outputs: usize, inputs: u16, extended: bool) -> LinearPlan {
    let babies: Vec<u32> = if extended { (1..=KEYS).collect() } else { vec![0] };
    let inputs = if extended { inputs } else { inputs * KEYS as u16 };
    let mut terms = Vec::new();
    for output in 0..outputs as u16 {
        for input in 0..inputs {
            terms.extend((0..babies.len() as u16).map(|baby| Term { output, giant: 0, input, baby }));
        }
    }
    LinearPlan {
        inputs: inputs.into(),
        outputs,
        babies: vec![babies; inputs.into()],
        giants: vec![0],
        terms,
        folds: vec![],
    }
}

/// One rotated input, and a partial sum of it for each key.
fn giants() -> LinearPlan {
    LinearPlan {
        inputs: 1,
        outputs: 1,
        babies: vec![vec![1]],
        giants: (1..=KEYS).collect(),
        terms: (0..KEYS as u16).map(|giant| Term { output: 0, giant, input: 0, baby: 0 }).collect(),
        folds: vec![],
    }
}

impl Product {
    fn new(backend: &RnsBackend, level: usize, extended: bool, values: &[f64]) -> Result<Self, HeError> {
        let limbs = if extended { backend.ctx.extended_limbs(level) } else { level + 1 };
        let operands = usize::from(INPUTS) * KEYS as usize;
        let diagonal = |t: usize| Tiling::count(backend.ctx.n) * backend.ctx.tiling(level, t).bytes();
        let bytes_per_output = operands * (0..limbs).map(diagonal).sum::<usize>();
        let outputs = (COLD_BYTES / bytes_per_output).clamp(2, 64);
        let plan = plan(outputs, INPUTS, extended);
        let scale = 2f64.powi(backend.params().log_scale() as i32);
        let fill = |_: usize, slots: &mut [f64]| slots.copy_from_slice(values);
        let weights = backend.encode_linear(&plan, level, scale, &fill)?;
        let checked = CheckedPlan::new(&plan, backend.ctx.slots())?;
        let terms = [false, true].map(|special| IndexedTerms::of_limb(&checked, special));
        Ok(Self { terms, weights, count: plan.terms.len(), operands })
    }

    /// Bytes of one diagonal.
    fn diagonal_bytes(&self) -> f64 {
        self.weights.bytes() as f64 / self.count as f64
    }

    /// Seconds per diagonal.
    fn time(&self, backend: &RnsBackend, level: usize) -> f64 {
        let ctx = &*backend.ctx;
        let stride = 2 * ctx.n * (self.count / self.operands);
        let mut out = ctx.pool.take(stride * self.weights.limb_count());
        let operands = ctx.pool.zeros(self.terms[0].operand_words(ctx.n));
        let start = Instant::now();
        parallel::each_limb(stride, &mut out, |t, out| {
            let terms = &self.terms[usize::from(t > level)];
            terms.multiply(ctx, (level, t), self.weights.limb(t), &operands, out);
        });
        start.elapsed().as_secs_f64() / self.count as f64
    }
}

impl Probe {
    /// Keys and operands for measurements at `level`.
    pub(crate) fn new(params: &CkksParams, level: usize) -> Result<Self, HeError> {
        let keys = KeyPlan::up_to(params.max_level(), 1..=KEYS);
        let (client, backend) = RnsBackend::keygen(params, &keys, Seed::Fixed(0))?;
        let values: Vec<f64> = (0..params.slots()).map(|i| (i as f64).sin()).collect();
        let ct = client.encrypt(&values, level, 2f64.powi(params.log_scale() as i32))?;
        let product = |extended| Product::new(&backend, level, extended, &values);
        let products = [product(false)?, product(true)?];
        let plan = giants();
        let fill = |_: usize, slots: &mut [f64]| slots.copy_from_slice(&values);
        let weights = backend.encode_linear(&plan, level, ct.scale, &fill)?;
        Ok(Self { client, backend, values, level, ct, products, giants: (plan, weights), next: 1 })
    }

    /// Seconds of one execution.
    pub(crate) fn time(&mut self, op: Primitive) -> Result<f64, HeError> {
        self.next = self.next % KEYS + 1;
        let (backend, ct) = (&self.backend, &self.ct);
        match op {
            Primitive::Hoist => Ok(timed(|| self.hoist())),
            Primitive::RotationHoisted => self.rotation_hoisted(),
            Primitive::GiantStep => self.giant_step(),
            Primitive::RotationFull => fallible(|| backend.rotate(ct, self.next)),
            Primitive::PlainMult => Ok(self.products[0].time(backend, self.level)),
            Primitive::PlainMultExtended => Ok(self.products[1].time(backend, self.level)),
            Primitive::ModDown => {
                let pair = ExtendedPair::zero(&backend.ctx, self.level);
                Ok(timed(|| backend.mod_down(&pair)))
            }
            Primitive::ModDownRescale => self.mod_down_rescale(),
            Primitive::Rescale => self.rescale(),
            Primitive::Square => fallible(|| backend.square(ct)),
            Primitive::Add => fallible(|| backend.add(ct, ct)),
            Primitive::PlainAdd => {
                let plain = backend.encode(&self.values, self.level, ct.scale)?;
                fallible(|| backend.add_plain(ct, &plain))
            }
            Primitive::Encode => {
                let plan = plan(1, 1, true);
                let fill = |_: usize, slots: &mut [f64]| slots.copy_from_slice(&self.values);
                let all = fallible(|| backend.encode_linear(&plan, self.level, ct.scale, &fill))?;
                Ok(all / plan.terms.len() as f64)
            }
            Primitive::Encrypt => fallible(|| self.client.encrypt(&self.values, self.level, ct.scale)),
            Primitive::Decrypt => fallible(|| self.client.decrypt(ct)),
        }
    }

    /// Decomposition, all limbs of all digits.
    fn hoist(&self) {
        let ctx = &*self.backend.ctx;
        let digits = Digits::new(ctx, self.level, self.ct.part(1, ctx.n));
        let words = Digits::limb_words(ctx, self.level);
        let mut all = ctx.pool.take(ctx.extended_limbs(self.level) * words);
        parallel::each_limb(words, &mut all, |t, out| {
            black_box(digits.limb(ctx, t, out));
        });
    }

    /// Products with rotation keys and permutations, as inside a linear step: limb by limb, where the digits of a limb are
    /// there already and serve every rotation.
    fn rotation_hoisted(&self) -> Result<f64, HeError> {
        let (ctx, level) = (&*self.backend.ctx, self.level);
        let keys = (1..=KEYS).map(|r| self.backend.keys.rotation(r, level)).collect::<Result<Vec<_>, _>>()?;
        let digits = Digits::new(ctx, level, self.ct.part(1, ctx.n));
        let words = Digits::limb_words(ctx, level);
        let mut made = ctx.pool.take(ctx.extended_limbs(level) * words);
        parallel::each_limb(words, &mut made, |t, out| {
            black_box(digits.limb(ctx, t, out));
        });
        let operands = (3 + 2 * keys.len()) * ctx.n;
        let mut out = ctx.pool.take(ctx.extended_limbs(level) * operands);
        let start = Instant::now();
        parallel::each_limb(operands, &mut out, |t, out| {
            let digits: Vec<&[u64]> =
                made[t * words..][..words].chunks_exact(ctx.n + PADDING).map(|d| &d[..ctx.n]).collect();
            keys.iter().enumerate().for_each(|(place, key)| self.rotate_limb(key, place, t, &digits, out));
        });
        Ok(start.elapsed().as_secs_f64() / keys.len() as f64)
    }

    fn rotate_limb(&self, key: &RotationKey, place: usize, t: usize, digits: &[&[u64]], out: &mut [u64]) {
        let (ctx, level) = (&*self.backend.ctx, self.level);
        let (switched, rest) = out.split_at_mut(2 * ctx.n);
        let ((u0, u1), (turned, tiled)) = (switched.split_at_mut(ctx.n), rest.split_at_mut(ctx.n));
        let job = SwitchJob { digits, out: [&mut *u0, &mut *u1] };
        switch_limb(ctx, (level, t), &key.key, &mut [job]);
        Addend::TimesP(self.ct.part(0, ctx.n)).add_to(ctx, level, t, u0);
        let auto = &key.automorphism;
        let tiling = ctx.tiling(level, t);
        for (c, u) in [u0, u1].into_iter().enumerate() {
            simd::permute(ctx.simd, &auto.map, &auto.lanes, u, turned);
            tiling.spread(turned, 2 * place + c, KEYS as usize, tiled);
        }
    }

    /// Rotation of a partial sum in QP, its single division by P included, among as many as a linear step has.
    fn giant_step(&self) -> Result<f64, HeError> {
        let checked = CheckedPlan::new(&self.giants.0, self.backend.ctx.slots())?;
        let run = Run::new(&self.backend, &checked, &self.giants.1, std::slice::from_ref(&self.ct))?;
        let sums = run.partial_sums();
        Ok(timed(|| run.accumulate(&sums)) / f64::from(KEYS))
    }

    fn mod_down_rescale(&self) -> Result<f64, HeError> {
        let ctx = &*self.backend.ctx;
        let pair = ExtendedPair::zero(ctx, self.level);
        let division = ctx.levels[self.level].mod_down_rescale.as_ref();
        let division = division.ok_or(HeError::LevelExhausted { op: "rescale" })?;
        Ok(timed(|| [0, 1].map(|part| division.divide(ctx, pair.part(ctx, part)))))
    }

    fn rescale(&self) -> Result<f64, HeError> {
        let ctx = &*self.backend.ctx;
        let division = ctx.levels[self.level].rescale.as_ref().ok_or(HeError::LevelExhausted { op: "rescale" })?;
        Ok(timed(|| [0, 1].map(|part| division.divide(ctx, self.ct.part(part, ctx.n)))))
    }
}

fn timed<T>(f: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    let result = black_box(f());
    let seconds = start.elapsed().as_secs_f64();
    drop(result);
    seconds
}

fn fallible<T>(f: impl FnOnce() -> Result<T, HeError>) -> Result<f64, HeError> {
    let start = Instant::now();
    let result = black_box(f()?);
    let seconds = start.elapsed().as_secs_f64();
    drop(result);
    Ok(seconds)
}
