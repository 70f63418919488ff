//! Where weights stand: the diagonals that each weight of a linear step is written into.
//!
//! This is the other side of [`diagonals`](super::diagonals), which lists the diagonals of a layer that keeps all its
//! weights. Encrypted evaluation fills diagonals by it, pruning asks it which weights a diagonal needs, and the lowering of
//! a pruned network drops the diagonals that carry no weight any more.

use serde::{Deserialize, Serialize};
use striae_spaces::{AvgPool, NodeId, Op, Tap, TypedGraph};

use crate::{
    HeProgram, LinearStep, Source, SourceOp, StepKind, Term,
    packing::{Layout, MapLayout, Packing},
};

use super::{
    convs::{ConvDesc, source_desc},
    dense::{DenseRule, Embedding, dense_links},
    diagonals::{PhaseTap, merge_offsets, phase_taps, rotation},
    step_links::operand_ciphertexts,
};

/// A diagonal of a linear step, however a strategy splits its rotation. Written as `[output, input, rotation]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "(u16, u16, u32)", from = "(u16, u16, u32)")]
pub struct DiagonalId {
    /// Output ciphertext.
    pub output: u16,
    /// Input ciphertext among all of the step.
    pub input: u16,
    /// Its whole rotation, in slots of one image.
    pub rotation: u32,
}

impl From<(u16, u16, u32)> for DiagonalId {
    fn from((output, input, rotation): (u16, u16, u32)) -> Self {
        Self { output, input, rotation }
    }
}

impl From<DiagonalId> for (u16, u16, u32) {
    fn from(id: DiagonalId) -> Self {
        (id.output, id.input, id.rotation)
    }
}

/// One tap of a convolution between two channels, for the output's pixels of one phase.
#[derive(Clone, Copy, Debug)]
pub struct TapPlace {
    /// Where it stands.
    pub diagonal: DiagonalId,
    /// Output channel.
    pub out_channel: usize,
    /// Index of the input channel among those of the output channel's group.
    pub pair: usize,
    /// Input channel.
    pub in_channel: usize,
    /// Index of the tap in the kernel.
    pub index: usize,
    /// Offset of the tap.
    pub tap: Tap,
    /// Phase of the output.
    pub phase: (usize, usize),
    /// Slot of the product for the output's first pixel; where folds follow, they bring it home.
    pub out_offset: usize,
}

/// Calls `f` for every tap of a convolution whose input ciphertexts start at `first` among those of the step.
pub fn conv_places(
    desc: &ConvDesc,
    (input, output): (&MapLayout, &MapLayout),
    first: usize,
    mut f: impl FnMut(TapPlace),
) {
    let slots = input.grid.slots as i64;
    let merges = merge_offsets(input, output);
    let taps = TapTable::new(desc, input, output);
    for out_channel in 0..desc.conv.out_channels {
        for phase in taps.phases() {
            let plane = output.plane(out_channel, phase);
            let ((out_ct, out_offset), block) = (output.plane_offset(plane, 0), output.block_of(plane));
            for pair in 0..desc.input.channels() / desc.conv.groups {
                let in_channel = desc.conv.input_channel(input.channels, out_channel, pair);
                for PhaseTap { index, phase: from, offset } in taps.of(phase, pair) {
                    let (in_ct, in_offset) = input.plane_offset(input.plane(in_channel, *from), block);
                    for (group, moved) in merges.iter().enumerate() {
                        let to = (out_offset + moved) as i64;
                        let distance = in_offset as i64 + input.tap_offset(*offset) - to;
                        let rotation = rotation(distance, output.period);
                        let in_ct = first + group * input.group_ciphertexts() + in_ct;
                        f(TapPlace {
                            diagonal: DiagonalId { output: out_ct as u16, input: in_ct as u16, rotation },
                            out_channel,
                            pair,
                            in_channel,
                            index: *index,
                            tap: taps.kernel[pair % 2][*index],
                            phase,
                            out_offset: (to + distance - i64::from(rotation)).rem_euclid(slots) as usize,
                        });
                    }
                }
            }
        }
    }
}

/// The taps of a kernel by phase of the output and parity of the weight index, looked up once.
struct TapTable {
    /// Side of the square of phases.
    side: usize,
    /// `[parity]`: the kernel's taps in the order of its weights.
    kernel: [Vec<Tap>; 2],
    /// `[phase][parity]`.
    taps: Vec<[Vec<PhaseTap>; 2]>,
}

impl TapTable {
    fn new(desc: &ConvDesc, input: &MapLayout, output: &MapLayout) -> Self {
        let side = output.phases;
        let of_phase =
            |phase: usize| [0, 1].map(|j| phase_taps(desc, (input, output), (phase / side, phase % side), j));
        let kernel = [0, 1].map(|j| desc.conv.taps(j));
        Self { side, kernel, taps: (0..side * side).map(of_phase).collect() }
    }

    fn phases(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let side = self.side;
        (0..side * side).map(move |phase| (phase / side, phase % side))
    }

    fn of(&self, (y, x): (usize, usize), j: usize) -> &[PhaseTap] {
        &self.taps[y * self.side + x][j % 2]
    }
}

/// Calls `f(output, element, diagonal)` for every weight of a fully connected layer over the elements of `input`, whose
/// ciphertexts start at `first` among those of the step.
fn dense_places(
    input: &Layout,
    (rule, outputs): (DenseRule, usize),
    first: usize,
    mut f: impl FnMut(usize, usize, DiagonalId),
) {
    for element in 0..input.len() {
        let (ciphertext, slot) = input.slot(element);
        let input = (first + ciphertext) as u16;
        for output in 0..outputs {
            let rotation = rule.rotation(slot, output);
            f(output, element, DiagonalId { output: 0, input, rotation });
        }
    }
}

