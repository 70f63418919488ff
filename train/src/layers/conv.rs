//! Convolution of batches: forward, input gradient and weight gradient, for every grouping, mask, stride and padding.
//!
//! `Conv2d::input_channel` and `Conv2d::taps` define what is computed. Work is split into chunks of a fixed number of images
//! and partial weight gradients are added in chunk order, so results do not depend on the number of threads.

use striae_spaces::{Conv2d, Shape};

use super::{planes::Planes, winograd::Winograd};

/// A convolution of one input shape, ready to run.
#[derive(Clone, Debug)]
pub struct Conv {
    method: Method,
    weights: usize,
}

#[derive(Clone, Debug)]
enum Method {
    Planes(Planes),
    Winograd(Winograd),
}

/// Gradients of a convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvGrads {
    /// Gradient of the input, unless it was not asked for.
    pub input: Option<Vec<f32>>,
    /// Gradient of the weights.
    pub weight: Vec<f32>,
}

impl Conv {
    /// Plans `conv` from maps of shape `input` to maps of shape `output`, as the typed graph inferred them.
    pub fn new(conv: &Conv2d, input: Shape, output: Shape) -> Self {
        let groups = groups(conv, input.channels());
        let method = match Winograd::new(conv, &groups, input, output) {
            Some(winograd) => Method::Winograd(winograd),
            None => Method::Planes(Planes::new(conv, &groups, input, output)),
        };
        let weights = output.channels() * input.channels() / conv.groups * conv.kernel.tap_count();
        Self { method, weights }
    }

    /// Number of weights.
    pub fn weight_count(&self) -> usize {
        self.weights
    }

    /// The convolution of the images in `x`, all stored one after the other.
    pub fn forward(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        match &self.method {
            Method::Planes(planes) => planes.forward(x, weight),
            Method::Winograd(winograd) => winograd.forward(x, weight),
        }
    }

    /// The gradients, given the input, the weights and the gradient of the output.
    pub fn backward(&self, x: &[f32], weight: &[f32], grad: &[f32], need_input: bool) -> ConvGrads {
        match &self.method {
            Method::Planes(planes) => planes.backward(x, weight, grad, need_input),
            Method::Winograd(winograd) => winograd.backward(x, weight, grad, need_input),
        }
    }
}

/// Channels that are connected to each other.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) outputs: Vec<usize>,
    pub(super) inputs: Vec<usize>,
}

/// Output channels by the set of input channels they read; the definition is `Conv2d::input_channel`.
fn groups(conv: &Conv2d, channels: usize) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for o in 0..conv.out_channels {
        let inputs: Vec<usize> = (0..channels / conv.groups).map(|j| conv.input_channel(channels, o, j)).collect();
        match groups.iter_mut().find(|g| g.inputs == inputs) {
            Some(group) => group.outputs.push(o),
            None => groups.push(Group { outputs: vec![o], inputs }),
        }
    }
    groups
}
