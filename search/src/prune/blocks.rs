//! The blocks of a lowered network.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use striae_cost_model::{DiagonalId, HeProgram};
use striae_spaces::{NodeId, TypedGraph, param_specs};
use striae_train::Blocks;

/// What is pruned as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// All diagonals of a layer that read an input ciphertext at one rotation: SpENCNN's sub-blocks.
    #[default]
    Rotation,
    /// Every diagonal for itself: finer, but a rotation goes only with the last diagonal that reads it.
    Diagonal,
}

/// What the weights of a block stand on: step, input ciphertext, rotation, and output ciphertext where that tells blocks
/// apart.
type Place = (usize, u16, u32, Option<u16>);

/// The blocks of a network under one lowering.
#[derive(Clone, Debug)]
pub struct BlockMap {
    /// Which weights they are.
    pub blocks: Blocks,
    /// Places that belong to no block: residual connections and poolings stand there too, or a layer would lose all its
    /// weights at once.
    pub fixed: usize,
}

impl BlockMap {
    /// The blocks of `graph`, which `program` was lowered from. Where a weight stands in several places, as in a layer behind
    /// a pooling that is folded into it, all places that share weights are one block.
    pub fn new(graph: &TypedGraph, program: &HeProgram, unit: Unit) -> Self {
        let mut places = Places::default();
        for step in 0..program.steps.len() {
            program.each_place(graph, step, |weight, DiagonalId { output, input, rotation }| {
                let place = (step, input, rotation, (unit == Unit::Diagonal).then_some(output));
                let place = places.number(place);
                match weight {
                    Some((layer, index)) => places.join(layer, index, place),
                    None => places.fixed.push(place),
                }
            });
        }
        places.into_blocks(graph)
    }
}

/// Places, joined where they share a weight.
#[derive(Default)]
struct Places {
    numbers: HashMap<Place, u32>,
    /// For each place another of its block, up to one that is its own.
    parents: Vec<u32>,
    /// For each weight that stands somewhere, a place of it.
    weights: BTreeMap<NodeId, Vec<u32>>,
    /// Places of numbers that are no weights.
    fixed: Vec<u32>,
}

impl Places {
    fn number(&mut self, place: Place) -> u32 {
        let next = self.parents.len() as u32;
        let number = *self.numbers.entry(place).or_insert(next);
        if number == next {
            self.parents.push(next);
        }
        number
    }

    fn root(&mut self, mut place: u32) -> u32 {
        while self.parents[place as usize] != place {
            let above = self.parents[self.parents[place as usize] as usize];
            self.parents[place as usize] = above;
            place = above;
        }
        place
    }

    fn join(&mut self, layer: NodeId, index: usize, place: u32) {
        let weights = self.weights.entry(layer).or_default();
        if weights.len() <= index {
            weights.resize(index + 1, Blocks::NONE);
        }
        match weights[index] {
            Blocks::NONE => weights[index] = place,
            other if other == place => {}
            other => {
                let (a, b) = (self.root(other), self.root(place));
                self.parents[a.max(b) as usize] = a.min(b);
            }
        }
    }

    fn into_blocks(mut self, graph: &TypedGraph) -> BlockMap {
        let mut fixed = vec![false; self.parents.len()];
        for place in std::mem::take(&mut self.fixed) {
            let root = self.root(place);
            fixed[root as usize] = true;
        }
        let mut weights = std::mem::take(&mut self.weights);
        for places in weights.values_mut() {
            for place in places.iter_mut().filter(|place| **place != Blocks::NONE) {
                *place = self.root(*place);
            }
            if let [first, rest @ ..] = places.as_slice()
                && *first != Blocks::NONE
                && rest.iter().all(|place| place == first)
            {
                fixed[*first as usize] = true;
            }
        }
        let roots: Vec<u32> = (0..self.parents.len() as u32).map(|place| self.root(place)).collect();
        let mut numbers: BTreeMap<u32, u32> = BTreeMap::new();
        for places in weights.values() {
            for &root in places.iter().filter(|root| **root != Blocks::NONE && !fixed[**root as usize]) {
                let next = numbers.len() as u32;
                numbers.entry(root).or_insert(next);
            }
        }
        let mut blocks = Blocks::new(numbers.len());
        for spec in param_specs(graph) {
            let layer = graph.ids().find(|id| spec.name == format!("{id}.weight"));
            if let Some(places) = layer.and_then(|layer| weights.get(&layer)) {
                let block =
                    |i: usize| places.get(i).and_then(|root| numbers.get(root)).copied().unwrap_or(Blocks::NONE);
                let count = spec.shape.iter().product();
                blocks.set(spec.name, (0..count).map(block).collect());
            }
        }
        BlockMap { blocks, fixed: roots.iter().filter(|root| fixed[**root as usize]).count() }
    }
}
