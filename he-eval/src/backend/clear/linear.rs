//! Linear plans on plain vectors, and the errors that double hoisting gives their encrypted twins.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use striae_cost_model::{LinearPlan, PartialSum};

use crate::backend::CheckedPlan;
use crate::noise::{NoiseModel, Probes, Signs};
use crate::{HeBackend, HeError};

use super::chain::Noise;
use super::diagonal::Diagonal;
use super::{ClearBackend, ClearCiphertext};

/// Diagonals of a linear plan.
#[derive(Clone, Debug)]
pub struct ClearLinear {
    diagonals: Vec<Diagonal>,
    /// For each term the fingerprint of its values, where errors are tracked: equal diagonals have equal rounding errors.
    values: Vec<u64>,
    /// Fingerprint of the plan.
    plan: u64,
    level: usize,
    scale: f64,
}

impl ClearLinear {
    pub(super) fn new(
        backend: &ClearBackend,
        plan: &LinearPlan,
        level: usize,
        scale: f64,
        fill: &(dyn Fn(usize, &mut [f64]) + Sync),
    ) -> Result<Self, HeError> {
        let slots = backend.chain.params.slots();
        let fingerprint = CheckedPlan::new(plan, slots)?.fingerprint();
        let (mut diagonals, mut values) = (Vec::new(), Vec::new());
        for term in 0..plan.terms.len() {
            let mut diagonal = vec![0.0; slots];
            fill(term, &mut diagonal);
            backend.chain.check_vector(&diagonal, level, scale)?;
            if backend.chain.noise.is_some() {
                let mut hasher = DefaultHasher::new();
                diagonal.iter().for_each(|v| v.to_bits().hash(&mut hasher));
                values.push(hasher.finish());
            }
            diagonals.push(Diagonal::new(diagonal));
        }
        Ok(Self { diagonals, values, plan: fingerprint, level, scale })
    }
}

/// Executes a plan.
pub(super) fn linear(
    backend: &ClearBackend,
    plan: &LinearPlan,
    weights: &ClearLinear,
    inputs: &[ClearCiphertext],
) -> Result<Vec<ClearCiphertext>, HeError> {
    let checked = CheckedPlan::new(plan, backend.chain.params.slots())?;
    checked.check_weights(weights.plan)?;
    let facts: Vec<(usize, f64)> = inputs.iter().map(|x| (x.level, x.scale)).collect();
    let scale = checked.check_inputs(weights.level, &facts)?;
    let level = weights.level.checked_sub(1).ok_or(HeError::LevelExhausted { op: "linear" })?;
    let rotations = plan.babies.iter().flatten().chain(&plan.giants);
    rotations.copied().try_for_each(|r| backend.check_rotation(r, weights.level))?;
    plan.folds.iter().try_for_each(|&r| backend.check_rotation(r, level))?;
    for i in (0..inputs.len()).filter(|&i| checked.is_rotated(i)) {
        let rotated = plan.babies[i].iter().filter(|&&r| r != 0).count() as u64;
        backend.tally.count(|c| {
            c.hoists += 1;
            c.rotations_hoisted += rotated;
        });
    }
    let errors = backend.chain.noise.as_ref().map(|noise| LinearErrors::new(noise, &checked, weights, inputs));
    let scale = scale * weights.scale / backend.modulus(weights.level);
    let output = |o| {
        let slots = values(backend, &checked, weights, inputs, o);
        let errors = errors.as_ref().map(|errors| errors.output(&checked, weights, o));
        let mut out = ClearCiphertext { slots, level, scale, errors };
        backend.chain.disturb(&mut out, NoiseModel::division);
        let out = backend.chain.fits("linear", out)?;
        plan.folds.iter().try_fold(out, |out, &fold| backend.rotate_add(&out, fold))
    };
    (0..plan.outputs).map(output).collect()
}

/// Input and rotation of a term.
fn operand(plan: &LinearPlan, term: usize) -> (usize, usize) {
    let t = plan.terms[term];
    (t.input as usize, plan.babies[t.input as usize][t.baby as usize] as usize)
}

