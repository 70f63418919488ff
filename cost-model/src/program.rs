//! The HE program: what a backend executes and what the cost model counts.
//!
//! A program is a list of [`Step`]s over values, each a group of ciphertexts at one level. Step `i` produces value
//! `i + 1`; value 0 is the encrypted input and the last value is the result.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use striae_spaces::NodeId;

use crate::{
    LinearPlan, OpCounts, RotationKinds,
    packing::{Layout, Packing},
};

/// Index of a value in its program; value 0 is the encrypted input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ValueId(pub u32);

impl ValueId {
    /// Position in the value list.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A group of ciphertexts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Where its elements stand.
    pub layout: Layout,
    /// Rescalings left.
    pub level: usize,
}

/// One step of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The node of the network whose value this step produces, up to a per-element affine map that later steps undo.
    pub node: NodeId,
    /// What it does.
    pub kind: StepKind,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// Sum of linear operators on earlier values, plus a bias.
    Linear(LinearStep),
    /// Square of every slot, after adding a plaintext vector where `shift` is set.
    Square {
        /// Operand.
        input: ValueId,
        /// Whether a vector is added first; otherwise the step before has it in its bias.
        shift: bool,
    },
    /// Window sums: for each stage in turn, the value plus its rotations.
    WindowSum {
        /// Operand.
        input: ValueId,
        /// Rotations of each stage.
        stages: Vec<Vec<u32>>,
    },
}

/// A linear step: several sources accumulated before one rescaling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearStep {
    /// The distinct values read; their ciphertexts, in this order, are the inputs of the plan.
    pub inputs: Vec<ValueId>,
    /// Operators that are summed.
    pub sources: Vec<Source>,
    /// Its diagonals and the rotations they need.
    pub plan: Arc<LinearPlan>,
    /// What the rotations are for.
    pub kinds: RotationKinds,
    /// How the rotations were split.
    pub strategy: Strategy,
    /// Level at which the inputs are multiplied; the result is one lower.
    pub level: usize,
}

/// One operator of a linear step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// What it reads.
    pub input: ValueId,
    /// What it computes.
    pub op: SourceOp,
}

/// A linear operator of the network.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SourceOp {
    /// One convolution, or several in a row fused into one.
    Conv(Vec<NodeId>),
    /// A fully connected layer, with the pooling before it where that is folded in.
    Dense {
        /// The layer.
        linear: NodeId,
        /// Average pooling folded into its weights.
        pool: Option<NodeId>,
    },
    /// An average pool that runs as a convolution.
    Pool(NodeId),
    /// The value itself: a residual connection.
    Identity,
}

/// How a linear step's rotations are split between inputs and partial sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// All combined rotations on the inputs, hoisted.
    InputSide,
    /// Taps on the inputs, positions on the partial sums.
    OutputSide,
    /// Positions split at a multiple of `babies` blocks (for dense layers: slots) between inputs and partial sums.
    BabyGiant {
        /// Baby steps.
        babies: usize,
    },
}

/// A lowered network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeProgram {
    /// Slots of a ciphertext.
    pub slots: usize,
    /// How maps are packed.
    pub packing: Packing,
    /// `b`, a power of two: slot `i` of image `k` is slot `b i + k` of the ciphertext; see [`Self::image_slots`].
    pub interleaved: usize,
    /// Values; value `i + 1` is produced by step `i`.
    pub values: Vec<Value>,
    /// Steps in order.
    pub steps: Vec<Step>,
}

impl HeProgram {
    /// Slots a ciphertext has for one of the interleaved images; layouts speak of these.
    pub fn image_slots(&self) -> usize {
        self.slots / self.interleaved
    }

    /// Images of one run.
    pub fn batch(&self) -> usize {
        let first = &self.values[0].layout;
        self.interleaved * first.groups() * first.group_images()
    }

    /// Levels a fresh ciphertext needs.
    pub fn depth(&self) -> usize {
        self.values[0].level
    }

    /// The value a step produces.
    pub fn output_of(&self, step: usize) -> &Value {
        &self.values[step + 1]
    }

    /// One value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// The result.
    pub fn result(&self) -> &Value {
        &self.values[self.values.len() - 1]
    }

    /// Times a linear step runs its plan: once for each group of images.
    pub fn runs(&self, step: usize) -> u64 {
        self.output_of(step).layout.groups() as u64
    }

    /// Operations of one step.
    pub fn step_counts(&self, step: usize) -> OpCounts {
        match &self.steps[step].kind {
            StepKind::Linear(linear) => {
                let bias = linear.plan.outputs as u64;
                OpCounts { plain_adds: bias, ..linear.plan.counts() } * self.runs(step)
            }
            StepKind::Square { input, shift } => square_counts(self.value(*input).layout.ciphertexts() as u64, *shift),
            StepKind::WindowSum { input, stages } => {
                let ciphertexts = self.value(*input).layout.ciphertexts() as u64;
                stages.iter().map(|stage| window_counts(stage.len() as u64, ciphertexts)).sum()
            }
        }
    }

    /// What the rotations of one step are for.
    pub fn step_rotation_kinds(&self, step: usize) -> RotationKinds {
        match &self.steps[step].kind {
            StepKind::Linear(linear) => linear.kinds * self.runs(step),
            StepKind::Square { .. } => RotationKinds::default(),
            StepKind::WindowSum { .. } => {
                RotationKinds { internal: self.step_counts(step).rotations(), ..RotationKinds::default() }
            }
        }
    }

    /// Operations of the whole program.
    pub fn counts(&self) -> OpCounts {
        (0..self.steps.len()).map(|i| self.step_counts(i)).sum()
    }

    /// What all rotations are for.
    pub fn rotation_kinds(&self) -> RotationKinds {
        (0..self.steps.len()).map(|i| self.step_rotation_kinds(i)).sum()
    }
}

/// Every ciphertext is squared, and shifted before where that is asked for.
pub(crate) fn square_counts(ciphertexts: u64, shift: bool) -> OpCounts {
    OpCounts { squares: ciphertexts, plain_adds: if shift { ciphertexts } else { 0 }, ..OpCounts::default() }
}

/// A stage with one rotation is a full rotation; with several they share the decomposition and one division by P.
pub(crate) fn window_counts(rotations: u64, ciphertexts: u64) -> OpCounts {
    let adds = rotations * ciphertexts;
    if rotations == 1 {
        OpCounts { rotations_full: ciphertexts, adds, ..OpCounts::default() }
    } else {
        OpCounts { hoists: ciphertexts, rotations_hoisted: adds, mod_downs: ciphertexts, adds, ..OpCounts::default() }
    }
}
