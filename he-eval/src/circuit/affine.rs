//! What separates a value of the program from the value of the network: a per-element affine map.
//!
//! A quadratic activation `a x^2 + b x + c` runs as the square of `x + b / 2a`; the outer factor `a` and the constant
//! `c - b^2 / 4a` stay pending until the next linear step takes them into its weights and bias.

use striae_cost_model::HeProgram;
use striae_spaces::{AvgPool, NodeId, Shape, TypedGraph, WeightStore};

use super::CircuitError;

/// Network value = `factor * program value + offset`, element by element in channel-row-column order.
#[derive(Clone)]
pub(super) struct Affine {
    pub(super) factor: Vec<f64>,
    pub(super) offset: Vec<f64>,
}

impl Affine {
    pub(super) fn identity(len: usize) -> Self {
        Self { factor: vec![1.0; len], offset: vec![0.0; len] }
    }

    /// Whether it has a constant part.
    pub(super) fn has_offset(&self) -> bool {
        self.offset.iter().any(|&o| o != 0.0)
    }

    /// After window sums of `pool`.
    pub(super) fn pooled(&self, input: Shape, output: Shape, pool: &AvgPool) -> Self {
        let ((in_h, in_w), (out_h, out_w)) = (input.spatial(), output.spatial());
        let windows =
            (0..output.channels()).flat_map(|c| (0..out_h).flat_map(move |y| (0..out_w).map(move |x| (c, y, x))));
        let area = (pool.size * pool.size) as f64;
        // Factors and offsets are the same all over a map, so the window's first pixel speaks for it.
        let (factor, offset) = windows
            .map(|(c, y, x)| (c * in_h + y * pool.stride) * in_w + x * pool.stride)
            .map(|i| (self.factor[i] / area, self.offset[i]))
            .unzip();
        Self { factor, offset }
    }
}

/// A quadratic activation, element by element.
pub(super) struct Quadratic {
    a: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
    /// Elements that share a coefficient.
    per_channel: usize,
}

impl Quadratic {
    pub(super) fn of(node: NodeId, graph: &TypedGraph, store: &WeightStore) -> Result<Self, CircuitError> {
        let coefficient = |name: &str| -> Result<Vec<f64>, CircuitError> {
            Ok(store.get(&format!("{node}.{name}"))?.data.iter().map(|v| f64::from(*v)).collect())
        };
        let (a, b, c) = (coefficient("a")?, coefficient("b")?, coefficient("c")?);
        if let Some(channel) = a.iter().position(|a| a.abs() < 1e-6) {
            return Err(CircuitError::FlatActivation { node, channel, a: a[channel] });
        }
        let shape = graph.shape(node);
        Ok(Self { per_channel: shape.len() / shape.channels(), a, b, c })
    }

    fn channel(&self, element: usize) -> usize {
        element / self.per_channel
    }

    /// What is added to the operand before squaring.
    pub(super) fn shift(&self, before: &Affine) -> Vec<f64> {
        let of_element = |(i, (factor, offset)): (usize, (&f64, &f64))| {
            let c = self.channel(i);
            (offset + self.b[c] / (2.0 * self.a[c])) / factor
        };
        before.factor.iter().zip(&before.offset).enumerate().map(of_element).collect()
    }

    /// What separates the activation's input from an operand that the step before has shifted already.
    pub(super) fn operand(&self, before: &Affine) -> Affine {
        let channels = (0..before.factor.len()).map(|i| self.channel(i));
        Affine { factor: before.factor.clone(), offset: channels.map(|c| -self.b[c] / (2.0 * self.a[c])).collect() }
    }

    /// What separates the square from the activation's value.
    pub(super) fn after(&self, before: &Affine) -> Affine {
        let channels = (0..before.factor.len()).map(|i| self.channel(i));
        let offset = channels.clone().map(|c| self.c[c] - self.b[c] * self.b[c] / (4.0 * self.a[c])).collect();
        let factor = channels.zip(&before.factor).map(|(c, f)| self.a[c] * f * f).collect();
        Affine { factor, offset }
    }
}

/// Shape of a value of the program as the network sees it.
pub(super) fn shape_of(program: &HeProgram, value: usize, graph: &TypedGraph) -> Shape {
    if value == 0 { graph.input_shape() } else { graph.shape(program.steps[value - 1].node) }
}
