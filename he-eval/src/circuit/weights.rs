//! The diagonals and biases of a linear step.
//!
//! Every weight is looked up by the rotation that links its input slot to its output slot. A weight whose rotation the plan
//! does not have must be zero: the network was pruned. Any other would be a bug of the lowering and is reported, never
//! dropped.

use std::collections::HashMap;

use striae_cost_model::{
    DiagonalId, HeProgram, LinearStep, Source, SourceOp,
    lower::{
        convs::source_desc,
        dense::{DenseLinks, Embedding, dense_links},
        places::conv_places,
    },
    packing::{Layout, MapLayout},
};
use striae_spaces::{NodeId, Op, Tap, TypedGraph, WeightStore};

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
    /// Slots of one image.
    slots: usize,
    /// Images that stand interleaved; rotations of the plan are multiples of it.
    interleaved: usize,
    /// Bias by element of the result.
    pub(super) bias: Vec<f64>,
}

enum Operator {
    Conv { conv: Box<EffectiveConv>, output: MapLayout, images: Vec<usize>, factor: Vec<f64> },
    Dense(DenseWeights),
    Copy { layout: Layout, factor: Vec<f64> },
}

/// One piece of a diagonal.
enum Part {
    /// One tap between two channels, for the output's pixels of one phase.
    Tap { operator: usize, in_channel: usize, out_offset: usize, phase: (usize, usize), tap: Tap, weight: f64 },
    /// A diagonal of a fully connected layer.
    Dense { operator: usize, ciphertext: usize, rotation: u32 },
    /// A vector as it is.
    Copy { operator: usize },
}

impl StepWeights {
    pub(super) fn new(ctx: &StepContext<'_>, index: usize, step: &LinearStep) -> Result<Self, CircuitError> {
        let (slots, interleaved) = (ctx.program.image_slots(), ctx.program.interleaved);
        let plan = &step.plan;
        let builder = Builder {
            ctx,
            node: ctx.program.steps[index].node,
            output: &ctx.program.output_of(index).layout,
            terms: ctx.program.diagonals(step).into_iter().enumerate().map(|(i, id)| (id, i)).collect(),
        };
        let mut weights = Self {
            operators: Vec::new(),
            parts: plan.terms.iter().map(|_| Vec::new()).collect(),
            giants: plan.terms.iter().map(|t| plan.giants[t.giant as usize] / interleaved as u32).collect(),
            slots,
            interleaved,
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
            first += ctx.program.value(value).layout.ciphertexts() / ctx.program.runs(index) as usize;
        }
        Ok(weights)
    }

    /// Writes the diagonal of a term into zeroed `slots`, the same for every interleaved image.
    pub(super) fn fill(&self, term: usize, slots: &mut [f64]) {
        if self.interleaved == 1 {
            return self.fill_image(term, slots);
        }
        let mut image = vec![0.0; self.slots];
        self.fill_image(term, &mut image);
        slots.chunks_mut(self.interleaved).zip(image).for_each(|(lanes, value)| lanes.fill(value));
    }

