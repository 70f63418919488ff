//! Parameters and multiply-accumulates of a network.

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
}
