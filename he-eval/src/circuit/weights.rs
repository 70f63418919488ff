//! The diagonals and biases of a linear step.
//!
//! Every weight is looked up by the rotation that links its input slot to its output slot; a weight whose rotation the plan
//! does not have would be a bug of the lowering and is reported, never dropped.

use std::collections::HashMap;

use striae_cost_model::{
    HeProgram, LinearStep, Source, SourceOp,
    lower::{
        diagonals::{DenseRule, channel_pair, dense_links, rotation},
        stages::source_desc,
    },
    packing::{Layout, MapLayout},
};
use striae_spaces::{NodeId, Op, TypedGraph, WeightStore};

use super::{CircuitError, affine::Affine, dense::DenseWeights, operator::EffectiveConv};

/// What a linear step is made from.
pub(super) struct StepContext<'a> {
    pub(super) graph: &'a TypedGraph,
    pub(super) store: &'a WeightStore,
    pub(super) program: &'a HeProgram,
    /// For each value so far, what separates it from the network's.
    pub(super) affine: &'a [Affine],
    /// For each value so far, its scale.
    pub(super) scale: &'a [f64],
}

/// Values of a linear step, ready to be written into diagonals.
pub(super) struct StepWeights {
    operators: Vec<Operator>,
    /// For each term, what it holds.
    parts: Vec<Vec<Part>>,
    /// Rotation of each term's partial sum.
    giants: Vec<u32>,
    slots: usize,
    /// Bias by element of the result.
    pub(super) bias: Vec<f64>,
}

enum Operator {
    Conv { conv: Box<EffectiveConv>, input: MapLayout, output: MapLayout, factor: Vec<f64> },
    Dense(DenseWeights),
    Copy { layout: Layout, factor: Vec<f64> },
}

/// One piece of a diagonal.
enum Part {
    /// One tap between two channels.
    Tap { operator: usize, in_channel: usize, out_offset: usize, tap: (i32, i32), weight: f64 },
    /// A diagonal of a fully connected layer.
    Dense { operator: usize, ciphertext: usize, rotation: u32 },
    /// A vector as it is.
    Copy { operator: usize },
}

/// Term index by output ciphertext, input ciphertext and total rotation.
type TermIndex = HashMap<(u16, u16, u32), usize>;

impl StepWeights {
    pub(super) fn new(ctx: &StepContext<'_>, index: usize, step: &LinearStep) -> Result<Self, CircuitError> {
        let slots = ctx.program.slots;
        let plan = &step.plan;
        let terms = plan.terms.iter().map(|t| {
            let total = plan.giants[t.giant as usize] + plan.babies[t.input as usize][t.baby as usize];
            (t.output, t.input, total % slots as u32)
        });
        let builder = Builder {
            ctx,
            node: ctx.program.steps[index].node,
            output: &ctx.program.output_of(index).layout,
            terms: terms.enumerate().map(|(i, key)| (key, i)).collect(),
        };
        let mut weights = Self {
            operators: Vec::new(),
            parts: plan.terms.iter().map(|_| Vec::new()).collect(),
            giants: plan.terms.iter().map(|t| plan.giants[t.giant as usize]).collect(),
            slots,
            bias: vec![0.0; builder.output.len()],
        };
        let reference = ctx.scale[step.inputs[0].index()];
        let mut first = 0;
        for &value in &step.inputs {
            // All operands are read at the scale of the first; the weights make up for the difference.
            let ratio = reference / ctx.scale[value.index()];
            for source in step.sources.iter().filter(|s| s.input == value) {
                builder.source(&mut weights, source, first, ratio)?;
            }
            first += ctx.program.value(value).layout.ciphertexts();
        }
        Ok(weights)
    }

