//! The plain counterpart of a StriaNet: the same network with every StriaBlock's chain of convolutions replaced by one dense
//! `k` x `k` convolution of the same widths. It is what the paper's "19 % of the internal rotations" is a share of.
//!
//! A block is recognised by its form, not by its name: a residual addition whose one operand is reached from the other
//! through two or three convolutions of stride 1, of which one reads neighbours; with activations between them only in the
//! form point, `k` x `k`, point.

use std::collections::BTreeMap;

use striae_cost_model::{HeProgram, RotationKinds, SourceOp, StepKind};
use striae_spaces::{Conv2d, GraphBuilder, GraphError, NodeId, Op, Padding, TypedGraph};
use thiserror::Error;

/// A network with its blocks replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterpart {
    /// The plain network.
    pub graph: TypedGraph,
    /// Convolutions of the blocks in the network it was made from.
    pub replaced: Vec<NodeId>,
    /// The plain convolutions that stand in their place, one per block.
    pub plain: Vec<NodeId>,
}

/// A network without a plain counterpart.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CounterpartError {
    /// Nothing to replace.
    #[error("the network has no StriaBlock, so it has no plain counterpart")]
    NoBlock,
    /// The plain network does not type-check; a bug.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Replaces every StriaBlock of `graph`.
///
/// ```
/// let net = striae_spaces::zoo::build("strianet-mnist")?;
/// let plain = striae_search::counterpart::plain(&net)?;
/// assert_eq!(plain.plain.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn plain(graph: &TypedGraph) -> Result<Counterpart, CounterpartError> {
    let chains: BTreeMap<NodeId, Chain> = graph.ids().filter_map(|id| Chain::of_addition(graph, id)).collect();
    if chains.is_empty() {
        return Err(CounterpartError::NoBlock);
    }
    let inner: Vec<NodeId> = chains.values().flat_map(|c| c.nodes.iter().copied()).collect();
    let mut builder = GraphBuilder::new(graph.input_shape())?;
    let mut place = BTreeMap::from([(NodeId(0), NodeId(0))]);
    let mut plain = Vec::new();
    for id in graph.ids().skip(1) {
        let node = graph.node(id);
        let new = if let Some(chain) = chains.get(&id) {
            let conv = builder.push(Op::Conv2d(chain.conv.clone()), &[place[&chain.start]])?;
            plain.push(conv);
            if chain.norm { builder.then(Op::BatchNorm)? } else { conv }
        } else if inner.contains(&id) {
            continue;
        } else {
            let inputs: Vec<NodeId> = node.inputs.iter().map(|input| place[input]).collect();
            builder.push(node.op.clone(), &inputs)?
        };
        place.insert(id, new);
    }
    let is_conv = |id: &NodeId| matches!(graph.node(*id).op, Op::Conv2d(_));
    let replaced = inner.into_iter().filter(is_conv).collect();
    Ok(Counterpart { graph: builder.build()?, replaced, plain })
}

/// Rotations of the steps of `program` that compute one of the convolutions `nodes`.
pub fn rotations_of(program: &HeProgram, nodes: &[NodeId]) -> RotationKinds {
    let computes = |kind: &StepKind| match kind {
        StepKind::Linear(linear) => linear.sources.iter().any(|s| match &s.op {
            SourceOp::Conv(chain) => chain.iter().any(|id| nodes.contains(id)),
            SourceOp::Dense { .. } | SourceOp::Pool(_) | SourceOp::Identity => false,
        }),
        StepKind::Square { .. } | StepKind::WindowSum { .. } => false,
    };
    let steps = program.steps.iter().enumerate().filter(|(_, step)| computes(&step.kind));
    steps.map(|(i, _)| program.step_rotation_kinds(i)).sum()
}

/// The convolutions of one block.
struct Chain {
    /// What it reads.
    start: NodeId,
    /// Its nodes, last first.
    nodes: Vec<NodeId>,
    /// The plain convolution in its place.
    conv: Conv2d,
    /// Whether a batch norm follows it.
    norm: bool,
}

impl Chain {
    /// The chain that an addition adds to its start, by its last node.
    fn of_addition(graph: &TypedGraph, add: NodeId) -> Option<(NodeId, Self)> {
        let node = graph.node(add);
        if node.op != Op::Add {
            return None;
        }
        let (a, b) = (node.inputs[0], node.inputs[1]);
        let chain = Self::between(graph, b, a).or_else(|| Self::between(graph, a, b))?;
        Some((chain.nodes[0], chain))
    }