/// The values of one output: partial sums, rotated.
fn values(
    backend: &ClearBackend,
    checked: &CheckedPlan<'_>,
    weights: &ClearLinear,
    x: &[ClearCiphertext],
    o: usize,
) -> Vec<f64> {
    let slots = backend.chain.params.slots();
    let mut total = vec![0.0; slots];
    let mut in_qp = false;
    for sum in checked.sums.iter().filter(|s| s.output == o) {
        let mut partial = vec![0.0; slots];
        for term in sum.terms.clone() {
            let (input, rotation) = operand(checked.plan, term);
            let x = &x[input].slots;
            weights.diagonals[term].each(slots, rotation, |j, from, factor| partial[j] += factor * x[from]);
        }
        partial.rotate_left(sum.giant as usize);
        total.iter_mut().zip(&partial).for_each(|(t, p)| *t += p);
        in_qp |= sum.extended || sum.giant != 0;
        backend.tally.count(|c| {
            c.plain_mults += sum.terms.len() as u64;
            c.plain_mults_extended += if sum.extended { sum.terms.len() as u64 } else { 0 };
            c.giant_steps += u64::from(sum.giant != 0);
        });
    }
    backend.tally.count(|c| {
        c.mod_downs += u64::from(in_qp);
        c.rescales += 1;
    });
    total
}

/// Errors of one execution.
struct LinearErrors<'a> {
    noise: &'a Noise,
    inputs: Vec<&'a Probes>,
    /// Largest magnitude of each input.
    magnitudes: Vec<f64>,
    /// Signs of the key switch of each rotated input, which all terms that read it share.
    switches: HashMap<(usize, usize), Signs>,
    /// Deviation of a key switch in units of the inputs.
    switching: f32,
    /// Scale of the products.
    scale: f64,
    slots: usize,
}

impl<'a> LinearErrors<'a> {
    fn new(noise: &'a Noise, checked: &CheckedPlan<'_>, weights: &ClearLinear, inputs: &'a [ClearCiphertext]) -> Self {
        let slots = inputs[0].slots.len();
        let rotated = checked
            .plan
            .babies
            .iter()
            .enumerate()
            .flat_map(|(input, babies)| babies.iter().filter(|&&r| r != 0).map(move |&r| (input, r as usize)));
        Self {
            noise,
            inputs: inputs.iter().filter_map(|x| x.errors.as_ref()).collect(),
            magnitudes: inputs.iter().map(|x| x.slots.iter().fold(0.0, |m: f64, v| m.max(v.abs()))).collect(),
            switches: rotated.map(|key| (key, noise.source.signs(slots))).collect(),
            switching: (noise.model.switching(weights.level).sqrt() / inputs[0].scale) as f32,
            scale: inputs[0].scale * weights.scale,
            slots,
        }
    }

    /// Errors of one output before its rescaling.
    fn output(&self, checked: &CheckedPlan<'_>, weights: &ClearLinear, o: usize) -> Probes {
        let mut total = Probes::zero(self.slots);
        // Sum of the magnitudes that meet each distinct diagonal.
        let mut met: HashMap<u64, f64> = HashMap::new();
        for sum in checked.sums.iter().filter(|s| s.output == o) {
            let mut partial = Probes::zero(self.slots);
            for term in sum.terms.clone() {
                let key @ (input, rotation) = operand(checked.plan, term);
                *met.entry(weights.values[term]).or_default() += self.magnitudes[input];
                let (x, white) = (self.inputs[input], self.switches.get(&key).map(|s| (s, self.switching)));
                weights.diagonals[term]
                    .each(self.slots, rotation, |j, from, factor| partial.accumulate(j, factor, x, from, white));
            }
            self.giant_step(&mut partial, sum, weights.level);
            total.add(&partial);
        }
        // The rounding of an encoded diagonal meets everything that it is multiplied by.
        let rounding: f64 = met.values().map(|magnitude| magnitude * magnitude).sum();
        self.noise.add(&mut total, self.slots, rounding * self.noise.model.encoding(), weights.scale);
        total
    }

    fn giant_step(&self, partial: &mut Probes, sum: &PartialSum, level: usize) {
        if sum.giant == 0 {
            return;
        }
        partial.rotate(sum.giant as usize);
        let model = &self.noise.model;
        let division = if sum.extended { model.giant_division() } else { 0.0 };
        self.noise.add(partial, self.slots, model.switching(level) + division, self.scale);
    }
}