    /// Writes the diagonal of a term into zeroed `slots`.
    pub(super) fn fill(&self, term: usize, slots: &mut [f64]) {
        let giant = self.giants[term] as usize;
        for part in &self.parts[term] {
            match part {
                Part::Tap { operator, in_channel, out_offset, tap, weight } => {
                    let Operator::Conv { conv, input, output, factor } = &self.operators[*operator] else { continue };
                    let base = in_channel * input.height * input.width;
                    for_each_pixel(conv, *tap, |(y, x), (in_y, in_x)| {
                        let slot = (out_offset + output.pixel_offset(y, x) + giant) % self.slots;
                        slots[slot] += weight * factor[base + in_y * input.width + in_x];
                    });
                }
                Part::Dense { operator, ciphertext, rotation } => {
                    if let Operator::Dense(dense) = &self.operators[*operator] {
                        dense.fill(*ciphertext, *rotation, giant, slots);
                    }
                }
                Part::Copy { operator } => {
                    if let Operator::Copy { layout, factor } = &self.operators[*operator] {
                        copies(layout, self.slots, |element, slot| {
                            slots[(slot + giant) % self.slots] += factor[element];
                        });
                    }
                }
            }
        }
    }
}

/// Calls `f(element, slot)` for every copy of every element of a layout that takes one ciphertext.
pub(super) fn copies(layout: &Layout, slots: usize, mut f: impl FnMut(usize, usize)) {
    let period = match layout {
        Layout::Map(_) => slots,
        Layout::Vector(vector) => vector.period,
    };
    for element in 0..layout.len() {
        let (_, slot) = layout.slot(element);
        (slot..slots).step_by(period).for_each(|s| f(element, s));
    }
}

/// Calls `f(output pixel, input pixel)` wherever the tap stays inside the map.
fn for_each_pixel(conv: &EffectiveConv, (dy, dx): (i32, i32), mut f: impl FnMut((usize, usize), (usize, usize))) {
    let ((in_h, in_w), (out_h, out_w)) = (conv.desc.input.spatial(), conv.desc.output.spatial());
    let at = |o: usize, d: i32, side: usize| {
        usize::try_from((o * conv.desc.conv.stride) as i64 + i64::from(d)).ok().filter(|i| *i < side)
    };
    for y in 0..out_h {
        let Some(in_y) = at(y, dy, in_h) else { continue };
        for x in 0..out_w {
            if let Some(in_x) = at(x, dx, in_w) {
                f((y, x), (in_y, in_x));
            }
        }
    }
}

struct Builder<'a> {
    ctx: &'a StepContext<'a>,
    node: NodeId,
    output: &'a Layout,
    terms: TermIndex,
}

