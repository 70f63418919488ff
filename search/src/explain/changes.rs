//! Single changes to a network, each planned anew, so that a change which spares a level may also shrink the ring.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Serialize, Serializer};
use striae_cost_model::{Lowerer, Plan, PlanOptions, Seconds, SourceOp, StepKind, packing::Layout};
use striae_spaces::{Conv2d, Grouping, Kernel, KernelMask, Node, NodeId, Op, TypedGraph};

use super::edit::Edit;

/// Changes that are tried at most, those at the most expensive steps first: planning a large network takes a tenth of a
/// second.
const MOST_TRIED: usize = 96;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Other taps for a convolution.
    Kernel {
        /// The convolution.
        node: NodeId,
        /// Its operation now.
        from: Conv2d,
        /// The kernel instead.
        to: Kernel,
    },
    /// A convolution made ExRot-Free: as many interleaved groups as a ciphertext has channel positions.
    ExRotFree {
        /// The convolution.
        node: NodeId,
        /// Its operation now.
        from: Conv2d,
        /// Groups instead.
        groups: usize,
    },
    /// A convolution without the channels that only part-fill its last ciphertext.
    Width {
        /// The convolution.
        node: NodeId,
        /// Its operation now.
        from: Conv2d,
        /// Channels instead.
        channels: usize,
    },
    /// An activation left out: one level and its squares.
    Activation {
        /// The activation.
        node: NodeId,
    },
    /// A residual block left out, with the activation behind it.
    Block {
        /// The addition that ends it.
        node: NodeId,
        /// The value its shortcut carries, which takes its place.
        shortcut: NodeId,
    },
}

impl Change {
    /// The node it is about.
    pub fn node(&self) -> NodeId {
        match self {
            Self::Kernel { node, .. }
            | Self::ExRotFree { node, .. }
            | Self::Width { node, .. }
            | Self::Activation { node }
            | Self::Block { node, .. } => *node,
        }
    }

