//! Running a circuit on encrypted images.

use std::time::{Duration, Instant};

use striae_cost_model::{LinearPlan, StepKind, ValueId};

use crate::rns::parallel;
use crate::{HeBackend, HeError};

use super::{Circuit, CircuitError, compile::EncodedStep};

/// How long a step took.
#[derive(Clone, Copy, Debug)]
pub struct StepTime {
    /// Index of the step.
    pub step: usize,
    /// Wall time.
    pub time: Duration,
}

/// Sees, and may change, the ciphertexts of a value when it is made: `(step, ciphertexts)`.
pub(crate) type Observer<'a, B> =
    &'a mut dyn FnMut(usize, &mut Vec<<B as HeBackend>::Ciphertext>) -> Result<(), HeError>;

impl<B: HeBackend> Circuit<B> {
    /// Evaluates the network on one encrypted image; returns the ciphertexts of the result and the time of every step.
    pub fn run(
        &self,
        backend: &B,
        input: Vec<B::Ciphertext>,
    ) -> Result<(Vec<B::Ciphertext>, Vec<StepTime>), CircuitError> {
        self.run_observed(backend, input, &mut |_, _| Ok(()))
    }

    /// The same, with every step's value shown to an observer before the next step reads it.
    pub(crate) fn run_observed(
        &self,
        backend: &B,
        input: Vec<B::Ciphertext>,
        observer: Observer<'_, B>,
    ) -> Result<(Vec<B::Ciphertext>, Vec<StepTime>), CircuitError> {
        let expected = self.program.values[0].layout.ciphertexts();
        if input.len() != expected {
            return Err(CircuitError::Ciphertexts { got: input.len(), expected });
        }
        let last_use = self.last_uses();
        let mut values = vec![input];
        let mut times = Vec::with_capacity(self.steps.len());
        for (i, step) in self.program.steps.iter().enumerate() {
            let in_step = |source| CircuitError::Backend { step: i, node: step.node, source };
            let start = Instant::now();
            let mut result = self.step(backend, i, &values).map_err(in_step)?;
            times.push(StepTime { step: i, time: start.elapsed() });
            observer(i, &mut result).map_err(in_step)?;
            values.push(result);
            for (value, last) in values.iter_mut().zip(&last_use) {
                if *last == i {
                    *value = Vec::new();
                }
            }
        }
        Ok((values.pop().unwrap_or_default(), times))
    }

    /// The last step that reads each value, so that its ciphertexts can go.
    fn last_uses(&self) -> Vec<usize> {
        let mut last = vec![usize::MAX; self.program.values.len()];
        for (i, step) in self.program.steps.iter().enumerate() {
            match &step.kind {
                StepKind::Linear(linear) => linear.inputs.iter().for_each(|v| last[v.index()] = i),
                StepKind::Square { input, .. } | StepKind::WindowSum { input, .. } => last[input.index()] = i,
            }
        }
        last
    }

    /// One step; its ciphertexts run beside each other, and each of them over its limbs, on whichever thread is free.
    fn step(&self, backend: &B, i: usize, values: &[Vec<B::Ciphertext>]) -> Result<Vec<B::Ciphertext>, HeError> {
        match (&self.program.steps[i].kind, &self.steps[i]) {
            (StepKind::Linear(step), EncodedStep::Linear { weights, bias }) => {
                let runs = self.program.runs(i) as usize;
                let mut results = Vec::with_capacity(runs * bias.len());
                for run in 0..runs {
                    let share = |value: &'_ ValueId| {
                        let ciphertexts = values[value.index()].len() / runs;
                        &values[value.index()][run * ciphertexts..(run + 1) * ciphertexts]
                    };
                    let operands: Vec<&B::Ciphertext> = step.inputs.iter().flat_map(share).collect();
                    results.extend(linear_step(backend, (&step.plan, weights, bias), step.level, &operands)?);
                }
                Ok(results)
            }
            (StepKind::Square { input, .. }, EncodedStep::Square { shift, .. }) => {
                let operands = &values[input.index()];
                match shift {
                    Some(shift) => {
                        let shifted = |k: usize| backend.add_plain(&operands[k], &shift[k % shift.len()]);
                        backend.square_all(&parallel::collect(operands.len(), shifted)?)
                    }
                    None => backend.square_all(operands),
                }
            }
            (StepKind::WindowSum { input, stages }, EncodedStep::WindowSum) => {
                window_step(backend, &values[input.index()], stages)
            }
            // Compiling pairs every step with its own kind.
            _ => unreachable!("step {i} was compiled as another kind"),
        }
    }
}

/// A linear step with its bias.
pub(crate) fn linear_step<B: HeBackend>(
    backend: &B,
    (plan, weights, bias): (&LinearPlan, &B::EncodedLinear, &[B::EncodedPlain]),
    level: usize,
    operands: &[&B::Ciphertext],
) -> Result<Vec<B::Ciphertext>, HeError> {
    let inputs = gather(backend, level, operands)?;
    let outputs = backend.linear(plan, weights, &inputs)?;
    parallel::collect(outputs.len(), |k| backend.add_plain(&outputs[k], &bias[k]))
}

/// The window sums of ciphertexts.
pub(crate) fn window_step<B: HeBackend>(
    backend: &B,
    operands: &[B::Ciphertext],
    stages: &[Vec<u32>],
) -> Result<Vec<B::Ciphertext>, HeError> {
    parallel::collect(operands.len(), |k| {
        stages.iter().try_fold(operands[k].clone(), |sum, rotations| backend.rotate_sum(&sum, rotations))
    })
}

/// The ciphertexts a linear step reads, at its level and at the scale of its first operand.
fn gather<B: HeBackend>(backend: &B, level: usize, operands: &[&B::Ciphertext]) -> Result<Vec<B::Ciphertext>, HeError> {
    let scale = backend.scale(operands[0]);
    parallel::collect(operands.len(), |k| {
        let lower = backend.drop_to_level(operands[k], level)?;
        if backend.scale(&lower) == scale { Ok(lower) } else { backend.with_scale(&lower, scale) }
    })
}