impl Builder<'_> {
    fn source(&self, weights: &mut StepWeights, source: &Source, first: usize, ratio: f64) -> Result<(), CircuitError> {
        let layout = &self.ctx.program.value(source.input).layout;
        let affine = &self.ctx.affine[source.input.index()];
        let factor: Vec<f64> = affine.factor.iter().map(|f| f * ratio).collect();
        let desc = source_desc(self.ctx.graph, &source.op, layout, self.node);
        match (&source.op, desc, layout, self.output) {
            (SourceOp::Dense { linear, pool }, _, _, _) => {
                let rule = self.dense_rule(*linear, layout);
                let dense = DenseWeights::new(self.ctx, *linear, *pool, source.input, rule, ratio)?;
                self.dense(weights, dense, layout, first)
            }
            (op, Some(desc), Layout::Map(input), Layout::Map(output)) => {
                let conv = match op {
                    SourceOp::Conv(chain) => EffectiveConv::compose(desc, chain, self.ctx.graph, self.ctx.store)?,
                    SourceOp::Identity | SourceOp::Dense { .. } => EffectiveConv::identity(desc),
                };
                add_conv_bias(&conv, affine, &mut weights.bias);
                self.conv(weights, conv, (input, output), first, factor)
            }
            _ => {
                weights.bias.iter_mut().zip(&affine.offset).for_each(|(b, o)| *b += o);
                let operator = weights.operators.len();
                let term = self.term(0, first, 0)?;
                weights.parts[term].push(Part::Copy { operator });
                weights.operators.push(Operator::Copy { layout: layout.clone(), factor });
                Ok(())
            }
        }
    }

    fn term(&self, output: usize, input: usize, rotation: u32) -> Result<usize, CircuitError> {
        let key = (output as u16, input as u16, rotation);
        self.terms.get(&key).copied().ok_or(CircuitError::NoDiagonal { node: self.node, output, input, rotation })
    }

    fn conv(
        &self,
        weights: &mut StepWeights,
        conv: EffectiveConv,
        (input, output): (&MapLayout, &MapLayout),
        first: usize,
        factor: Vec<f64>,
    ) -> Result<(), CircuitError> {
        let operator = weights.operators.len();
        let slots = self.ctx.program.slots;
        for (out_channel, pairs) in conv.weights.iter().enumerate() {
            for (j, values) in pairs.iter().enumerate() {
                let pair = channel_pair(&conv.desc, input, output, out_channel, j);
                for (tap, &weight) in conv.desc.conv.taps(j).into_iter().zip(values) {
                    let mut inside = false;
                    for_each_pixel(&conv, tap, |_, _| inside = true);
                    if !inside {
                        continue;
                    }
                    let total = rotation(pair.position + input.tap_offset(tap), slots);
                    let term = self.term(pair.output, first + pair.input, total)?;
                    weights.parts[term].push(Part::Tap {
                        operator,
                        in_channel: pair.in_channel,
                        out_offset: pair.output_offset,
                        tap,
                        weight,
                    });
                }
            }
        }
        weights.operators.push(Operator::Conv {
            conv: Box::new(conv),
            input: input.clone(),
            output: output.clone(),
            factor,
        });
        Ok(())
    }

    fn dense_rule(&self, linear: NodeId, layout: &Layout) -> DenseRule {
        dense_links(layout, self.ctx.program.slots, self.ctx.graph.shape(linear).len()).rule
    }

    fn dense(
        &self,
        weights: &mut StepWeights,
        dense: DenseWeights,
        layout: &Layout,
        first: usize,
    ) -> Result<(), CircuitError> {
        let operator = weights.operators.len();
        let outputs = dense.outputs();
        weights.bias.iter_mut().zip(dense.bias()).for_each(|(b, d)| *b += d);
        for (ciphertext, rotations) in dense_links(layout, self.ctx.program.slots, outputs).rotations.iter().enumerate()
        {
            for &rotation in rotations {
                let term = self.term(0, first + ciphertext, rotation)?;
                weights.parts[term].push(Part::Dense { operator, ciphertext, rotation });
            }
        }
        weights.operators.push(Operator::Dense(dense));
        Ok(())
    }
}

/// Bias of a convolution: its own, the constants of a fused chain, and the operand's pending offset seen through the taps.
fn add_conv_bias(conv: &EffectiveConv, affine: &Affine, bias: &mut [f64]) {
    let (in_h, in_w) = conv.desc.input.spatial();
    let (out_h, out_w) = conv.desc.output.spatial();
    for (out_channel, pairs) in conv.weights.iter().enumerate() {
        let map = &mut bias[out_channel * out_h * out_w..(out_channel + 1) * out_h * out_w];
        map.iter_mut().for_each(|b| *b += conv.bias[out_channel]);
        if let Some(constants) = conv.through_taps.get(out_channel) {
            for (tap, constant) in conv.desc.conv.taps(0).into_iter().zip(constants) {
                for_each_pixel(conv, tap, |(y, x), _| map[y * out_w + x] += constant);
            }
        }
        if !affine.has_offset() {
            continue;
        }
        for (j, values) in pairs.iter().enumerate() {
            let in_channel = conv.desc.conv.input_channel(conv.desc.input.channels(), out_channel, j);
            for (tap, weight) in conv.desc.conv.taps(j).into_iter().zip(values) {
                for_each_pixel(conv, tap, |(y, x), (in_y, in_x)| {
                    map[y * out_w + x] += weight * affine.offset[(in_channel * in_h + in_y) * in_w + in_x];
                });
            }
        }
    }
}

/// Whether a node is a fully connected layer, with its bias flag.
pub(super) fn linear_bias(graph: &TypedGraph, node: NodeId) -> bool {
    matches!(&graph.node(node).op, Op::Linear(linear) if linear.bias)
}
