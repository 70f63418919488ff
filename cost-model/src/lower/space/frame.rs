//! What pieces become in ciphertexts of some number of slots under some choices of the lowering.

use crate::{InputPacking, LowerOptions};

use super::super::{hash::HashMap, layers::LayoutId};

/// A step of a piece.
#[derive(Clone, Copy)]
pub(super) struct PieceStep {
    /// Which of all known steps it is.
    pub(super) step: u32,
    /// Depth of its result below what the piece reads.
    pub(super) depth: u32,
}

/// A piece behind some layout.
#[derive(Clone, Copy)]
pub(super) struct Met {
    /// The layout it leaves, as a node of the frame.
    pub(super) next: u32,
    start: u32,
    end: u32,
}

impl Met {
    /// Not met yet: no node has this number.
    const NEVER: Self = Self { next: u32::MAX, start: 0, end: 0 };
}

/// The pieces met under one way of lowering, whatever the packing of the image: a graph whose nodes are layouts and whose
/// edges are pieces.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) slots: usize,
    /// The choices, but for the packing of the image.
    pub(super) lowering: LowerOptions,
    /// Number of different pieces.
    pieces: usize,
    nodes: HashMap<LayoutId, u32>,
    images: HashMap<InputPacking, u32>,
    /// For each node and piece.
    edges: Vec<Met>,
    steps: Vec<PieceStep>,
}

impl Frame {
    /// Nothing met yet.
    pub(super) fn new(slots: usize, lowering: LowerOptions, pieces: usize) -> Self {
        let (nodes, images, edges, steps) = Default::default();
        Self { slots, lowering, pieces, nodes, images, edges, steps }
    }

    /// The node of the encrypted image, if a network that packs it so has been met.
    pub(super) fn image(&self, input: InputPacking) -> Option<u32> {
        self.images.get(&input).copied()
    }

    /// Notes the layout of the encrypted image and returns its node.
    pub(super) fn note_image(&mut self, input: InputPacking, layout: LayoutId) -> u32 {
        let node = self.node(layout);
        self.images.insert(input, node);
        node
    }

    /// The node of a layout.
    pub(super) fn node(&mut self, layout: LayoutId) -> u32 {
        let (next, pieces) = (self.nodes.len() as u32, self.pieces);
        *self.nodes.entry(layout).or_insert_with(|| {
            self.edges.extend(std::iter::repeat_n(Met::NEVER, pieces));
            next
        })
    }

    /// A piece behind a node, if it has been met.
    pub(super) fn met(&self, node: u32, piece: u32) -> Option<Met> {
        let met = *self.edges.get(node as usize * self.pieces + piece as usize)?;
        (met.next != u32::MAX).then_some(met)
    }

    /// The steps of a piece.
    pub(super) fn steps(&self, met: Met) -> &[PieceStep] {
        &self.steps[met.start as usize..met.end as usize]
    }

    /// Notes what a piece behind `node` becomes, and that it leaves `next`.
    pub(super) fn note(&mut self, node: u32, piece: u32, next: u32, steps: &[PieceStep]) {
        let start = self.steps.len() as u32;
        self.steps.extend_from_slice(steps);
        let met = Met { next, start, end: self.steps.len() as u32 };
        self.edges[node as usize * self.pieces + piece as usize] = met;
    }
}
