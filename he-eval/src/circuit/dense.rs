//! Diagonals of fully connected layers, with the average pooling before them folded in.

use striae_cost_model::{ValueId, lower::dense::DenseRule};
use striae_spaces::{AvgPool, NodeId, Op, Shape};

use super::{
    CircuitError,
    affine::shape_of,
    weights::{StepContext, linear_bias},
};

/// No element stands at this slot.
const EMPTY: u32 = u32::MAX;

/// A fully connected layer over the elements of a value.
pub(super) struct DenseWeights {
    rule: DenseRule,
    outputs: usize,
    /// `[output][element]`, the operand's factor included.
    matrix: Vec<f32>,
    elements: usize,
    /// For each input ciphertext, the element at each slot of a period.
    element_at: Vec<Vec<u32>>,
    factor: Vec<f64>,
    bias: Vec<f64>,
}

impl DenseWeights {
    pub(super) fn new(
        ctx: &StepContext<'_>,
        linear: NodeId,
        pool: Option<NodeId>,
        input: ValueId,
        rule: DenseRule,
        ratio: f64,
    ) -> Result<Self, CircuitError> {
        let weight = ctx.store.get(&format!("{linear}.weight"))?;
        let (outputs, layout) = (weight.shape[0], &ctx.program.value(input).layout);
        let elements = layout.len();
        let matrix = match pool.map(|p| (p, &ctx.graph.node(p).op)) {
            Some((node, Op::AvgPool(pool))) => {
                let shape = shape_of(ctx.program, input.index(), ctx.graph);
                unpooled(&weight.data, outputs, shape, ctx.graph.shape(node), pool)
            }
            _ => weight.data.clone(),
        };
        let affine = &ctx.affine[input.index()];
        let mut bias = vec![0.0; outputs];
        if linear_bias(ctx.graph, linear) {
            let stored = ctx.store.get(&format!("{linear}.bias"))?;
            bias.iter_mut().zip(&stored.data).for_each(|(b, s)| *b = f64::from(*s));
        }
        for (row, b) in matrix.chunks(elements).zip(&mut bias) {
            *b += row.iter().zip(&affine.offset).map(|(w, o)| f64::from(*w) * o).sum::<f64>();
        }
        let mut element_at = vec![vec![EMPTY; rule.period]; layout.group_ciphertexts()];
        for element in 0..elements {
            let (ciphertext, slot) = layout.slot(element);
            element_at[ciphertext][slot] = element as u32;
        }
        let factor = affine.factor.iter().map(|f| f * ratio).collect();
        Ok(Self { rule, outputs, matrix, elements, element_at, factor, bias })
    }

    pub(super) fn bias(&self) -> &[f64] {
        &self.bias
    }

    /// Adds the diagonal at `rotation` of an input ciphertext, moved by the giant step.
    pub(super) fn fill(&self, ciphertext: usize, rotation: u32, giant: usize, slots: &mut [f64]) {
        for (t, output, element) in self.places(ciphertext, rotation) {
            let weight = f64::from(self.weight(output, element)) * self.factor[element];
            slots[(t + giant) % self.rule.slots] += weight;
        }
    }

    /// Whether the diagonal holds no weight but zeros.
    pub(super) fn is_zero(&self, ciphertext: usize, rotation: u32) -> bool {
        self.places(ciphertext, rotation).all(|(_, output, element)| self.weight(output, element) == 0.0)
    }

    fn weight(&self, output: usize, element: usize) -> f32 {
        self.matrix[output * self.elements + element]
    }

    /// The slots of a diagonal that hold a weight, each with the weight's output and element.
    fn places(&self, ciphertext: usize, rotation: u32) -> impl Iterator<Item = (usize, usize, usize)> {
        let rule = &self.rule;
        (0..rule.slots).filter_map(move |t| {
            let (j, output) = ((t + rotation as usize) % rule.slots % rule.period, t % rule.classes_of);
            let element = self.element_at[ciphertext][j];
            let holds = output < self.outputs && element != EMPTY && rule.rotation(j, output) == rotation;
            holds.then_some((t, output, element as usize))
        })
    }
}

/// The weights over the pixels before the pooling: each pixel takes its windows' weights divided by the window's area.
fn unpooled(weights: &[f32], outputs: usize, input: Shape, output: Shape, pool: &AvgPool) -> Vec<f32> {
    let ((in_h, in_w), (out_h, out_w)) = (input.spatial(), output.spatial());
    let area = (pool.size * pool.size) as f32;
    let mut matrix = vec![0.0; outputs * input.len()];
    for (row, weights) in matrix.chunks_mut(input.len()).zip(weights.chunks(output.len())) {
        for (i, w) in weights.iter().enumerate() {
            let (c, y, x) = (i / (out_h * out_w), i / out_w % out_h, i % out_w);
            for dy in 0..pool.size {
                for dx in 0..pool.size {
                    row[(c * in_h + y * pool.stride + dy) * in_w + x * pool.stride + dx] += w / area;
                }
            }
        }
    }
    matrix
}