    fn edit(&self, graph: &TypedGraph) -> Edit {
        let replaced =
            |node: NodeId, conv: Conv2d| Edit { replace: [(node, Op::Conv2d(conv))].into(), ..Edit::default() };
        match self {
            Self::Kernel { node, from, to } => replaced(*node, Conv2d { kernel: *to, ..from.clone() }),
            Self::ExRotFree { node, from, groups } => {
                replaced(*node, Conv2d { groups: *groups, grouping: Grouping::Interleaved, ..from.clone() })
            }
            Self::Width { node, from, channels } => replaced(*node, Conv2d { out_channels: *channels, ..from.clone() }),
            Self::Activation { node } => {
                Edit { skip: [(*node, graph.node(*node).inputs[0])].into(), ..Edit::default() }
            }
            Self::Block { node, shortcut } => {
                let activations = graph.ids().filter(|id| {
                    let reader = graph.node(*id);
                    matches!(reader.op, Op::Activation(_)) && reader.inputs == [*node]
                });
                let skip = std::iter::once(*node).chain(activations).map(|id| (id, *shortcut)).collect();
                Edit { skip, ..Edit::default() }
            }
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { node, from, to } => {
                let changed = Conv2d { kernel: *to, ..from.clone() };
                write!(f, "{node} {} -> {}", Op::Conv2d(from.clone()), Op::Conv2d(changed))
            }
            Self::ExRotFree { node, from, groups } => {
                write!(f, "{node} {} -> ExRot-Free in {groups} groups", Op::Conv2d(from.clone()))
            }
            Self::Width { node, from, channels } => {
                write!(f, "{node} {} -> {channels} channels, whole ciphertexts", Op::Conv2d(from.clone()))
            }
            Self::Activation { node } => write!(f, "no activation {node}"),
            Self::Block { node, .. } => write!(f, "no residual block ending in {node}"),
        }
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a change would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// The change.
    pub change: Change,
    /// Latency after it.
    pub latency: Seconds,
    /// Share of the latency it saves; negative if it costs.
    pub saved: f64,
    /// Levels after it.
    pub levels: usize,
    /// log2 of the ring degree after it.
    pub log_n: u32,
    /// Rotations after it.
    pub rotations: u64,
    /// Multiply-accumulates after it, a measure of what is taken from the network.
    pub macs: u64,
}

/// Effects of the changes that can be made to `graph`, whose plan under `options` is `plan`: those that save time, largest
/// saving first. What they cost in accuracy only training tells.
pub fn effects(lowerer: &mut Lowerer<'_>, graph: &TypedGraph, plan: &Plan, options: &PlanOptions) -> Vec<Effect> {
    let mut effects: Vec<Effect> = changes(graph, plan)
        .into_iter()
        .take(MOST_TRIED)
        .filter_map(|change| {
            let changed = change.edit(graph).apply(graph).ok()?;
            let new = lowerer.plan(&changed, options).ok()?;
            let latency = new.estimate.latency;
            Some(Effect {
                change,
                latency,
                saved: 1.0 - latency.0 / plan.estimate.latency.0,
                levels: new.program.depth(),
                log_n: new.params.log_n(),
                rotations: new.program.counts().rotations(),
                macs: changed.macs(),
            })
        })
        .filter(|effect| effect.saved > 0.0)
        .collect();
    effects.sort_by(|a, b| b.saved.total_cmp(&a.saved));
    effects
}

/// Changes worth trying, those at the most expensive steps first.
fn changes(graph: &TypedGraph, plan: &Plan) -> Vec<Change> {
    let program = &plan.program;
    let mut steps: Vec<usize> = (0..program.steps.len()).collect();
    let latency = |step: usize| plan.estimate.steps[step].latency.0;
    steps.sort_by(|a, b| latency(*b).total_cmp(&latency(*a)));
    let mut changes = Vec::new();
    // A convolution may be part of several steps; its first, most expensive one names it.
    let mut seen: BTreeSet<NodeId> = BTreeSet::new();
    for step in steps {
        let node = program.steps[step].node;
        if let StepKind::Linear(linear) = &program.steps[step].kind {
            for source in &linear.sources {
                let SourceOp::Conv(chain) = &source.op else { continue };
                for &id in chain.iter().filter(|id| seen.insert(**id)) {
                    let layouts = (&program.value(source.input).layout, &program.output_of(step).layout);
                    changes.extend(conv_changes(graph, id, layouts));
                }
            }
        }
        changes.extend(node_change(graph, node));
    }
    changes
}

/// Changes of a convolution that reads and writes values with these layouts.
fn conv_changes(graph: &TypedGraph, node: NodeId, layouts: (&Layout, &Layout)) -> Vec<Change> {
    let Op::Conv2d(conv) = &graph.node(node).op else { return Vec::new() };
    let Kernel { size, mask } = conv.kernel;
    let mut kernels = Vec::new();
    if size > 1 && mask == KernelMask::Full {
        kernels.push(Kernel { size, mask: KernelMask::Cross });
    }
    if size > 3 {
        kernels.push(Kernel { size: size - 2, mask });
    }
    let mut changes: Vec<Change> =
        kernels.into_iter().map(|to| Change::Kernel { node, from: conv.clone(), to }).collect();
    let (Layout::Map(before), Layout::Map(after)) = layouts else { return changes };
    let groups = if before.replicated { 1 } else { before.capacity().min(after.capacity()) };
    let in_channels = graph.shape(graph.node(node).inputs[0]).channels();
    if conv.groups < groups && in_channels.is_multiple_of(groups) && conv.out_channels.is_multiple_of(groups) {
        changes.push(Change::ExRotFree { node, from: conv.clone(), groups });
    }
    let whole = conv.out_channels / after.capacity() * after.capacity();
    if whole > 0 && whole < conv.out_channels {
        changes.push(Change::Width { node, from: conv.clone(), channels: whole });
    }
    changes
}

/// The activation, or the residual block around an activated value, that ends at the node of a step.
fn node_change(graph: &TypedGraph, node: NodeId) -> Option<Change> {
    let Node { op, inputs, .. } = graph.node(node);
    let activated = |id: &&NodeId| matches!(graph.node(**id).op, Op::Activation(_));
    match op {
        Op::Activation(_) => Some(Change::Activation { node }),
        Op::Add => inputs.iter().find(activated).map(|&shortcut| Change::Block { node, shortcut }),
        Op::Input | Op::Conv2d(_) | Op::Linear(_) | Op::AvgPool(_) | Op::Flatten | Op::BatchNorm => None,
    }
}

#[cfg(test)]
mod tests {
    use striae_cost_model::Calibration;
    use striae_spaces::zoo;

    use super::*;

    fn of(graph: &TypedGraph) -> (Plan, Vec<Effect>) {
        let calibration = Calibration::generic();
        let mut lowerer = Lowerer::new(&calibration);
        let plan = lowerer.plan(graph, &PlanOptions::default()).unwrap();
        let effects = effects(&mut lowerer, graph, &plan, &PlanOptions::default());
        (plan, effects)
    }

    #[test]
    fn a_dense_convolution_is_told_to_become_exrot_free() {
        let net = zoo::build("lenet-like").unwrap();
        let (plan, effects) = of(&net);
        assert!(matches!(effects[0].change, Change::ExRotFree { .. }), "{}", effects[0].change);
        assert!(effects.is_sorted_by(|a, b| a.saved >= b.saved) && effects.iter().all(|e| e.saved > 0.0));
        assert!(effects[0].rotations < plan.program.counts().rotations());
    }

    #[test]
    fn effects_are_those_of_the_changed_network() {
        let net = zoo::build("resnet20").unwrap();
        let (plan, effects) = of(&net);
        let block = effects.iter().find(|e| matches!(e.change, Change::Block { .. })).unwrap();
        // Two convolutions and two activations fewer.
        assert_eq!(block.levels + 4, plan.program.depth());
        let changed = block.change.edit(&net).apply(&net).unwrap();
        let calibration = Calibration::generic();
        let again = Lowerer::new(&calibration).plan(&changed, &PlanOptions::default()).unwrap();
        assert_eq!((again.estimate.latency, changed.macs()), (block.latency, block.macs));
    }
}
