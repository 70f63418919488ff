//! The cleartext simulator: plain vectors with the levels, scales, refusals and operation counts of CKKS.
//!
//! It uses the primes of the encrypted backend, so scales drift alike, and adds no noise: what it computes is the exact
//! value of the circuit. Values that would not fit the modulus of their level are refused here, where they can be seen.

use striae_cost_model::{CkksParams, LinearPlan, OpCounts};

use crate::rns::PrimeChain;
use crate::{HeError, Seed};

use super::{CheckedPlan, HeBackend, HeClient, Tally, check_scales};

/// A vector that stands for a ciphertext.
#[derive(Clone, Debug)]
pub struct ClearCiphertext {
    slots: Vec<f64>,
    level: usize,
    scale: f64,
}

/// A vector to be added.
#[derive(Clone, Debug)]
pub struct ClearPlain(ClearCiphertext);

/// Diagonals of a linear plan.
#[derive(Clone, Debug)]
pub struct ClearLinear {
    diagonals: Vec<Diagonal>,
    /// Fingerprint of the plan.
    plan: u64,
    level: usize,
    scale: f64,
}

/// A diagonal. Those of convolutions are constant along map rows, so runs are often much smaller.
#[derive(Clone, Debug)]
enum Diagonal {
    Dense(Vec<f64>),
    Runs(Vec<(u32, f64)>),
}

impl Diagonal {
    fn new(values: Vec<f64>) -> Self {
        let mut runs: Vec<(u32, f64)> = Vec::new();
        for &v in &values {
            if runs.len() * 4 > values.len() {
                return Self::Dense(values);
            }
            match runs.last_mut() {
                Some((length, last)) if *last == v => *length += 1,
                _ => runs.push((1, v)),
            }
        }
        Self::Runs(runs)
    }

    /// out[j] += diagonal[j] x[(j + rotation) mod slots].
    fn accumulate(&self, x: &[f64], rotation: usize, out: &mut [f64]) {
        let slots = x.len();
        let mut add = |start: usize, length: usize, factor: &dyn Fn(usize) -> f64| {
            for j in start..start + length {
                let from = j + rotation;
                out[j] += factor(j) * x[if from >= slots { from - slots } else { from }];
            }
        };
        match self {
            Self::Dense(values) => add(0, slots, &|j| values[j]),
            Self::Runs(runs) => {
                let mut start = 0;
                for &(length, value) in runs {
                    if value != 0.0 {
                        add(start, length as usize, &|_| value);
                    }
                    start += length as usize;
                }
            }
        }
    }
}

/// Facts of a chain that both roles know.
#[derive(Clone, Debug)]
struct Chain {
    params: CkksParams,
    primes: Vec<f64>,
}

impl Chain {
    fn new(params: &CkksParams) -> Result<Self, HeError> {
        let chain = PrimeChain::new(params.log_n(), params.log_q(), params.log_p())?;
        Ok(Self { params: params.clone(), primes: chain.q.iter().map(|&q| q as f64).collect() })
    }

    /// Refuses values that the modulus of the level cannot hold.
    fn fits(&self, op: &'static str, ct: ClearCiphertext) -> Result<ClearCiphertext, HeError> {
        let log_q: f64 = self.primes[..=ct.level].iter().map(|q| q.log2()).sum();
        if let Some(slot) = ct.slots.iter().position(|v| !v.is_finite()) {
            return Err(HeError::NotFinite { slot, value: ct.slots[slot] });
        }
        let log_value = (ct.slots.iter().fold(0.0, |m: f64, v| m.max(v.abs())) * ct.scale).log2();
        if log_value >= log_q - 1.0 {
            return Err(HeError::TooLarge { op, log_value, level: ct.level, log_q });
        }
        Ok(ct)
    }

    fn encode(&self, values: &[f64], level: usize, scale: f64) -> Result<ClearCiphertext, HeError> {
        self.check_level("encode", level)?;
        if values.len() != self.params.slots() {
            return Err(HeError::Length { what: "slot vector", got: values.len(), expected: self.params.slots() });
        }
        if !(scale.is_finite() && scale > 0.0) {
            return Err(HeError::BadScale { scale });
        }
        self.fits("encode", ClearCiphertext { slots: values.to_vec(), level, scale })
    }

    fn check_level(&self, op: &'static str, level: usize) -> Result<(), HeError> {
        let max = self.params.max_level();
        if level > max { Err(HeError::LevelTooHigh { op, level, max }) } else { Ok(()) }
    }
}

