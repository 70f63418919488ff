//! The unchecked form of a space, as its TOML file holds it.

use serde::{Deserialize, Serialize};

use crate::KernelMask;

/// A StriaNet space as its file states it. [`StriaSpace::new`](super::StriaSpace::new) checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StriaSpaceLiteral {
    /// Name of the space.
    pub name: String,
    /// Channels, height and width of the image.
    pub input: [usize; 3],
    /// Values of the output.
    pub classes: usize,
    /// Slots of the ciphertexts that widths are counted in; a power of two.
    pub slots: usize,
    /// Whether every layer's input is encrypted and packed anew, as under hybrid protocols. Then only the maps behind the stem must fit
    /// the slots, a strided convolution has the capacity of its smaller maps, and a shift moves by single positions.
    #[serde(default)]
    pub repacked: bool,
    /// First layer.
    pub stem: StemLiteral,
    /// Stages of StriaBlocks.
    #[serde(default)]
    pub stages: Vec<StageLiteral>,
    /// Classifier.
    pub head: HeadLiteral,
    /// Focused Constraint.
    pub bounds: Bounds,
}

/// The dense first convolution; its stride holds for the whole space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StemLiteral {
    /// Step between its output pixels.
    pub stride: usize,
    /// Kernel sides to choose from.
    pub kernels: Vec<usize>,
    /// Widths in ciphertexts to choose from.
    pub ciphertexts: Option<Vec<usize>>,
    /// Or widths in channels, which may leave ciphertexts part-filled.
    pub widths: Option<Vec<usize>>,
}

/// One stage: a transition if shape or width change, then StriaBlocks of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageLiteral {
    /// How much smaller the stage's maps are than those before it.
    pub stride: usize,
    /// Numbers of blocks to choose from; a stage of depth 0 is left out with its transition.
    pub depths: Vec<usize>,
    /// Widths in ciphertexts to choose from. Without these and `widths` the stage keeps the width before it.
    pub ciphertexts: Option<Vec<usize>>,
    /// Or widths in channels, which may leave ciphertexts part-filled.
    pub widths: Option<Vec<usize>>,
    /// Bottlenecks in ciphertexts to choose from.
    pub bottlenecks: Option<Vec<usize>>,
    /// Or bottlenecks in channels.
    pub bottleneck_widths: Option<Vec<usize>>,
    /// Kernel sides of the blocks to choose from.
    pub kernels: Vec<usize>,
    /// Kernel masks of the blocks to choose from.
    pub masks: Vec<KernelMask>,
    /// How positions of a ciphertext mix.
    pub mixing: Vec<MixingChoice>,
    /// Whether activations stand inside the blocks (`true`) or the parts are fusable (`false`).
    pub inner: Vec<bool>,
    /// How a stage with a stride gets its smaller maps; only where `stride` is not 1.
    pub transitions: Option<Vec<Transition>>,
}

/// The classifier: pooling, then one linear layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadLiteral {
    /// Windows of the average pooling to choose from; 1 for none, 0 for the whole map.
    pub pools: Vec<usize>,
}

/// Focused Constraint: limits on what HE cost is sensitive to, and on nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Most taps of a kernel after the stem (the stem reads what the client packed for it).
    pub max_taps: usize,
    /// Most external rotations of the convolutions after the stem, all together.
    pub max_external_rotations: usize,
    /// Most ciphertexts at the stem's output and at any stage's.
    pub max_ciphertexts: usize,
    /// Most levels.
    pub max_levels: usize,
}

/// How the positions of a ciphertext mix in a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MixingChoice {
    /// They do not: every convolution is ExRot-Free.
    None,
    /// The transition and every block's first part read ciphertext `i` rotated by `i` blocks.
    Shift,
    /// The stage's first convolution is dense; all others are ExRot-Free.
    Dense,
}

impl MixingChoice {
    /// Its word in space files and trial parameters.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Shift => "shift",
            Self::Dense => "dense",
        }
    }
}

/// How a stage with a stride gets its smaller maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// Strided 3x3 convolution, activation: two levels.
    Conv3,
    /// Strided point convolution, activation: two levels.
    Point,
    /// Average pooling, then a point convolution and activation only if the width changes: two levels or none.
    Pool,
}

impl Transition {
    /// Its word in space files and trial parameters.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Conv3 => "conv3",
            Self::Point => "point",
            Self::Pool => "pool",
        }
    }
}
