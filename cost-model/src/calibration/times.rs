//! Times of the primitives at one level.

use crate::{OpCounts, Seconds};

/// Seconds of each primitive at one ring degree, level and number of special primes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OpTimes {
    /// Decomposition.
    pub hoist: f64,
    /// Hoisted rotation.
    pub rotation_hoisted: f64,
    /// Giant step.
    pub giant_step: f64,
    /// Rotation on its own.
    pub rotation_full: f64,
    /// Diagonal in QP.
    pub plain_mult_extended: f64,
    /// Diagonal in Q.
    pub plain_mult: f64,
    /// Division by P.
    pub mod_down: f64,
    /// Division by P and the last prime together.
    pub mod_down_rescale: f64,
    /// Division by the last prime.
    pub rescale: f64,
    /// Square.
    pub square: f64,
    /// Addition.
    pub add: f64,
    /// Addition of an encoded vector.
    pub plain_add: f64,
}

impl OpTimes {
    /// Time of `counts` at this level.
    pub fn seconds(&self, counts: &OpCounts) -> Seconds {
        self.parts(counts).iter().map(|(_, s)| *s).sum()
    }

    /// The same by part: rotations, multiplications, squares, rescaling, additions.
    pub fn parts(&self, counts: &OpCounts) -> [(&'static str, Seconds); 5] {
        let n = |count: u64| count as f64;
        let rotations = n(counts.hoists) * self.hoist
            + n(counts.rotations_hoisted) * self.rotation_hoisted
            + n(counts.giant_steps) * self.giant_step
            + n(counts.rotations_full) * self.rotation_full;
        let in_q = counts.plain_mults - counts.plain_mults_extended;
        let mults = n(counts.plain_mults_extended) * self.plain_mult_extended + n(in_q) * self.plain_mult;
        // In a linear step, the only one that rescales, a division by P and the rescaling are one operation.
        let joined = counts.mod_downs.min(counts.rescales);
        let divisions = n(joined) * self.mod_down_rescale
            + n(counts.mod_downs - joined) * self.mod_down
            + n(counts.rescales - joined) * self.rescale;
        let adds = n(counts.adds) * self.add + n(counts.plain_adds) * self.plain_add;
        [
            ("rotations", Seconds(rotations)),
            ("multiplications", Seconds(mults)),
            ("squares", Seconds(n(counts.squares) * self.square)),
            ("rescaling", Seconds(divisions)),
            ("additions", Seconds(adds)),
        ]
    }
}