/// A weight of a layer: the layer, and the index in its tensor.
pub type WeightId = (NodeId, usize);

/// What the weights of a linear step stand on.
pub(super) struct StepPlaces<'a> {
    pub(super) graph: &'a TypedGraph,
    pub(super) packing: Packing,
    /// Slots of an image.
    pub(super) slots: usize,
    /// The node the step computes.
    pub(super) node: NodeId,
    pub(super) output: &'a Layout,
}

impl StepPlaces<'_> {
    /// Calls `f` for every number that a source writes into a diagonal, with the weight that it is a multiple of; `None`
    /// for the ones of residual connections and poolings, and for products of fused layers. The source reads `input`, whose
    /// ciphertexts start at `first` among those of the step.
    pub(super) fn each(
        &self,
        op: &SourceOp,
        input: &Layout,
        first: usize,
        mut f: impl FnMut(Option<WeightId>, DiagonalId),
    ) {
        let desc = source_desc(self.graph, op, input, self.node);
        match (op, desc, input, self.output) {
            (SourceOp::Dense { linear, pool }, None, _, _) => {
                let embedding = Embedding::of(self.packing, self.node == self.graph.output());
                let outputs = self.graph.shape(*linear).len();
                let rule = dense_links(input, self.slots, outputs, embedding).rule;
                let features = self.features(*linear, *pool, input);
                let width = self.graph.shape(self.graph.node(*linear).inputs[0]).len();
                dense_places(input, (rule, outputs), first, |output, element, diagonal| {
                    for feature in &features[element] {
                        f(Some((*linear, output * width + feature)), diagonal);
                    }
                });
            }
            (op, Some(desc), Layout::Map(input), Layout::Map(output)) => {
                let layer = layer_of(self.graph, op);
                let (pairs, taps) = (desc.input.channels() / desc.conv.groups, desc.conv.kernel.tap_count());
                conv_places(&desc, (input, output), first, |place| {
                    let index = (place.out_channel * pairs + place.pair) * taps + place.index;
                    f(layer.map(|layer| (layer, index)), place.diagonal);
                });
            }
            _ => f(None, DiagonalId { output: 0, input: first as u16, rotation: 0 }),
        }
    }

    /// For each element of a fully connected layer's operand the features that it is part of: itself, or the windows of
    /// the pooling in between.
    fn features(&self, linear: NodeId, pool: Option<NodeId>, input: &Layout) -> Vec<Vec<usize>> {
        let pooling = pool.map(|node| (self.graph.shape(node).spatial(), &self.graph.node(node).op));
        let (Some(((rows, columns), Op::AvgPool(AvgPool { size, stride }))), Layout::Map(map)) = (pooling, input)
        else {
            return (0..self.graph.shape(self.graph.node(linear).inputs[0]).len()).map(|i| vec![i]).collect();
        };
        let mut features = vec![Vec::new(); input.len()];
        for feature in 0..map.channels * rows * columns {
            let (channel, y, x) = (feature / (rows * columns), feature / columns % rows, feature % columns);
            for (dy, dx) in (0..*size).flat_map(|dy| (0..*size).map(move |dx| (dy, dx))) {
                let pixel = (channel * map.height + y * stride + dy) * map.width + x * stride + dx;
                features[pixel].push(feature);
            }
        }
        features
    }
}

/// The layer whose weights an operator is, if it is one alone.
pub(super) fn layer_of(graph: &TypedGraph, op: &SourceOp) -> Option<NodeId> {
    match op {
        SourceOp::Conv(chain) => match chain.as_slice() {
            [layer] if matches!(graph.node(*layer).op, Op::Conv2d(_)) => Some(*layer),
            _ => None,
        },
        SourceOp::Dense { linear, .. } => Some(*linear),
        SourceOp::Pool(_) | SourceOp::Identity => None,
    }
}

impl HeProgram {
    /// Calls `f` for every number that a linear step of the program writes into a diagonal: the weight that it is a
    /// multiple of, or `None` for the ones of residual connections and poolings and for products of fused layers, and the
    /// diagonal. `graph` is the network that was lowered. Other steps have no diagonals.
    pub fn each_place(&self, graph: &TypedGraph, step: usize, mut f: impl FnMut(Option<WeightId>, DiagonalId)) {
        let StepKind::Linear(linear) = &self.steps[step].kind else { return };
        let output = &self.output_of(step).layout;
        let places =
            StepPlaces { graph, packing: self.packing, slots: self.image_slots(), node: self.steps[step].node, output };
        let mut first = 0;
        for value in &linear.inputs {
            let layout = &self.value(*value).layout;
            for source in linear.sources.iter().filter(|s: &&Source| s.input == *value) {
                places.each(&source.op, layout, first, &mut f);
            }
            first += operand_ciphertexts(layout, output).unwrap_or(0);
        }
    }

    /// The diagonals of a linear step, in the order of its plan's terms.
    pub fn diagonals(&self, step: &LinearStep) -> Vec<DiagonalId> {
        let (plan, images, slots) = (&step.plan, self.interleaved as u32, self.slots as u32);
        let diagonal = |t: &Term| {
            let total = plan.giants[t.giant as usize] + plan.babies[t.input as usize][t.baby as usize];
            DiagonalId { output: t.output, input: t.input, rotation: total % slots / images }
        };
        plan.terms.iter().map(diagonal).collect()
    }
}
