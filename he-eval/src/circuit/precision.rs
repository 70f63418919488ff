//! The error of every value of a circuit, from the clear simulator.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use striae_cost_model::{HeProgram, StepKind, packing::Layout};
use striae_spaces::NodeId;

use crate::noise::ErrorEstimate;
use crate::{ClearBackend, ClearCiphertext, HeError};

use super::{Circuit, CircuitError, compile::EncodedStep, pack::Place, weights::copies};

/// Range of the input of an activation of the folded network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActivationBounds {
    /// The activation.
    pub node: NodeId,
    /// Smallest input.
    pub low: f64,
    /// Largest input.
    pub high: f64,
}

/// Errors of a circuit's values.
#[derive(Clone, Debug)]
pub(crate) struct TrackedRun {
    pub(crate) output: Vec<ClearCiphertext>,
    /// By step, of the slots that hold an element.
    pub(crate) steps: Vec<ErrorEstimate>,
    /// Of the result.
    pub(crate) error: ErrorEstimate,
}

impl Circuit<ClearBackend> {
    /// Evaluates a circuit on a backend that tracks errors. With `bounds` the inputs of the activations are replaced by
    /// either end of their ranges, by chance: no slot's error grows faster than there.
    pub(crate) fn track(
        &self,
        backend: &ClearBackend,
        input: Vec<ClearCiphertext>,
        bounds: Option<&[ActivationBounds]>,
    ) -> Result<TrackedRun, CircuitError> {
        let worst = bounds.map(|bounds| self.worst_operands(bounds)).transpose()?;
        let mut steps = Vec::with_capacity(self.steps.len());
        let mut observer = |step: usize, value: &mut Vec<ClearCiphertext>| -> Result<(), HeError> {
            if let Some(slots) = worst.as_ref().and_then(|worst| worst[step].as_ref()) {
                for (ct, slots) in value.iter_mut().zip(slots.iter().cycle()) {
                    *ct = backend.replaced(ct, slots)?;
                }
            }
            steps.extend(element_error(&self.program, step + 1, value));
            Ok(())
        };
        let (output, _) = self.run_observed(backend, input, &mut observer)?;
        let error = element_error(&self.program, self.steps.len(), &output).ok_or(CircuitError::ErrorsNotTracked)?;
        Ok(TrackedRun { output, steps, error })
    }

    /// For each step whose value an activation reads, slots at an end of the activation's range.
    fn worst_operands(&self, bounds: &[ActivationBounds]) -> Result<Vec<Option<Vec<Vec<f64>>>>, CircuitError> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut worst = vec![None; self.steps.len()];
        for (step, encoded) in self.program.steps.iter().zip(&self.steps) {
            let (StepKind::Square { input, .. }, EncodedStep::Square { operand, .. }) = (&step.kind, encoded) else {
                continue;
            };
            let node = step.node;
            let range = bounds.iter().find(|b| b.node == node).ok_or(CircuitError::NoRange { node })?;
            let of_element = operand.factor.iter().zip(&operand.offset).map(|(factor, offset)| {
                let end = if rng.random() { range.high } else { range.low };
                (end - offset) / factor
            });
            let elements: Vec<f64> = of_element.collect();
            // The encrypted image is squared only by a network that starts with an activation.
            if let Some(before) = input.index().checked_sub(1) {
                worst[before] = Some(slots_of(&self.program, input.index(), &elements));
            }
        }
        Ok(worst)
    }
}

/// Slot vectors of one group with one number for each element of a value, the same for all its images, every copy included.
pub(super) fn slots_of(program: &HeProgram, value: usize, elements: &[f64]) -> Vec<Vec<f64>> {
    let layout = &program.values[value].layout;
    let mut slots = vec![vec![0.0; program.slots]; layout.group_ciphertexts()];
    for place in Place::of_group(program, layout) {
        if let Layout::Vector(_) = layout {
            copies(layout, program.image_slots(), |i, slot| slots[0][place.slot(slot)] = elements[i]);
        } else {
            for (i, element) in elements.iter().enumerate() {
                let (ciphertext, slot) = layout.slot(i);
                slots[ciphertext][place.slot(slot)] = *element;
            }
        }
    }
    slots
}

/// The error of the slots that hold an element of a value.
pub(crate) fn element_error(
    program: &HeProgram,
    value: usize,
    ciphertexts: &[ClearCiphertext],
) -> Option<ErrorEstimate> {
    let layout = &program.values[value].layout;
    let mut slots: Vec<Vec<usize>> = vec![Vec::new(); layout.group_ciphertexts()];
    for place in Place::of_group(program, layout) {
        let elements = (0..layout.len()).map(|i| layout.slot(i));
        elements.for_each(|(ciphertext, slot)| slots[ciphertext].push(place.slot(slot)));
    }
    let errors = ciphertexts.iter().zip(slots.iter().cycle()).map(|(ct, slots)| ct.error_at(slots.iter().copied()));
    errors.collect::<Option<Vec<_>>>()?.into_iter().reduce(|a, b| a.join(&b))
}