    fn between(graph: &TypedGraph, start: NodeId, end: NodeId) -> Option<Self> {
        let consumers = graph.consumers();
        let (mut at, mut nodes, mut convs, mut activations, mut norm) = (end, Vec::new(), Vec::new(), 0, false);
        while at != start {
            let node = graph.node(at);
            match &node.op {
                Op::Conv2d(conv) => convs.push(conv),
                Op::BatchNorm => norm = true,
                Op::Activation(_) if at != end => activations += 1,
                Op::Activation(_) | Op::Input | Op::Linear(_) | Op::AvgPool(_) | Op::Add | Op::Flatten => return None,
            }
            if consumers[at.index()].len() != 1 {
                return None;
            }
            nodes.push(at);
            at = node.inputs[0];
        }
        let conv = plain_conv(&convs, activations)?;
        Some(Self { start, nodes, conv, norm })
    }
}

/// The dense convolution in place of `convs` (last first), if they are a block's.
fn plain_conv(convs: &[&Conv2d], activations: usize) -> Option<Conv2d> {
    let moving: Vec<&&Conv2d> = convs.iter().filter(|c| !c.kernel.is_point()).collect();
    let [wide] = moving.as_slice() else { return None };
    let regular = convs.iter().all(|c| c.stride == 1 && c.padding == Padding::Same);
    let bottleneck = convs.len() == 3 && !convs[1].kernel.is_point();
    let block = if activations == 0 { matches!(convs.len(), 2 | 3) } else { bottleneck };
    let last = convs.first()?;
    (regular && block).then(|| Conv2d { bias: last.bias, ..Conv2d::dense(last.out_channels, wide.kernel.size) })
}

#[cfg(test)]
mod tests {
    use striae_cost_model::{Calibration, Lowerer, PlanOptions};
    use striae_spaces::zoo;

    use super::*;

    #[test]
    fn blocks_become_dense_convolutions_of_the_same_widths() {
        let net: TypedGraph = "16x8x8: conv(8,k1,g4,interleaved) bn conv(8,k5,cross,g4,interleaved) bn \
                               conv(16,k1,g4,interleaved) bn add(n0) quad flatten linear(10,bias)"
            .parse()
            .expect("notation");
        let plain = plain(&net).expect("one block");
        assert_eq!(plain.graph.to_string(), "16x8x8: conv(16,k5) bn add(n0) quad flatten linear(10,bias)");
        assert_eq!((plain.replaced.len(), plain.plain), (3, vec![NodeId(1)]));
    }

    #[test]
    fn activations_inside_are_part_of_a_bottleneck_only() {
        let inner = "16x8x8: conv(8,k1) quad conv(8,k3) quad conv(16,k1) add(n0)";
        let plain_inner = plain(&inner.parse().expect("notation")).expect("one block");
        assert_eq!(plain_inner.graph.to_string(), "16x8x8: conv(16,k3) add(n0)");
        for other in ["resnet20", "lenet-like"] {
            assert_eq!(plain(&zoo::build(other).expect("zoo")), Err(CounterpartError::NoBlock), "{other}");
        }
    }

    /// Two StriaBlocks with a quarter of the channels in the middle, for N = 2^14 and the conjugate-invariant ring: 64
    /// channels of 14x14 in a ciphertext.
    const STRIA: &str = include_str!("../../examples/stria-blocks.txt");

    #[test]
    fn a_stria_network_needs_at_most_19_percent_of_the_internal_rotations_and_no_external_one() {
        let calibration = Calibration::generic();
        let mut lowerer = Lowerer::new(&calibration);
        let net: TypedGraph = STRIA.trim().parse().expect("notation");
        let counterpart = plain(&net).expect("blocks");
        let options = PlanOptions { fuse: Some(false), ..PlanOptions::default() };
        let stria = lowerer.plan(&net, &options).expect("fits");
        let same = PlanOptions { params: Some(stria.params.clone()), ..PlanOptions::default() };
        let dense = lowerer.plan(&counterpart.graph, &same).expect("fits");
        let blocks = rotations_of(&stria.program, &counterpart.replaced);
        let plain_blocks = rotations_of(&dense.program, &counterpart.plain);
        let (all, all_plain) = (stria.program.rotation_kinds(), dense.program.rotation_kinds());
        assert_eq!((stria.params.log_n(), blocks.external, all.external), (14, 0, 0));
        assert!(all_plain.external > 0);
        for (part, whole) in [(blocks, plain_blocks), (all, all_plain)] {
            assert!(part.internal * 100 <= whole.internal * 19, "{} of {}", part.internal, whole.internal);
        }
    }
}
