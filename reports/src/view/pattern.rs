//! Views of pruned networks.

use serde::{Deserialize, Serialize};

/// Which diagonals a pruned network has left, layer by layer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PatternView {
    /// The network.
    pub label: String,
    /// Its linear layers, in order.
    pub layers: Vec<PatternLayer>,
}

/// The diagonals of one layer: a row for each pair of ciphertexts, a column for each rotation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PatternLayer {
    /// What it is, such as `n5 conv(64,k5)`.
    pub name: String,
    /// Rotations of the columns in slots, ascending; to the right where negative.
    pub rotations: Vec<i64>,
    /// The pairs, by input, then by output.
    pub rows: Vec<PatternRow>,
}

/// The diagonals between two ciphertexts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PatternRow {
    /// Input ciphertext.
    pub input: u32,
    /// Output ciphertext.
    pub output: u32,
    /// For each rotation of the layer, what became of the diagonal.
    pub diagonals: Vec<DiagonalState>,
}

/// What became of a diagonal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiagonalState {
    /// The network never had it.
    Absent,
    /// It was pruned.
    Pruned,
    /// It is left.
    Kept,
}

impl PatternLayer {
    /// Diagonals that are left, and that there were.
    pub fn diagonals(&self) -> (usize, usize) {
        let states = || self.rows.iter().flat_map(|row| &row.diagonals);
        let count = |wanted| states().filter(|state| **state == wanted).count();
        let kept = count(DiagonalState::Kept);
        (kept, kept + count(DiagonalState::Pruned))
    }
}