    fn fill_image(&self, term: usize, slots: &mut [f64]) {
        let giant = self.giants[term] as usize;
        for part in &self.parts[term] {
            match part {
                Part::Tap { operator, in_channel, out_offset, phase, tap, weight } => {
                    let Operator::Conv { conv, output, images, factor } = &self.operators[*operator] else { continue };
                    let (height, width) = conv.desc.input.spatial();
                    let base = in_channel * height * width;
                    for_each_pixel_of(conv, *tap, *phase, output.phases, |(y, x), (in_y, in_x)| {
                        let value = weight * factor[base + in_y * width + in_x];
                        let slot = out_offset + output.pixel_offset(y, x) + giant;
                        images.iter().for_each(|image| slots[(slot + image) % self.slots] += value);
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
fn for_each_pixel(conv: &EffectiveConv, tap: Tap, f: impl FnMut((usize, usize), (usize, usize))) {
    for_each_pixel_of(conv, tap, (0, 0), 1, f);
}

/// The same for the output pixels of one of `phases * phases` phases.
fn for_each_pixel_of(
    conv: &EffectiveConv,
    (dy, dx): Tap,
    phase: (usize, usize),
    phases: usize,
    mut f: impl FnMut((usize, usize), (usize, usize)),
) {
    let ((in_h, in_w), (out_h, out_w)) = (conv.desc.input.spatial(), conv.desc.output.spatial());
    let at = |o: usize, d: i32, side: usize| {
        usize::try_from((o * conv.desc.conv.stride) as i64 + i64::from(d)).ok().filter(|i| *i < side)
    };
    for y in (phase.0..out_h).step_by(phases) {
        let Some(in_y) = at(y, dy, in_h) else { continue };
        for x in (phase.1..out_w).step_by(phases) {
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
    /// Index of each diagonal's term.
    terms: HashMap<DiagonalId, usize>,
}

impl Builder<'_> {
    fn source(&self, weights: &mut StepWeights, source: &Source, first: usize, ratio: f64) -> Result<(), CircuitError> {
        let layout = &self.ctx.program.value(source.input).layout;
        let affine = &self.ctx.affine[source.input.index()];
        let factor: Vec<f64> = affine.factor.iter().map(|f| f * ratio).collect();
        let desc = source_desc(self.ctx.graph, &source.op, layout, self.node);
        match (&source.op, desc, layout, self.output) {
            (SourceOp::Dense { linear, pool }, None, _, _) => {
                let embedding = Embedding::of(self.ctx.program.packing, self.node == self.ctx.graph.output());
                let outputs = self.ctx.graph.shape(*linear).len();
                let links = dense_links(layout, self.ctx.program.image_slots(), outputs, embedding);
                let dense = DenseWeights::new(self.ctx, *linear, *pool, source.input, links.rule, ratio)?;
                self.dense(weights, dense, &links, first)
            }
            (op, Some(desc), Layout::Map(input), Layout::Map(output)) => {
                let conv = match op {
                    SourceOp::Conv(chain) => EffectiveConv::compose(desc, chain, self.ctx.graph, self.ctx.store)?,
                    SourceOp::Dense { linear, .. } => {
                        EffectiveConv::dense(desc, *linear, self.ctx.graph, self.ctx.store)?
                    }
                    SourceOp::Pool(_) => EffectiveConv::pool(desc),
                    SourceOp::Identity => EffectiveConv::identity(desc),
                };
                add_conv_bias(&conv, affine, &mut weights.bias);
                self.conv(weights, conv, (input, output), first, factor)
            }
            _ => {
                weights.bias.iter_mut().zip(&affine.offset).for_each(|(b, o)| *b += o);
                let operator = weights.operators.len();
                let term = self.term(DiagonalId { output: 0, input: first as u16, rotation: 0 })?;
                weights.parts[term].push(Part::Copy { operator });
                weights.operators.push(Operator::Copy { layout: layout.clone(), factor });
                Ok(())
            }
        }
    }

    fn term(&self, diagonal: DiagonalId) -> Result<usize, CircuitError> {
        self.terms.get(&diagonal).copied().ok_or(CircuitError::NoDiagonal { node: self.node, diagonal })
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
        let mut missing = None;
        conv_places(&conv.desc, (input, output), first, |place| {
            let weight = conv.weights[place.out_channel][place.pair][place.index];
            match self.terms.get(&place.diagonal) {
                Some(term) => weights.parts[*term].push(Part::Tap {
                    operator,
                    in_channel: place.in_channel,
                    out_offset: place.out_offset,
                    phase: place.phase,
                    tap: place.tap,
                    weight,
                }),
                // The diagonals of pruned weights are left out.
                None if weight == 0.0 => {}
                None => missing = Some(place.diagonal),
            }
        });
        if let Some(diagonal) = missing {
            return Err(CircuitError::NoDiagonal { node: self.node, diagonal });
        }
        let images = input.image_offsets();
        weights.operators.push(Operator::Conv { conv: Box::new(conv), output: output.clone(), images, factor });
        Ok(())
    }

    fn dense(
        &self,
        weights: &mut StepWeights,
        dense: DenseWeights,
        links: &DenseLinks,
        first: usize,
    ) -> Result<(), CircuitError> {
        let operator = weights.operators.len();
        weights.bias.iter_mut().zip(dense.bias()).for_each(|(b, d)| *b += d);
        for (ciphertext, rotations) in links.rotations.iter().enumerate() {
            for &rotation in rotations {
                let diagonal = DiagonalId { output: 0, input: (first + ciphertext) as u16, rotation };
                match self.term(diagonal) {
                    Ok(term) => weights.parts[term].push(Part::Dense { operator, ciphertext, rotation }),
                    Err(_) if dense.is_zero(ciphertext, rotation) => {}
                    Err(missing) => return Err(missing),
                }
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
