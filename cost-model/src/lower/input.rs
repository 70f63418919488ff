//! The layout of the image, and of a batch of them.

use striae_spaces::{Grouping, Node, Op, Shape, TypedGraph};

use crate::{
    CostError,
    packing::{Grid, Layout, MapLayout, Packing, PlaneOrder, Spacing, VectorLayout},
};

use super::{InputPacking, LowerOptions};

/// How the client packs a batch, and the images that stand interleaved: as many as leave each image the slots of its largest
/// map and its widest vector, a power of two; the others are in further groups of ciphertexts. A vector is repeated through
/// the slots of its image.
pub(super) fn input_layout(
    graph: &TypedGraph,
    slots: usize,
    options: &LowerOptions,
) -> Result<(Layout, usize), CostError> {
    let batch = options.batch;
    if !batch.is_power_of_two() {
        return Err(CostError::Batch { batch });
    }
    let shape = graph.input_shape();
    let room = (slots / widest_vector(graph)).max(1);
    match shape {
        Shape::Map { .. } => {
            let packing = options.packing;
            let spacings = node_spacings(graph, packing.phases());
            let maps: Vec<(Shape, Spacing)> = graph.nodes().iter().map(|n| n.shape).zip(spacings).collect();
            let grid = Grid::fit(&maps, slots)?;
            let interleaved = batch.min(grid.blocks()).min(room);
            let grid = Grid { slots: slots / interleaved, ..grid };
            let input = MapLayout::input(grid, shape, options.input == InputPacking::Replicated);
            let (order, phases, groups) = (plane_order(graph, packing), packing.phases(), batch / interleaved);
            Ok((Layout::Map(MapLayout { order, phases, groups, ..input }), interleaved))
        }
        Shape::Vector { features } if features.next_power_of_two() <= slots => {
            let period = features.next_power_of_two();
            let interleaved = batch.min(room);
            Ok((Layout::Vector(VectorLayout { features, period, groups: batch / interleaved }), interleaved))
        }
        Shape::Vector { features } => {
            let block = features.next_power_of_two();
            Err(CostError::MapTooLarge { shape, block, slots })
        }
    }
}

/// Slots that the widest vector needs.
fn widest_vector(graph: &TypedGraph) -> usize {
    let width = |node: &Node| match &node.op {
        Op::Linear(linear) => linear.out_features,
        Op::Input if matches!(node.shape, Shape::Vector { .. }) => node.shape.len(),
        Op::Input | Op::Conv2d(_) | Op::AvgPool(_) | Op::Activation(_) | Op::Add | Op::Flatten | Op::BatchNorm => 1,
    };
    graph.nodes().iter().map(width).max().unwrap_or(1).next_power_of_two()
}

/// Group-interleaved packing lays contiguous groups across the ciphertexts. A group of one channel is as good either way; a
/// network that has interleaved groups too keeps the order that those want.
fn plane_order(graph: &TypedGraph, packing: Packing) -> PlaneOrder {
    let grouping = |node: &Node| {
        let Op::Conv2d(conv) = &node.op else { return None };
        let channels = graph.shape(node.inputs[0]).channels().max(conv.out_channels);
        (conv.groups > 1 && conv.groups < channels).then_some(conv.grouping)
    };
    match packing {
        Packing::GroupInterleaved => {
            let mut groupings = graph.nodes().iter().filter_map(grouping).peekable();
            let contiguous = groupings.peek().is_some() && groupings.all(|g| g == Grouping::Contiguous);
            if contiguous { PlaneOrder::Across } else { PlaneOrder::Blocks }
        }
        Packing::MultiplexedBsgs => PlaneOrder::Gaps,
        Packing::RowMajor | Packing::Multiplexed | Packing::Block(_) => PlaneOrder::Blocks,
    }
}

/// How far apart pixels are at every node; vectors take no part in the grid.
fn node_spacings(graph: &TypedGraph, phases: usize) -> Vec<Spacing> {
    let single = |node: &Node| graph.shape(node.inputs[0]).spatial() == (1, 1);
    let mut spacings: Vec<Spacing> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let before = node.inputs.first().map_or(Spacing::image(phases), |i| spacings[i.index()]);
        spacings.push(match &node.op {
            _ if matches!(node.shape, Shape::Vector { .. }) => Spacing::image(1),
            // A single pixel has no neighbours to move apart; see `MapLayout::strided`.
            Op::Conv2d(_) if single(node) => before,
            Op::Conv2d(conv) => before.strided(conv.stride),
            // A window as large as the map leaves one pixel: no gap has to fit behind it.
            Op::AvgPool(_) if node.shape.spatial() == (1, 1) => Spacing::image(1),
            Op::AvgPool(pool) => before.strided(pool.stride),
            Op::Linear(_) | Op::Flatten => Spacing::image(1),
            Op::Input | Op::Activation(_) | Op::Add | Op::BatchNorm => before,
        });
    }
    spacings
}
