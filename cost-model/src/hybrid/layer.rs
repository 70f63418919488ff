//! The linear layers of a network as the protocols see them.

use striae_spaces::{Conv2d, Grouping, KernelMask, NodeId, Op, Padding, Shape, TypedGraph};

/// A linear layer with the shapes around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearLayer {
    /// Its node; of several that are summed, the first.
    pub node: NodeId,
    /// The node whose value it leaves: its own, or the sum.
    pub(super) result: NodeId,
    /// Shape of its input.
    pub input: Shape,
    /// Shape of its output.
    pub output: Shape,
    /// What it is.
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A convolution.
    Conv(ConvShape),
    /// A product with a matrix of `rows x columns`.
    Dense { rows: usize, columns: usize },
}

/// What a convolution's cost depends on. Which channels form a group only matters to what can be fused: the client may pack
/// them in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConvShape {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) out_height: usize,
    pub(super) groups: usize,
    pub(super) grouping: Grouping,
    /// Channels of a group, in and out.
    pub(super) ins: usize,
    pub(super) outs: usize,
    pub(super) stride: usize,
    pub(super) padding: Padding,
    /// Offsets under which one input channel is read.
    pub(super) taps: Vec<(i32, i32)>,
    /// Offsets under which any input channel is read: more than `taps` where stripes alternate.
    pub(super) all_taps: Vec<(i32, i32)>,
}

impl ConvShape {
    fn new(conv: &Conv2d, input: Shape, output: Shape) -> Self {
        let ((height, width), (out_height, _)) = (input.spatial(), output.spatial());
        let taps = conv.taps(0);
        let mut all_taps = taps.clone();
        if conv.kernel.mask == KernelMask::Alternating {
            all_taps.extend(conv.taps(1).into_iter().filter(|tap| !taps.contains(tap)));
        }
        Self {
            height,
            width,
            out_height,
            groups: conv.groups,
            grouping: conv.grouping,
            ins: input.channels() / conv.groups,
            outs: conv.out_channels / conv.groups,
            stride: conv.stride,
            padding: conv.padding,
            taps,
            all_taps,
        }
    }

    /// Rows and columns that the taps span.
    pub(super) fn window(&self) -> (usize, usize) {
        let span = |of: fn(&(i32, i32)) -> i32| {
            let (low, high) = (self.all_taps.iter().map(of).min(), self.all_taps.iter().map(of).max());
            (high.unwrap_or(0) - low.unwrap_or(0)) as usize + 1
        };
        (span(|t| t.0), span(|t| t.1))
    }
}

impl LinearLayer {
    /// The layer of a node, or `None` if the node is not linear or, like a pooling, costs nothing.
    pub fn of(graph: &TypedGraph, node: NodeId) -> Option<Self> {
        let at = graph.node(node);
        let input = graph.shape(*at.inputs.first()?);
        let kind = match &at.op {
            Op::Conv2d(conv) => Kind::Conv(ConvShape::new(conv, input, at.shape)),
            Op::Linear(linear) => Kind::Dense { rows: linear.out_features, columns: input.len() },
            Op::Input | Op::AvgPool(_) | Op::Activation(_) | Op::Add | Op::Flatten | Op::BatchNorm => return None,
        };
        Some(Self { node, result: node, input, output: at.shape, kind })
    }
}
