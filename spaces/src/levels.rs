//! Levels that a network needs under CKKS, whatever its packing.

use crate::{Conv2d, Grouping, NodeId, Op, TypedGraph};

impl TypedGraph {
    /// Levels the network needs at least: on the deepest path one per linear step and one per activation.
    ///
    /// A linear step is a convolution or linear layer with the batch norm behind it and the residual addition behind that;
    /// convolutions that follow each other without an activation are one step if they can be *fused* (the planner may still
    /// keep them *factored*, see [`levels_factored`](Self::levels_factored)). Additions and batch norms with no linear layer
    /// before them are steps of their own. Average pools cost nothing, unless the network ends in one or in an activation:
    /// then the factors that would have moved into the next layer take a step.
    pub fn levels(&self) -> usize {
        self.depth(true)
    }

    /// Levels when no convolutions are fused.
    pub fn levels_factored(&self) -> usize {
        self.depth(false)
    }

    fn depth(&self, fuse: bool) -> usize {
        let consumers = self.consumers();
        let mut values: Vec<Value<'_>> = Vec::with_capacity(self.nodes().len());
        for id in self.ids() {
            let mut value = self.value(id, &values, fuse);
            if consumers[id.index()].len() > 1 {
                value.step = Step::Done;
            }
            values.push(value);
        }
        values.last().map_or(0, |value| value.depth + usize::from(value.factor))
    }

    fn value<'a>(&'a self, id: NodeId, values: &[Value<'a>], fuse: bool) -> Value<'a> {
        let node = self.node(id);
        let Some(input) = node.inputs.first().map(|i| &values[i.index()]) else {
            return Value { depth: 0, step: Step::Done, factor: false };
        };
        match &node.op {
            Op::Input => input.clone(),
            Op::Conv2d(conv) => match &input.step {
                Step::Convs(run) if fuse && fusable(run, conv) => {
                    let run = run.iter().copied().chain([conv]).collect();
                    Value { depth: input.depth, step: Step::Convs(run), factor: false }
                }
                Step::Convs(_) | Step::Other | Step::Done => {
                    Value { depth: input.depth + 1, step: Step::Convs(vec![conv]), factor: false }
                }
            },
            Op::Linear(_) => Value { depth: input.depth + 1, step: Step::Other, factor: false },
            Op::BatchNorm => match (&input.step, &self.node(node.inputs[0]).op) {
                (Step::Convs(_) | Step::Other, Op::Conv2d(_) | Op::Linear(_)) => input.clone(),
                _ => Value { depth: input.depth + 1, step: Step::Other, factor: false },
            },
            Op::Activation(_) => Value { depth: input.depth + 1, step: Step::Done, factor: true },
            Op::AvgPool(_) => Value { depth: input.depth, step: Step::Done, factor: true },
            Op::Flatten => Value { step: Step::Done, ..*input },
            Op::Add => {
                let operands = node.inputs.iter().map(|i| &values[i.index()]);
                let depth = operands.map(|o| o.depth + usize::from(matches!(o.step, Step::Done))).max().unwrap_or(0);
                Value { depth, step: Step::Other, factor: false }
            }
        }
    }
}

/// What is known of a node's value.
#[derive(Clone)]
struct Value<'a> {
    depth: usize,
    step: Step<'a>,
    /// Whether a factor of it waits for the next linear step.
    factor: bool,
}

/// The linear step that computes a value and may still take more in.
#[derive(Clone)]
enum Step<'a> {
    /// None: an activation, a pool, or a value that several nodes read.
    Done,
    /// A run of convolutions.
    Convs(Vec<&'a Conv2d>),
    /// Any other: takes in an addition only.
    Other,
}

/// Whether `next` can be one convolution with the `run` before it: at most one of them reads neighbours or strides, and
/// their groups compose, either because one is dense or because all have the same interleaved groups, of which the first
/// may be shifted.
fn fusable(run: &[&Conv2d], next: &Conv2d) -> bool {
    let all = || run.iter().copied().chain([next]);
    let moving = all().filter(|c| !c.kernel.is_point() || c.stride != 1).count();
    let shifts_later = all().skip(1).any(|c| c.groups > 1 && matches!(c.grouping, Grouping::Shifted { .. }));
    let same = all().all(|c| c.groups == run[0].groups && c.grouping != Grouping::Contiguous);
    moving <= 1 && !shifts_later && (same || all().any(|c| c.groups == 1))
}
