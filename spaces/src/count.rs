//! Sizes of a network that do not depend on any packing: parameters, multiply-accumulates, levels.

use crate::{Activation, NodeId, Op, TypedGraph};

impl TypedGraph {
    /// Trained values: weights, biases, batch norm's `gamma` and `beta`, the three coefficients of each quadratic.
    pub fn parameters(&self) -> u64 {
        self.ids().map(|id| self.node_parameters(id)).sum()
    }

    /// Multiply-accumulates of the convolutions and linear layers for one image; taps that fall on the padding count too.
    pub fn macs(&self) -> u64 {
        self.ids().map(|id| self.node_macs(id)).sum()
    }

    /// Trained values of one node.
    pub fn node_parameters(&self, id: NodeId) -> u64 {
        let channels = self.shape(id).channels() as u64;
        match &self.node(id).op {
            Op::Conv2d(conv) => self.fan_in(id).saturating_mul(channels) + if conv.bias { channels } else { 0 },
            Op::Linear(linear) => self.fan_in(id).saturating_mul(channels) + if linear.bias { channels } else { 0 },
            Op::BatchNorm => 2 * channels,
            Op::Activation(Activation::Quadratic) => 3 * channels,
            Op::Input | Op::AvgPool(_) | Op::Activation(Activation::Relu) | Op::Add | Op::Flatten => 0,
        }
    }

    /// Multiply-accumulates of one node.
    pub fn node_macs(&self, id: NodeId) -> u64 {
        self.fan_in(id).saturating_mul(self.shape(id).len() as u64)
    }

    /// Weights behind one output value; 0 for operations without weights.
    fn fan_in(&self, id: NodeId) -> u64 {
        let node = self.node(id);
        match &node.op {
            Op::Conv2d(conv) => {
                let in_channels = self.shape(node.inputs[0]).channels() / conv.groups;
                (in_channels as u64).saturating_mul(conv.kernel.tap_count() as u64)
            }
            Op::Linear(_) => self.shape(node.inputs[0]).len() as u64,
            Op::Input | Op::AvgPool(_) | Op::Activation(_) | Op::Add | Op::Flatten | Op::BatchNorm => 0,
        }
    }

    /// Levels the network needs at least: one per linear operation and one per activation on the deepest path. Convolutions
    /// that follow each other without an activation count as one if at most one of them has a kernel wider than a point
    /// and nobody else reads between them, since they can be *fused*; the planner may still keep them *factored*.
    pub fn levels(&self) -> usize {
        self.depth(true)
    }

    /// Levels when no convolutions are fused.
    pub fn levels_factored(&self) -> usize {
        self.depth(false)
    }

    fn depth(&self, fuse: bool) -> usize {
        let consumers = self.consumers();
        // Per node: its depth, and, while a run of convolutions may still grow, whether it holds a wide kernel already.
        let mut found: Vec<(usize, Option<bool>)> = Vec::with_capacity(self.nodes().len());
        for node in self.nodes() {
            let depth = node.inputs.iter().map(|i| found[i.index()].0).max().unwrap_or(0);
            let run = match *node.inputs.as_slice() {
                [input] if consumers[input.index()].len() == 1 => found[input.index()].1,
                _ => None,
            };
            found.push(match &node.op {
                Op::Conv2d(conv) => {
                    let wide = !conv.kernel.is_point();
                    match run {
                        Some(has_wide) if fuse && !(wide && has_wide) => (depth, Some(has_wide || wide)),
                        _ => (depth + 1, Some(wide)),
                    }
                }
                Op::BatchNorm => (depth, run),
                Op::Linear(_) | Op::Activation(_) => (depth + 1, None),
                Op::Input | Op::AvgPool(_) | Op::Add | Op::Flatten => (depth, None),
            });
        }
        found.last().map_or(0, |&(depth, _)| depth)
    }
}
