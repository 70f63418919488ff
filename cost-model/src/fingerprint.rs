//! Telling programs apart: two with one fingerprint execute the same operations on the same slots.

use crate::{HeProgram, LinearPlan, StepKind};

impl HeProgram {
    /// BLAKE3 hash of everything that is executed: slots, layouts and levels of all values, and every step with its
    /// rotations and diagonals. The weights are no part of it.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Fields(blake3::Hasher::new());
        hash.number(self.slots);
        hash.number(self.values.len());
        for value in &self.values {
            hash.text(&format!("{:?}", value.layout));
            hash.number(value.level);
        }
        for step in &self.steps {
            hash.number(step.node.index());
            match &step.kind {
                StepKind::Linear(linear) => {
                    hash.text("linear");
                    hash.list(linear.inputs.iter().map(|input| input.index()));
                    hash.text(&format!("{:?}", linear.sources));
                    hash.number(linear.level);
                    hash.plan(&linear.plan);
                }
                StepKind::Square { input, shift } => {
                    hash.text("square");
                    hash.list([input.index(), usize::from(*shift)].into_iter());
                }
                StepKind::WindowSum { input, stages } => {
                    hash.text("window");
                    hash.number(input.index());
                    hash.number(stages.len());
                    stages.iter().for_each(|stage| hash.rotations(stage));
                }
            }
        }
        hash.0.finalize().into()
    }
}

/// Fields one after the other, each list and text with its length in front, so that no two programs read alike.
struct Fields(blake3::Hasher);

impl Fields {
    fn number(&mut self, value: usize) {
        self.0.update(&(value as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text.as_bytes());
    }

    fn list(&mut self, values: impl ExactSizeIterator<Item = usize>) {
        self.number(values.len());
        values.for_each(|value| self.number(value));
    }

    fn rotations(&mut self, rotations: &[u32]) {
        self.list(rotations.iter().map(|&r| r as usize));
    }

    fn plan(&mut self, plan: &LinearPlan) {
        self.list([plan.inputs, plan.outputs, plan.babies.len(), plan.terms.len()].into_iter());
        plan.babies.iter().for_each(|babies| self.rotations(babies));
        self.rotations(&plan.giants);
        for term in &plan.terms {
            [term.output, term.giant, term.input, term.baby].into_iter().for_each(|i| self.number(i.into()));
        }
        self.rotations(&plan.folds);
    }
}
