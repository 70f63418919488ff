//! The closed set of operations a network is made of.

use serde::{Deserialize, Serialize};

/// One kernel offset `(dy, dx)`: output pixel `(y, x)` reads input pixel `(stride * y + dy, stride * x + dx)`.
pub type Tap = (i32, i32);

/// One operation. Inputs are held by the graph's nodes, not by the operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// The image; exactly one, the first node.
    Input,
    /// Convolution over a map.
    Conv2d(Conv2d),
    /// Fully connected layer over a vector.
    Linear(Linear),
    /// Average over windows of a map.
    AvgPool(AvgPool),
    /// Element-wise activation.
    Activation(Activation),
    /// Sum of two values of one shape.
    Add,
    /// Map to vector, channel by channel, row by row.
    Flatten,
    /// Batch normalisation per channel; folded away before lowering.
    BatchNorm,
}

/// Convolution. The weight tensor has shape `[out_channels, in_channels / groups, taps]` with only the taps of the mask,
/// in row-major order of their offsets; the bias has shape `[out_channels]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Number of output channels.
    pub out_channels: usize,
    /// Kernel side and mask.
    pub kernel: Kernel,
    /// Step between output pixels, in both directions.
    pub stride: usize,
    /// Border rule.
    pub padding: Padding,
    /// Number of groups; divides both channel counts.
    pub groups: usize,
    /// Which channels form a group.
    pub grouping: Grouping,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Conv2d {
    /// A dense `k` x `k` convolution, stride 1, same padding, no bias.
    pub fn dense(out_channels: usize, k: usize) -> Self {
        Self {
            out_channels,
            kernel: Kernel { size: k, mask: KernelMask::Full },
            stride: 1,
            padding: Padding::Same,
            groups: 1,
            grouping: Grouping::Contiguous,
            bias: false,
        }
    }

    /// The input channel that weight `[out_channel, j, _]` multiplies.
    pub fn input_channel(&self, in_channels: usize, out_channel: usize, j: usize) -> usize {
        let groups = self.groups;
        match self.grouping {
            Grouping::Contiguous => {
                let group = out_channel / (self.out_channels / groups);
                group * (in_channels / groups) + j
            }
            Grouping::Interleaved => j * groups + out_channel % groups,
            Grouping::Shifted { blocks } => {
                let position = out_channel % groups;
                let (sub, block) = (position / blocks, position % blocks);
                j * groups + sub * blocks + (block + j) % blocks
            }
        }
    }

    /// Taps that the input channels with weight index `j` (for interleaved groupings: input ciphertext `j`) are read at.
    pub fn taps(&self, j: usize) -> Vec<Tap> {
        self.kernel.taps(j, self.padding)
    }
}

/// Kernel side and the taps that are present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Side of the square the mask lies in.
    pub size: usize,
    /// Which taps of the square are present.
    pub mask: KernelMask,
}

impl Kernel {
    /// Number of taps per channel pair.
    pub const fn tap_count(&self) -> usize {
        let k = self.size;
        match self.mask {
            KernelMask::Full => k * k,
            KernelMask::Cross => 2 * k - 1,
            KernelMask::Row | KernelMask::Column | KernelMask::Alternating => k,
        }
    }

    /// Whether the kernel reads one pixel only.
    pub const fn is_point(&self) -> bool {
        self.size == 1
    }

    /// Offsets of the taps for weight index `j`, row-major. `Same` padding centres the kernel, `Valid` starts at 0.
    pub fn taps(&self, j: usize, padding: Padding) -> Vec<Tap> {
        let k = self.size as i32;
        let centre = (k - 1) / 2;
        let origin = match padding {
            Padding::Same => centre,
            Padding::Valid => 0,
        };
        let present = |y: i32, x: i32| match self.mask {
            KernelMask::Full => true,
            KernelMask::Cross => y == centre || x == centre,
            KernelMask::Row => y == centre,
            KernelMask::Column => x == centre,
            KernelMask::Alternating => {
                if j.is_multiple_of(2) {
                    y == centre
                } else {
                    x == centre
                }
            }
        };
        (0..k)
            .flat_map(|y| (0..k).map(move |x| (y, x)))
            .filter(|&(y, x)| present(y, x))
            .map(|(y, x)| (y - origin, x - origin))
            .collect()
    }
}

/// Shape of a kernel inside its `k` x `k` square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelMask {
    /// All `k * k` taps.
    Full,
    /// The middle row and the middle column.
    Cross,
    /// A 1 x k stripe.
    Row,
    /// A k x 1 stripe.
    Column,
    /// Stripes that alternate with the weight's input index: 1 x k for even, k x 1 for odd input ciphertexts.
    Alternating,
}

/// Border rule of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// Zeros around the map; output side is ceil(input side / stride).
    Same,
    /// No zeros; output side is (input side - k) / stride + 1.
    Valid,
}

/// Which channels form a group of a grouped convolution; all agree when there is one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// Neighbouring channels, as in most frameworks.
    Contiguous,
    /// Channels equal modulo the number of groups: with `groups` = channel capacity, those at the same position of every
    /// ciphertext (ExRot-Free).
    Interleaved,
    /// Interleaved, where input ciphertext `j` enters rotated by `j` blocks: output position `(sub, b)` reads channel
    /// `(sub, (b + j) mod blocks)` of ciphertext `j` (slot-shift mixing). `blocks` divides `groups`.
    Shifted {
        /// Blocks in one ciphertext.
        blocks: usize,
    },
}

/// Fully connected layer; weight `[out_features, in_features]`, bias `[out_features]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Number of outputs.
    pub out_features: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

/// Average pooling without padding; a window as large as the map is global average pooling.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool {
    /// Side of the window.
    pub size: usize,
    /// Step between windows.
    pub stride: usize,
}

/// Element-wise activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `a x^2 + b x + c` with `a`, `b`, `c` of shape `[channels]`.
    Quadratic,
    /// Rectifier; trains and is costed under the hybrid protocol, cannot run under CKKS.
    Relu,
}
