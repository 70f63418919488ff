//! Convolutions as dense ones: groups and masks become zeros of a `k` x `k` kernel over all channels.
//!
//! That multiplies by many zeros, which a GPU does faster than it starts one small convolution per group.

use std::sync::OnceLock;

use candle_core::{Result, Tensor, Var};
use striae_spaces::{Conv2d, Padding, Shape};

use super::{super::ops::ConvOp, Stock};
use crate::layers::Conv;

/// A convolution of one input shape, ready to run anywhere.
pub(crate) struct ConvPlan {
    /// The kernels of the CPU.
    pub(crate) kernels: Conv,
    layer: Conv2d,
    input: Shape,
    output: Shape,
    /// Made when first needed.
    places: OnceLock<Places>,
}

/// Where weights lie.
struct Places {
    /// Weight of each place of the dense kernel; the number of weights where there is none.
    weights: Tensor,
    /// Place of each weight.
    places: Tensor,
}

impl ConvPlan {
    /// Plans `layer` from maps of shape `input` to maps of shape `output`, as the typed graph inferred them.
    pub(crate) fn new(layer: &Conv2d, input: Shape, output: Shape) -> Self {
        let kernels = Conv::new(layer, input, output);
        Self { kernels, layer: layer.clone(), input, output, places: OnceLock::new() }
    }

    /// Shape of the dense kernel.
    fn dense_shape(&self) -> (usize, usize, usize, usize) {
        let size = self.layer.kernel.size;
        (self.layer.out_channels, self.input.channels(), size, size)
    }

    /// Zeros before the first pixel, in both directions.
    fn before(&self) -> usize {
        match self.layer.padding {
            Padding::Same => (self.layer.kernel.size - 1) / 2,
            Padding::Valid => 0,
        }
    }

    fn places(&self, like: &Tensor) -> Result<&Places> {
        if let Some(places) = self.places.get() {
            return Ok(places);
        }
        let (outputs, channels, size, _) = self.dense_shape();
        let (per_group, before) = (channels / self.layer.groups, self.before() as i32);
        let mut places = Vec::new();
        for o in 0..outputs {
            for j in 0..per_group {
                let channel = o * channels + self.layer.input_channel(channels, o, j);
                let at = |(dy, dx): (i32, i32)| ((dy + before) as usize * size + (dx + before) as usize) as u32;
                places.extend(self.layer.taps(j).into_iter().map(|tap| (channel * size * size) as u32 + at(tap)));
            }
        }
        let mut weights = vec![places.len() as u32; outputs * channels * size * size];
        for (weight, &place) in places.iter().enumerate() {
            weights[place as usize] = weight as u32;
        }
        let tensor = |values: Vec<u32>| Tensor::new(values, like.device());
        let places = Places { weights: tensor(weights)?, places: tensor(places)? };
        Ok(self.places.get_or_init(|| places))
    }

    fn dense(&self, weight: &Tensor) -> Result<Tensor> {
        let zero = Tensor::zeros(1, weight.dtype(), weight.device())?;
        let padded = Tensor::cat(&[&weight.flatten_all()?, &zero], 0)?;
        padded.index_select(&self.places(weight)?.weights, 0)?.reshape(self.dense_shape())
    }

    /// The part of the input that the convolution reads, with zeros around.
    fn framed(&self, x: &Tensor) -> Result<Tensor> {
        let ((height, width), (ho, wo)) = (self.input.spatial(), self.output.spatial());
        let frame = |x: &Tensor, dim: usize, from: usize, to: usize| {
            let read = (to - 1) * self.layer.stride + self.layer.kernel.size;
            let padded = x.pad_with_zeros(dim, self.before(), read.saturating_sub(self.before() + from))?;
            padded.narrow(dim, 0, read)
        };
        frame(&frame(x, 2, height, ho)?, 3, width, wo)
    }

    fn convolve(&self, x: &Tensor, dense: &Tensor) -> Result<Tensor> {
        self.framed(x)?.contiguous()?.conv2d(dense, 0, self.layer.stride, 1, 1)
    }
}

impl Stock for ConvOp {
    fn compute(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        self.conv.convolve(inputs[0], &self.conv.dense(inputs[1])?)
    }

    /// The tape ends at the dense kernel: it would add up the gradients of gathered weights one by one.
    fn gradients(&self, inputs: &[&Tensor], grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let [x, weight] = [inputs[0], inputs[1]];
        let dense = Var::from_tensor(&self.conv.dense(weight)?)?;
        let image = if self.need_input { Var::from_tensor(x)?.as_tensor().clone() } else { x.clone() };
        let grads = (self.conv.convolve(&image, &dense)? * grad)?.sum_all()?.backward()?;
        let places = &self.conv.places(weight)?.places;
        let dw = match grads.get(&dense) {
            Some(dense) => Some(dense.flatten_all()?.index_select(places, 0)?.reshape(weight.shape())?.detach()),
            None => None,
        };
        let dx = if self.need_input { grads.get(&image).map(Tensor::detach) } else { None };
        Ok(vec![dx, dw])
    }
}
