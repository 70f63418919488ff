//! Convolutions as the lowering sees them, and which of them compose to one.

use striae_spaces::{AvgPool, Conv2d, Grouping, Kernel, KernelMask, NodeId, Op, Padding, Shape, TypedGraph};

use crate::{SourceOp, packing::Layout};

/// A convolution as the lowering sees it: one of the network, a fused chain, or the identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvDesc {
    /// Shape read.
    pub input: Shape,
    /// Shape produced.
    pub output: Shape,
    /// Connectivity, taps, stride; the bias flag is not used.
    pub conv: Conv2d,
}

/// Whether `next` can join the chain: at most one convolution of it reads neighbours or strides, and the groups compose.
pub(super) fn fusable(graph: &TypedGraph, chain: &[NodeId], next: &Conv2d) -> bool {
    let convs: Option<Vec<&Conv2d>> = chain.iter().map(|&id| conv_of(graph, id)).collect();
    let Some(mut convs) = convs else { return false };
    convs.push(next);
    let moving = convs.iter().filter(|c| !c.kernel.is_point() || c.stride != 1).count();
    // A point convolution behind padding and stride commutes with it; one before a stride does too.
    let shifted_later = convs[1..].iter().any(|c| matches!(c.grouping, Grouping::Shifted { .. }) && c.groups > 1);
    moving <= 1 && !shifted_later && composed_groups(&convs).is_some()
}

fn conv_of(graph: &TypedGraph, id: NodeId) -> Option<&Conv2d> {
    match &graph.node(id).op {
        Op::Conv2d(conv) => Some(conv),
        Op::Input | Op::Linear(_) | Op::AvgPool(_) | Op::Activation(_) | Op::Add | Op::Flatten | Op::BatchNorm => None,
    }
}

/// Groups of a composition: those of its parts where all agree and are interleaved, none where one part is dense.
fn composed_groups(convs: &[&Conv2d]) -> Option<(usize, Grouping)> {
    let (groups, grouping) = (convs[0].groups, convs[0].grouping);
    if convs.iter().any(|c| c.groups == 1) {
        return Some((1, Grouping::Contiguous));
    }
    let interleaved = |c: &&&Conv2d| c.groups == groups && c.grouping == Grouping::Interleaved;
    let first = matches!(grouping, Grouping::Interleaved | Grouping::Shifted { .. });
    (first && convs[1..].iter().all(|c| interleaved(&c))).then_some((groups, grouping))
}

/// The convolution that a source of the step for `node` amounts to, on an operand with this layout; `None` for vectors that
/// are only copied, and for fully connected layers unless images stand in gaps of the map: where channels of one image are
/// far apart and those of another between them, a layer is a convolution with a kernel as large as the map.
pub fn source_desc(graph: &TypedGraph, op: &SourceOp, layout: &Layout, node: NodeId) -> Option<ConvDesc> {
    let Layout::Map(map) = layout else { return None };
    let input = Shape::map(map.channels, map.height, map.width);
    let chain = match op {
        SourceOp::Dense { linear, .. } => {
            let square = map.has_images_in_gaps() && map.height == map.width;
            let outputs = graph.shape(*linear).len();
            let conv = Conv2d { padding: Padding::Valid, ..Conv2d::dense(outputs, map.height) };
            return square.then(|| ConvDesc { input, output: Shape::map(outputs, 1, 1), conv });
        }
        SourceOp::Pool(pool) => {
            let Op::AvgPool(AvgPool { size, stride }) = &graph.node(*pool).op else { return None };
            let (stride, padding) = (*stride, Padding::Valid);
            let conv = Conv2d { groups: map.channels, stride, padding, ..Conv2d::dense(map.channels, *size) };
            return Some(ConvDesc { input, output: graph.shape(*pool), conv });
        }
        SourceOp::Identity => &[],
        SourceOp::Conv(chain) => chain.as_slice(),
    };
    let convs: Vec<&Conv2d> = chain.iter().filter_map(|&id| conv_of(graph, id)).collect();
    // The identity, or a batch norm that stands alone.
    if convs.is_empty() {
        return Some(ConvDesc { input, output: input, conv: depthwise_point(map.channels) });
    }
    Some(ConvDesc { input, output: graph.shape(node), conv: compose(&convs) })
}

fn depthwise_point(channels: usize) -> Conv2d {
    Conv2d { groups: channels, ..Conv2d::dense(channels, 1) }
}

fn compose(convs: &[&Conv2d]) -> Conv2d {
    let last = convs[convs.len() - 1];
    let [first] = convs else {
        let (groups, grouping) = composed_groups(convs).unwrap_or((1, Grouping::Contiguous));
        let mut kernel = Kernel { size: 1, mask: KernelMask::Full };
        let (mut stride, mut padding) = (1, Padding::Same);
        for conv in convs {
            stride *= conv.stride;
            if !conv.kernel.is_point() {
                (kernel, padding) = (conv.kernel, conv.padding);
            }
        }
        // Alternating stripes of the middle ciphertexts all reach every output of their group.
        if kernel.mask == KernelMask::Alternating {
            kernel.mask = KernelMask::Cross;
        }
        return Conv2d { out_channels: last.out_channels, kernel, stride, padding, groups, grouping, bias: false };
    };
    Conv2d { bias: false, ..(*first).clone() }
}