/// Stands for the owner of the secret key.
#[derive(Clone, Debug)]
pub struct ClearClient(Chain);

impl HeClient for ClearClient {
    type Ciphertext = ClearCiphertext;

    fn encrypt(&self, values: &[f64], level: usize, scale: f64) -> Result<ClearCiphertext, HeError> {
        self.0.encode(values, level, scale)
    }

    fn decrypt(&self, ct: &ClearCiphertext) -> Result<Vec<f64>, HeError> {
        Ok(ct.slots.clone())
    }
}

/// Stands for the evaluator.
#[derive(Debug)]
pub struct ClearBackend {
    chain: Chain,
    rotations: Vec<u32>,
    tally: Tally,
}

impl ClearBackend {
    /// Refuses a rotation out of range or without a key. Rotation 0 needs none.
    fn check_rotation(&self, rotation: u32) -> Result<(), HeError> {
        let slots = self.chain.params.slots();
        if rotation as usize >= slots {
            return Err(HeError::RotationRange { rotation, slots });
        }
        if rotation == 0 || self.rotations.binary_search(&rotation).is_ok() {
            return Ok(());
        }
        Err(HeError::MissingRotationKey { rotation })
    }

    /// The sum of one output: partial sums, rotated.
    fn output(&self, checked: &CheckedPlan<'_>, weights: &ClearLinear, x: &[ClearCiphertext], o: usize) -> Vec<f64> {
        let plan = checked.plan;
        let mut total = vec![0.0; self.chain.params.slots()];
        let mut in_qp = false;
        for sum in checked.sums.iter().filter(|s| s.output == o) {
            let mut partial = vec![0.0; total.len()];
            for i in sum.terms.clone() {
                let t = plan.terms[i];
                let rotation = plan.babies[t.input as usize][t.baby as usize] as usize;
                weights.diagonals[i].accumulate(&x[t.input as usize].slots, rotation, &mut partial);
            }
            partial.rotate_left(sum.giant as usize);
            total.iter_mut().zip(&partial).for_each(|(t, p)| *t += p);
            in_qp |= sum.extended || sum.giant != 0;
            self.tally.count(|c| {
                c.plain_mults += sum.terms.len() as u64;
                c.plain_mults_extended += if sum.extended { sum.terms.len() as u64 } else { 0 };
                c.giant_steps += u64::from(sum.giant != 0);
            });
        }
        self.tally.count(|c| {
            c.mod_downs += u64::from(in_qp);
            c.rescales += 1;
        });
        total
    }
}

fn rotated_sum(ct: &ClearCiphertext, rotations: &[u32]) -> ClearCiphertext {
    let mut sum = ct.clone();
    let slots = sum.slots.len();
    for &r in rotations {
        (0..slots).for_each(|j| sum.slots[j] += ct.slots[(j + r as usize) % slots]);
    }
    sum
}

impl HeBackend for ClearBackend {
    type Ciphertext = ClearCiphertext;
    type EncodedLinear = ClearLinear;
    type EncodedPlain = ClearPlain;
    type Client = ClearClient;

    fn keygen(params: &CkksParams, rotations: &[u32], _seed: Seed) -> Result<(ClearClient, Self), HeError> {
        let chain = Chain::new(params)?;
        let slots = params.slots();
        if let Some(&rotation) = rotations.iter().find(|&&r| r as usize >= slots) {
            return Err(HeError::RotationRange { rotation, slots });
        }
        let mut rotations = rotations.to_vec();
        rotations.sort_unstable();
        Ok((ClearClient(chain.clone()), Self { chain, rotations, tally: Tally::default() }))
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
        self.chain.encode(values, level, scale).map(ClearPlain)
    }

    fn encode_linear(
        &self,
        plan: &LinearPlan,
        level: usize,
        plain_scale: f64,
        fill: &(dyn Fn(usize, &mut [f64]) + Sync),
    ) -> Result<ClearLinear, HeError> {
        let slots = self.chain.params.slots();
        let fingerprint = CheckedPlan::new(plan, slots)?.fingerprint();
        let encode = |i| {
            let mut values = vec![0.0; slots];
            fill(i, &mut values);
            Ok(Diagonal::new(self.chain.encode(&values, level, plain_scale)?.slots))
        };
        let diagonals = (0..plan.terms.len()).map(encode).collect::<Result<_, HeError>>()?;
        Ok(ClearLinear { diagonals, plan: fingerprint, level, scale: plain_scale })
    }

