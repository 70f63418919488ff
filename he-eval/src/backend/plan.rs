//! Checks and bookkeeping that both backends share.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use striae_cost_model::{KeyPlan, LinearPlan, OpCounts, PartialSum};

use crate::HeError;

/// Scales closer than this are equal: the difference is far below the noise.
const SCALE_TOLERANCE: f64 = 1.0 / (1 << 20) as f64;

/// Refuses operands whose scales differ.
pub(crate) fn check_scales(op: &'static str, left: f64, right: f64) -> Result<(), HeError> {
    if (left - right).abs() <= SCALE_TOLERANCE * left.abs().min(right.abs()) {
        Ok(())
    } else {
        Err(HeError::ScaleMismatch { op, left, right })
    }
}

/// Refuses keys for rotations and levels that the parameters do not have.
pub(crate) fn check_key_plan(plan: &KeyPlan, slots: usize, max: usize) -> Result<(), HeError> {
    if let Some(&(rotation, _)) = plan.rotations.iter().find(|(r, _)| *r as usize >= slots) {
        return Err(HeError::RotationRange { rotation, slots });
    }
    match plan.levels().max() {
        Some(level) if level > max => Err(HeError::LevelTooHigh { op: "keygen", level, max }),
        _ => Ok(()),
    }
}

/// Checks that the key for squares, made for levels up to `key`, serves `level`.
pub(crate) fn check_square_key(key: Option<usize>, level: usize) -> Result<(), HeError> {
    match key {
        None => Err(HeError::MissingSquareKey),
        Some(max) if level > max => Err(HeError::KeyLevel { key: "relinearisation", level, max }),
        Some(_) => Ok(()),
    }
}

/// Counts operations where they execute.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<OpCounts>);

