//! Times of the primitives at one level.

use crate::{OpCounts, Seconds};

/// Seconds of each primitive at one ring degree, level and number of special primes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OpTimes {
    /// Decomposition.
    pub hoist: f64,
    /// Hoisted rotation.
    pub rotation_hoisted: f64,
    /// Diagonal in QP.
    pub plain_mult_extended: f64,
    /// Diagonal in Q.
    pub plain_mult: f64,
    /// Division by P.
    pub mod_down: f64,
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
    /// Time of `counts` at this level. A full rotation is a decomposition and a key multiplication; its division by P is
    /// counted apart.
    pub fn seconds(&self, counts: &OpCounts) -> Seconds {
        Seconds(self.parts(counts).iter().map(|(_, s)| s.0).sum())
    }

    /// The same by part: rotations, multiplications, squares, rescaling, additions.
    pub fn parts(&self, counts: &OpCounts) -> [(&'static str, Seconds); 5] {
        let n = |count: u64| count as f64;
        let rotations = n(counts.hoists + counts.rotations_full) * self.hoist
            + n(counts.rotations()) * self.rotation_hoisted
            + n(counts.mod_downs) * self.mod_down;
        let in_q = counts.plain_mults - counts.plain_mults_extended;
        let mults = n(counts.plain_mults_extended) * self.plain_mult_extended + n(in_q) * self.plain_mult;
        let adds = n(counts.adds) * self.add + n(counts.plain_adds) * self.plain_add;
        [
            ("rotations", Seconds(rotations)),
            ("multiplications", Seconds(mults)),
            ("squares", Seconds(n(counts.squares) * self.square)),
            ("rescaling", Seconds(n(counts.rescales) * self.rescale)),
            ("additions", Seconds(adds)),
        ]
    }
}
