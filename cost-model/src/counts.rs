//! Operation counts: of a program before it runs, and of a backend while it runs. The two must be equal.

use std::ops::{Add, AddAssign, Mul};

use serde::{Deserialize, Serialize};

/// How often each primitive of the backend runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OpCounts {
    /// Digit decompositions of a linear step's input ciphertexts, shared by their hoisted rotations.
    pub hoists: u64,
    /// Rotations that share a decomposition.
    pub rotations_hoisted: u64,
    /// Rotations of partial sums inside linear steps, each with a decomposition of its own and, for sums in QP, a division
    /// of one polynomial by P before it.
    pub giant_steps: u64,
    /// Rotations of whole ciphertexts, on their own: folds and single-rotation window sums.
    pub rotations_full: u64,
    /// Encoded diagonals multiplied into a ciphertext and accumulated.
    pub plain_mults: u64,
    /// Those of them in the extended basis QP; the others in Q (see `PartialSum::extended`).
    pub plain_mults_extended: u64,
    /// Divisions of a polynomial pair by P that end a linear output or a hoisted window sum. In a linear step they are one
    /// operation with the rescaling; those inside full rotations, giant steps and squares belong to these.
    pub mod_downs: u64,
    /// Divisions by the last ciphertext prime: one for each linear output.
    pub rescales: u64,
    /// Squarings, each with its relinearisation.
    pub squares: u64,
    /// Additions of two ciphertexts.
    pub adds: u64,
    /// Additions of an encoded vector.
    pub plain_adds: u64,
}

impl OpCounts {
    /// All rotations.
    pub const fn rotations(&self) -> u64 {
        self.rotations_hoisted + self.giant_steps + self.rotations_full
    }
}

impl Add for OpCounts {
    type Output = Self;

    fn add(self, o: Self) -> Self {
        Self {
            hoists: self.hoists + o.hoists,
            rotations_hoisted: self.rotations_hoisted + o.rotations_hoisted,
            giant_steps: self.giant_steps + o.giant_steps,
            rotations_full: self.rotations_full + o.rotations_full,
            plain_mults: self.plain_mults + o.plain_mults,
            plain_mults_extended: self.plain_mults_extended + o.plain_mults_extended,
            mod_downs: self.mod_downs + o.mod_downs,
            rescales: self.rescales + o.rescales,
            squares: self.squares + o.squares,
            adds: self.adds + o.adds,
            plain_adds: self.plain_adds + o.plain_adds,
        }
    }
}

/// The same operations so many times.
impl Mul<u64> for OpCounts {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self {
            hoists: self.hoists * times,
            rotations_hoisted: self.rotations_hoisted * times,
            giant_steps: self.giant_steps * times,
            rotations_full: self.rotations_full * times,
            plain_mults: self.plain_mults * times,
            plain_mults_extended: self.plain_mults_extended * times,
            mod_downs: self.mod_downs * times,
            rescales: self.rescales * times,
            squares: self.squares * times,
            adds: self.adds * times,
            plain_adds: self.plain_adds * times,
        }
    }
}

impl AddAssign for OpCounts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for OpCounts {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Add::add)
    }
}

/// What the rotations of a program are for; the kinds add up to [`OpCounts::rotations`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationKinds {
    /// Maps moved under the taps of a kernel, or under a pooling window.
    pub internal: u64,
    /// Channels moved onto each other inside a ciphertext to be summed.
    pub external: u64,
    /// Slot-shift mixing: a whole ciphertext moved by some blocks.
    pub mixing: u64,
    /// Maps moved into the gaps that a stride left.
    pub merge: u64,
    /// Rotations of fully connected layers.
    pub dense: u64,
}

impl RotationKinds {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.internal + self.external + self.mixing + self.merge + self.dense
    }
}

impl Add for RotationKinds {
    type Output = Self;

    fn add(self, o: Self) -> Self {
        Self {
            internal: self.internal + o.internal,
            external: self.external + o.external,
            mixing: self.mixing + o.mixing,
            merge: self.merge + o.merge,
            dense: self.dense + o.dense,
        }
    }
}

/// The same rotations so many times.
impl Mul<u64> for RotationKinds {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self {
            internal: self.internal * times,
            external: self.external * times,
            mixing: self.mixing * times,
            merge: self.merge * times,
            dense: self.dense * times,
        }
    }
}

impl std::iter::Sum for RotationKinds {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Add::add)
    }
}