impl Tally {
    /// Changes the counts.
    pub(crate) fn count(&self, change: impl FnOnce(&mut OpCounts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Rotations of one ciphertext outside linear steps: one alone is a full rotation, several share a decomposition.
    pub(crate) fn rotated(&self, rotations: &[u32]) {
        let rotated = rotations.iter().filter(|&&r| r != 0).count() as u64;
        self.count(|c| match rotated {
            0 => {}
            1 => c.rotations_full += 1,
            _ => {
                c.hoists += 1;
                c.rotations_hoisted += rotated;
                c.mod_downs += 1;
            }
        });
    }

    /// The counts so far.
    pub(crate) fn get(&self) -> OpCounts {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A linear plan whose every index is in range.
pub(crate) struct CheckedPlan<'a> {
    /// The plan.
    pub(crate) plan: &'a LinearPlan,
    /// Its partial sums, by output, then by giant step.
    pub(crate) sums: Vec<PartialSum>,
}

impl<'a> CheckedPlan<'a> {
    /// Checks a plan for vectors of `slots` slots.
    pub(crate) fn new(plan: &'a LinearPlan, slots: usize) -> Result<Self, HeError> {
        let below = |field, value: usize, bound: usize| {
            if value < bound { Ok(()) } else { Err(HeError::BadPlan { field, value, bound }) }
        };
        below("babies", plan.babies.len(), plan.inputs + 1)?;
        below("inputs", plan.inputs, plan.babies.len() + 1)?;
        for &r in plan.babies.iter().flatten().chain(&plan.giants).chain(&plan.folds) {
            below("rotation", r as usize, slots)?;
        }
        if plan.folds.contains(&0) {
            return Err(HeError::BadPlan { field: "fold", value: 0, bound: slots });
        }
        for t in &plan.terms {
            below("output", t.output as usize, plan.outputs)?;
            below("giant", t.giant as usize, plan.giants.len())?;
            below("input", t.input as usize, plan.inputs)?;
            below("baby", t.baby as usize, plan.babies[t.input as usize].len())?;
        }
        if let Some(i) = plan.terms.windows(2).position(|w| w[0] >= w[1]) {
            return Err(HeError::BadPlan { field: "order of term", value: i + 1, bound: i + 1 });
        }
        let sums: Vec<PartialSum> = plan.partial_sums().collect();
        let mut next = 0;
        for sum in &sums {
            if sum.output > next {
                break;
            }
            next = next.max(sum.output + 1);
        }
        if next < plan.outputs {
            return Err(HeError::EmptyOutput { output: next });
        }
        Ok(Self { plan, sums })
    }

    /// Whether an input is rotated at all.
    pub(crate) fn is_rotated(&self, input: usize) -> bool {
        self.plan.babies[input].iter().any(|&r| r != 0)
    }

    /// Checks the inputs against each other and the level the weights were encoded for; gives their scale.
    pub(crate) fn check_inputs(&self, level: usize, inputs: &[(usize, f64)]) -> Result<f64, HeError> {
        if inputs.len() != self.plan.inputs || inputs.is_empty() {
            return Err(HeError::Length {
                what: "list of linear inputs",
                got: inputs.len(),
                expected: self.plan.inputs.max(1),
            });
        }
        for &(left, scale) in inputs {
            if left != level {
                return Err(HeError::LevelMismatch { op: "linear", left, right: level });
            }
            check_scales("linear", inputs[0].1, scale)?;
        }
        Ok(inputs[0].1)
    }

    /// Identifies the plan among others: weights are laid out for one plan and would give garbage with another.
    pub(crate) fn fingerprint(&self) -> u64 {
        let LinearPlan { inputs, outputs, babies, giants, terms, folds } = self.plan;
        let mut hasher = DefaultHasher::new();
        (inputs, outputs, babies, giants, terms, folds).hash(&mut hasher);
        hasher.finish()
    }

    /// Checks that weights were encoded for this plan.
    pub(crate) fn check_weights(&self, fingerprint: u64) -> Result<(), HeError> {
        if fingerprint == self.fingerprint() { Ok(()) } else { Err(HeError::PlanMismatch) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use striae_cost_model::Term;

    fn plan() -> LinearPlan {
        let term = |output, baby| Term { output, giant: 0, input: 0, baby };
        LinearPlan {
            inputs: 1,
            outputs: 2,
            babies: vec![vec![0, 3]],
            giants: vec![0],
            terms: vec![term(0, 0), term(0, 1), term(1, 1)],
            folds: vec![8],
        }
    }

    fn refusal(change: impl FnOnce(&mut LinearPlan)) -> HeError {
        let mut plan = plan();
        change(&mut plan);
        CheckedPlan::new(&plan, 16).err().unwrap()
    }

    #[test]
    fn a_sound_plan_passes() {
        assert_eq!(CheckedPlan::new(&plan(), 16).unwrap().sums.len(), 2);
    }

    #[test]
    fn unsound_plans_are_refused() {
        assert!(matches!(refusal(|p| p.terms[0].baby = 2), HeError::BadPlan { field: "baby", value: 2, bound: 2 }));
        assert!(matches!(refusal(|p| p.terms.swap(0, 1)), HeError::BadPlan { field: "order of term", .. }));
        assert!(matches!(refusal(|p| p.babies[0][1] = 16), HeError::BadPlan { field: "rotation", .. }));
        assert!(matches!(refusal(|p| p.folds[0] = 0), HeError::BadPlan { field: "fold", .. }));
        assert!(matches!(refusal(|p| p.outputs = 3), HeError::EmptyOutput { output: 2 }));
        assert!(matches!(refusal(|p| p.inputs = 2), HeError::BadPlan { field: "inputs", .. }));
    }

    #[test]
    fn scales_are_compared_relatively() {
        assert!(check_scales("add", 1e12, 1e12 * (1.0 + 1e-7)).is_ok());
        assert!(check_scales("add", 1e12, 1e12 * (1.0 + 1e-5)).is_err());
        assert!(check_scales("add", f64::NAN, 1.0).is_err());
    }
}
