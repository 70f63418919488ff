//! The evaluation keys a program needs.

use std::ops::Range;

use crate::{HeProgram, StepKind};

/// Evaluation keys, each for the highest level that uses it: a key for fewer limbs has fewer digits, and is smaller in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPlan {
    /// Highest level at which a ciphertext is squared; `None` if none is.
    pub square: Option<usize>,
    /// Rotations, ascending, none of them 0, with the highest level of each.
    pub rotations: Vec<(u32, usize)>,
}

impl KeyPlan {
    /// Keys for squares up to a level and for these rotations at these levels, in any order and with repeats.
    pub fn new(square: Option<usize>, mut uses: Vec<(u32, usize)>) -> Self {
        uses.retain(|(rotation, _)| *rotation != 0);
        uses.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        uses.dedup_by_key(|(rotation, _)| *rotation);
        Self { square, rotations: uses }
    }

    /// Keys for squares and these rotations at every level up to `level`.
    pub fn up_to(level: usize, rotations: impl IntoIterator<Item = u32>) -> Self {
        Self::new(Some(level), rotations.into_iter().map(|r| (r, level)).collect())
    }

    /// The levels of all keys, rotations first.
    pub fn levels(&self) -> impl Iterator<Item = usize> {
        self.rotations.iter().map(|(_, level)| *level).chain(self.square)
    }
}

impl HeProgram {
    /// The keys its evaluation needs.
    pub fn keys(&self) -> KeyPlan {
        self.keys_of(0..self.steps.len())
    }

    /// The keys that some of its steps need.
    pub fn keys_of(&self, steps: Range<usize>) -> KeyPlan {
        let (mut square, mut uses) = (None, Vec::new());
        for (i, step) in self.steps.iter().enumerate().take(steps.end).skip(steps.start) {
            match &step.kind {
                StepKind::Linear(linear) => {
                    let plan = &linear.plan;
                    uses.extend(plan.babies.iter().flatten().chain(&plan.giants).map(|&r| (r, linear.level)));
                    // Folds run behind the rescaling.
                    uses.extend(plan.folds.iter().map(|&r| (r, self.output_of(i).level)));
                }
                StepKind::Square { input, .. } => square = square.max(Some(self.value(*input).level)),
                StepKind::WindowSum { input, stages } => {
                    let level = self.value(*input).level;
                    uses.extend(stages.iter().flatten().map(|&r| (r, level)));
                }
            }
        }
        KeyPlan::new(square, uses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rotation_has_its_highest_level() {
        let plan = KeyPlan::new(Some(3), vec![(7, 1), (2, 5), (0, 9), (7, 4), (7, 2)]);
        assert_eq!(plan.rotations, [(2, 5), (7, 4)]);
        assert_eq!(plan.levels().collect::<Vec<_>>(), [5, 4, 3]);
    }
}