    fn linear(
        &self,
        plan: &LinearPlan,
        weights: &ClearLinear,
        inputs: &[ClearCiphertext],
    ) -> Result<Vec<ClearCiphertext>, HeError> {
        let checked = CheckedPlan::new(plan, self.chain.params.slots())?;
        checked.check_weights(weights.plan)?;
        let facts: Vec<(usize, f64)> = inputs.iter().map(|x| (x.level, x.scale)).collect();
        let scale = checked.check_inputs(weights.level, &facts)?;
        let level = weights.level.checked_sub(1).ok_or(HeError::LevelExhausted { op: "linear" })?;
        plan.rotations().try_for_each(|r| self.check_rotation(r))?;
        for i in (0..inputs.len()).filter(|&i| checked.is_rotated(i)) {
            let rotated = plan.babies[i].iter().filter(|&&r| r != 0).count() as u64;
            self.tally.count(|c| {
                c.hoists += 1;
                c.rotations_hoisted += rotated;
            });
        }
        let scale = scale * weights.scale / self.modulus(weights.level);
        let output = |o| {
            let slots = self.output(&checked, weights, inputs, o);
            let out = self.chain.fits("linear", ClearCiphertext { slots, level, scale })?;
            plan.folds.iter().try_fold(out, |out, &fold| self.rotate_add(&out, fold))
        };
        (0..plan.outputs).map(output).collect()
    }

    fn square(&self, ct: &ClearCiphertext) -> Result<ClearCiphertext, HeError> {
        let level = ct.level.checked_sub(1).ok_or(HeError::LevelExhausted { op: "square" })?;
        self.tally.count(|c| c.squares += 1);
        let slots = ct.slots.iter().map(|x| x * x).collect();
        let scale = ct.scale * ct.scale / self.modulus(ct.level);
        self.chain.fits("square", ClearCiphertext { slots, level, scale })
    }

    fn rotate(&self, ct: &ClearCiphertext, rotation: u32) -> Result<ClearCiphertext, HeError> {
        self.check_rotation(rotation)?;
        let mut out = ct.clone();
        if rotation != 0 {
            out.slots.rotate_left(rotation as usize);
            self.tally.rotated(&[rotation]);
        }
        Ok(out)
    }

    fn rotate_add(&self, ct: &ClearCiphertext, rotation: u32) -> Result<ClearCiphertext, HeError> {
        self.check_rotation(rotation)?;
        self.rotate_sum(ct, &[rotation])
    }

    fn rotate_sum(&self, ct: &ClearCiphertext, rotations: &[u32]) -> Result<ClearCiphertext, HeError> {
        rotations.iter().try_for_each(|&r| self.check_rotation(r))?;
        self.tally.rotated(rotations);
        self.tally.count(|c| c.adds += rotations.len() as u64);
        self.chain.fits("rotate_sum", rotated_sum(ct, rotations))
    }

    fn add(&self, a: &ClearCiphertext, b: &ClearCiphertext) -> Result<ClearCiphertext, HeError> {
        let sum = sum("add", a, b)?;
        self.tally.count(|c| c.adds += 1);
        self.chain.fits("add", sum)
    }

    fn add_plain(&self, ct: &ClearCiphertext, plain: &ClearPlain) -> Result<ClearCiphertext, HeError> {
        let sum = sum("add_plain", ct, &plain.0)?;
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
        let ratio = ct.scale / scale;
        let slots = ct.slots.iter().map(|v| v * ratio).collect();
        self.chain.fits("with_scale", ClearCiphertext { slots, level: ct.level, scale })
    }

    fn counts(&self) -> OpCounts {
        self.tally.get()
    }

    fn reset_counts(&self) {
        self.tally.count(|c| *c = OpCounts::default());
    }
}

fn sum(op: &'static str, a: &ClearCiphertext, b: &ClearCiphertext) -> Result<ClearCiphertext, HeError> {
    if a.level != b.level {
        return Err(HeError::LevelMismatch { op, left: a.level, right: b.level });
    }
    check_scales(op, a.scale, b.scale)?;
    let slots = a.slots.iter().zip(&b.slots).map(|(x, y)| x + y).collect();
    Ok(ClearCiphertext { slots, ..*a })
}
