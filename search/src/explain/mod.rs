//! Why a network costs what it costs: what each step needs, and which single change would save most.

mod changes;
mod edit;

use serde::Serialize;
use striae_cost_model::{Bytes, HeProgram, OpCounts, Plan, StepKind, diagonal_memory};

pub use changes::{Change, Effect, effects};

/// What one step needs besides time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StepNeeds {
    /// Operations.
    pub counts: OpCounts,
    /// Evaluation keys it uses; steps share keys, so these do not add up to those of the network.
    pub keys: Bytes,
    /// Its encoded diagonals and bias.
    pub weights: Bytes,
}

/// What each step of a plan needs, in order.
pub fn steps(plan: &Plan) -> Vec<StepNeeds> {
    let (program, params) = (&plan.program, &plan.params);
    let keys = program.keys();
    let key_bytes = |rotation: u32| {
        let found = keys.rotations.binary_search_by_key(&rotation, |key| key.0);
        found.map_or(0, |i| params.key_bytes(keys.rotations[i].1))
    };
    let needs = |step: usize| {
        let mut rotations = rotations(program, step);
        rotations.sort_unstable();
        rotations.dedup();
        let square = match program.steps[step].kind {
            StepKind::Square { .. } => keys.square.map_or(0, |level| params.key_bytes(level)),
            StepKind::Linear(_) | StepKind::WindowSum { .. } => 0,
        };
        let bias = match &program.steps[step].kind {
            StepKind::Linear(linear) => {
                linear.plan.outputs as u64 * params.ciphertext_bytes(program.output_of(step).level) / 2
            }
            StepKind::Square { .. } | StepKind::WindowSum { .. } => 0,
        };
        StepNeeds {
            counts: program.step_counts(step),
            keys: Bytes(square + rotations.into_iter().map(key_bytes).sum::<u64>()),
            weights: Bytes(diagonal_memory(program, step, params).0 + bias),
        }
    };
    (0..program.steps.len()).map(needs).collect()
}

/// Rotations that a step needs keys for, with repeats.
fn rotations(program: &HeProgram, step: usize) -> Vec<u32> {
    match &program.steps[step].kind {
        StepKind::Linear(linear) => linear.plan.rotations().collect(),
        StepKind::WindowSum { stages, .. } => stages.iter().flatten().copied().collect(),
        StepKind::Square { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use striae_cost_model::{Calibration, Lowerer, PlanOptions};
    use striae_spaces::zoo;

    use super::*;

    #[test]
    fn weights_add_up_to_those_of_the_estimate_and_no_step_has_more_keys_than_the_network() {
        let calibration = Calibration::generic();
        for name in ["strianet-mnist", "hefnet-g8", "resnet20"] {
            let plan = Lowerer::new(&calibration).plan(&zoo::build(name).unwrap(), &PlanOptions::default()).unwrap();
            let steps = steps(&plan);
            let weights: u64 = steps.iter().map(|s| s.weights.0).sum();
            let all: OpCounts = steps.iter().map(|s| s.counts).sum();
            assert_eq!((weights, all), (plan.estimate.memory.weights.0, plan.program.counts()), "{name}");
            let (most, sum) = (steps.iter().map(|s| s.keys).max().unwrap(), steps.iter().map(|s| s.keys.0).sum());
            let held = plan.estimate.memory.keys;
            assert!(most <= held && held <= Bytes(sum), "{name}: {most} {held} {sum}");
        }
    }
}
