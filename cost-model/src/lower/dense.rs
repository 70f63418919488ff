//! The diagonals of a fully connected layer.
//!
//! A layer with `n` outputs, `D = pad2(n)`, on inputs that repeat with period `E` (all slots for maps) uses the rotations
//! `r = (j - o) mod D` for input slot `j` and output `o`; its products stand at slots `t = j - r = o (mod D)` and are summed
//! over the `E / D` classes by rotate-and-add folds.

use crate::packing::{Layout, Packing, VectorLayout};

use super::{bit_set::BitSet, diagonals::rotation};

/// A fully connected layer's diagonals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenseLinks {
    /// Which diagonal a weight belongs to.
    pub rule: DenseRule,
    /// For each input ciphertext, the rotations it is needed at, ascending.
    pub rotations: Vec<Vec<u32>>,
    /// Rotate-and-add steps after the sum.
    pub folds: Vec<u32>,
    /// Layout of the result.
    pub output: VectorLayout,
}

/// Assigns the weight between input slot `j` and output `o` to a diagonal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenseRule {
    /// Slots of a ciphertext.
    pub slots: usize,
    /// `D`: outputs, padded to a power of two.
    pub classes_of: usize,
    /// `E`: period of the input.
    pub period: usize,
    /// Whether rotations wrap modulo `D`, which makes them few, or keep a product in the class of its input slot, which
    /// can spare folds.
    pub wrapped: bool,
}

impl DenseRule {
    /// Rotation of the diagonal that holds the weight of input slot `j` and output `o`.
    pub fn rotation(&self, j: usize, o: usize) -> u32 {
        let modulus = self.classes_of.min(self.period);
        if self.wrapped || self.classes_of >= self.period {
            ((j + self.classes_of - o % self.classes_of) % modulus) as u32
        } else {
            rotation((j % self.classes_of) as i64 - o as i64, self.slots)
        }
    }
}

/// Slots that hold the elements of `input`, ascending, by ciphertext, within one period.
pub fn occupied(input: &Layout) -> Vec<Vec<usize>> {
    let map = match input {
        Layout::Vector(vector) => return vec![(0..vector.features).collect()],
        Layout::Map(map) => map,
    };
    let pixels: Vec<((usize, usize), usize)> = (0..map.height)
        .flat_map(|y| (0..map.width).map(move |x| (y, x)))
        .map(|(y, x)| ((y, x), map.pixel_offset(y, x)))
        .collect();
    let ciphertexts = map.group_ciphertexts();
    let mut seen = BitSet::new(ciphertexts * map.grid.slots);
    for channel in 0..map.channels {
        for &((y, x), offset) in &pixels {
            let (ciphertext, first) = map.plane_offset(map.plane(channel, (y, x)), 0);
            seen.insert(ciphertext * map.grid.slots + first + offset);
        }
    }
    let mut slots = vec![Vec::new(); ciphertexts];
    seen.drain(|bit| slots[bit / map.grid.slots].push(bit % map.grid.slots));
    slots
}

/// How the matrix of a fully connected layer becomes diagonals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Embedding {
    /// By the rule that needs fewer rotations in all; copies of the input spare folds.
    Cheapest,
    /// Wrapped at the outputs, with a fold for every doubling up to all slots (Orion's hybrid embedding).
    Wrapped,
    /// Wrapped at all slots: more diagonals and no folds (Orion's embedding of a network's last layer).
    Square,
}

impl Embedding {
    /// That of a packing; `last` for the layer that makes the network's result.
    pub fn of(packing: Packing, last: bool) -> Self {
        match packing {
            Packing::MultiplexedBsgs if last => Self::Square,
            Packing::MultiplexedBsgs => Self::Wrapped,
            Packing::RowMajor | Packing::GroupInterleaved | Packing::Multiplexed | Packing::Block(_) => Self::Cheapest,
        }
    }
}

/// Diagonals of a layer with `outputs` outputs, on one group of its input.
pub fn dense_links(input: &Layout, slots: usize, outputs: usize, embedding: Embedding) -> DenseLinks {
    let occupied = occupied(input);
    let work = |links: &DenseLinks| {
        let diagonals: usize = links.rotations.iter().map(Vec::len).sum();
        // Baby-step giant-step brings the rotations of the diagonals to about twice their square root.
        2.0 * (diagonals as f64).sqrt() + links.folds.len() as f64
    };
    let padded = outputs.next_power_of_two();
    let period = match input {
        Layout::Map(_) => slots,
        Layout::Vector(vector) => vector.period,
    };
    let by = |classes_of, period, wrapped| {
        let rule = DenseRule { slots, classes_of, period, wrapped };
        links_by(rule, &occupied, outputs, input.groups())
    };
    match embedding {
        Embedding::Cheapest => {
            let [wrapped, open] = [true, false].map(|wrapped| by(padded, period, wrapped));
            if work(&open) < work(&wrapped) { open } else { wrapped }
        }
        Embedding::Wrapped => by(padded, slots, true),
        Embedding::Square => by(slots, slots, true),
    }
}

fn links_by(rule: DenseRule, occupied: &[Vec<usize>], outputs: usize, groups: usize) -> DenseLinks {
    let DenseRule { slots, classes_of: d, period, wrapped } = rule;
    let class_count = (period / d).max(1);
    let mut classes = BitSet::new(class_count);
    let mut rotations = Vec::with_capacity(occupied.len());
    let mut seen = BitSet::new(slots);
    for occupied in occupied {
        let mut residues = vec![false; d.min(period)];
        let modulus = residues.len();
        for j in occupied {
            residues[j % modulus] = true;
            let (class, low) = (j / d, j % d);
            classes.insert(class);
            if wrapped && low + 1 < outputs {
                classes.insert((class + class_count - 1) % class_count);
            }
        }
        let used = residues.iter().enumerate().filter(|(_, used)| **used).map(|(j, _)| j);
        used.for_each(|j| (0..outputs).for_each(|o| seen.insert(rule.rotation(j, o) as usize)));
        let mut needed = Vec::new();
        seen.drain(|rotation| needed.push(rotation as u32));
        rotations.push(needed);
    }
    let stride = class_stride(classes, class_count);
    let folds = (0..class_count.ilog2()).map(|k| 1 << k).filter(|&k| k >= stride).map(|k| (k * d) as u32).collect();
    let output = VectorLayout { features: outputs, period: (d * stride).min(slots), groups };
    DenseLinks { rule, rotations, folds, output }
}

/// Largest power of two, at most `count`, that divides every class: folds below it would add zeros.
fn class_stride(mut classes: BitSet, count: usize) -> usize {
    let mut stride = count;
    classes.drain(|class| {
        if class != 0 {
            stride = stride.min(1 << class.trailing_zeros());
        }
    });
    stride
}
