//! Builders of the recurring parts of networks.
//!
//! Each convolution is followed by batch normalisation, which is folded into it before lowering; so convolutions carry
//! no bias of their own.

use crate::{Activation, Conv2d, GraphBuilder, GraphError, Grouping, Kernel, KernelMask, NodeId, Op};

/// What every activation of the built-in networks is.
const ACTIVATION: Op = Op::Activation(Activation::Quadratic);

/// Convolution and batch normalisation.
pub fn conv_bn(builder: &mut GraphBuilder, input: NodeId, conv: Conv2d) -> Result<NodeId, GraphError> {
    builder.push(Op::Conv2d(conv), &[input])?;
    builder.then(Op::BatchNorm)
}

/// Convolution, batch normalisation, quadratic activation.
pub fn conv_bn_act(builder: &mut GraphBuilder, input: NodeId, conv: Conv2d) -> Result<NodeId, GraphError> {
    conv_bn(builder, input, conv)?;
    builder.then(ACTIVATION)
}

/// The channel-mixing structure shared by the convolutions of one ExRot-Free part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mixing {
    /// Number of groups; the channel capacity makes it ExRot-Free, 1 makes it dense.
    pub groups: usize,
    /// Which channels form a group.
    pub grouping: Grouping,
}

impl Mixing {
    /// Every output channel reads every input channel.
    pub const DENSE: Self = Self::contiguous(1);

    /// Neighbouring channels mix.
    pub const fn contiguous(groups: usize) -> Self {
        Self { groups, grouping: Grouping::Contiguous }
    }

    /// Channels at the same of `groups` positions mix.
    pub const fn interleaved(groups: usize) -> Self {
        Self { groups, grouping: Grouping::Interleaved }
    }

    /// As [`interleaved`](Self::interleaved), with input ciphertext `i` rotated by `i` of `blocks` blocks first.
    pub const fn shifted(groups: usize, blocks: usize) -> Self {
        Self { groups, grouping: Grouping::Shifted { blocks } }
    }

    /// A convolution with this structure, same padding, no bias.
    pub const fn conv(self, out_channels: usize, kernel: Kernel, stride: usize) -> Conv2d {
        Conv2d {
            out_channels,
            kernel,
            stride,
            padding: crate::Padding::Same,
            groups: self.groups,
            grouping: self.grouping,
            bias: false,
        }
    }
}

/// The kernel that reads one pixel.
pub const POINT: Kernel = Kernel { size: 1, mask: KernelMask::Full };

/// A StriaBlock over `C` channels, which it keeps: point convolution `C -> M`, `kernel` on `M`, point convolution
/// `M -> C`, residual add, activation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StriaBlock {
    /// Channels `M` of the bottleneck.
    pub middle: usize,
    /// Kernel of the middle part.
    pub kernel: Kernel,
    /// Mixing of the three parts.
    pub mixing: [Mixing; 3],
    /// Whether activations stand between the three parts. Without them the planner may fuse the parts into one
    /// convolution.
    pub inner: bool,
}

/// Adds a [`StriaBlock`].
pub fn stria_block(builder: &mut GraphBuilder, input: NodeId, block: &StriaBlock) -> Result<NodeId, GraphError> {
    let channels = builder.shape(input).channels();
    let [squeeze, middle, expand] = block.mixing;
    let part = if block.inner { conv_bn_act } else { conv_bn };
    let squeezed = part(builder, input, squeeze.conv(block.middle, POINT, 1))?;
    let crossed = part(builder, squeezed, middle.conv(block.middle, block.kernel, 1))?;
    let expanded = conv_bn(builder, crossed, expand.conv(channels, POINT, 1))?;
    builder.push(Op::Add, &[expanded, input])?;
    builder.then(ACTIVATION)
}

/// Adds the basic block of He et al. 2016: two 3x3 convolutions and a shortcut, which is a strided point convolution
/// (their option B) where the shape changes.
pub fn residual_block(
    builder: &mut GraphBuilder,
    input: NodeId,
    out_channels: usize,
    stride: usize,
) -> Result<NodeId, GraphError> {
    let first = conv_bn_act(builder, input, Conv2d { stride, ..Conv2d::dense(out_channels, 3) })?;
    let second = conv_bn(builder, first, Conv2d::dense(out_channels, 3))?;
    let shortcut = if stride == 1 && builder.shape(input).channels() == out_channels {
        input
    } else {
        conv_bn(builder, input, Conv2d { stride, ..Conv2d::dense(out_channels, 1) })?
    };
    builder.push(Op::Add, &[second, shortcut])?;
    builder.then(ACTIVATION)
}

/// Average pooling over `size` x `size` windows.
pub fn pool(builder: &mut GraphBuilder, size: usize) -> Result<NodeId, GraphError> {
    builder.then(Op::AvgPool(crate::AvgPool { size, stride: size }))
}

/// Linear layer with a bias.
pub fn linear(builder: &mut GraphBuilder, out_features: usize) -> Result<NodeId, GraphError> {
    builder.then(Op::Linear(crate::Linear { out_features, bias: true }))
}

/// Linear layer with a bias, quadratic activation.
pub fn linear_act(builder: &mut GraphBuilder, out_features: usize) -> Result<NodeId, GraphError> {
    linear(builder, out_features)?;
    builder.then(ACTIVATION)
}
