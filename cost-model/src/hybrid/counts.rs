//! What a linear layer asks of homomorphic encryption.

use std::iter::Sum;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// Operations of a linear layer under a hybrid protocol, and ciphertexts that travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearCounts {
    /// Rotations of inputs under the taps of a kernel ("filter rotations").
    pub internal: u64,
    /// Rotations that move channels onto each other within a row of slots ("row rotations").
    pub external: u64,
    /// Rotations that swap the two rows of slots ("column rotations").
    pub swaps: u64,
    /// Rotations of fully connected layers.
    pub dense: u64,
    /// Products of a ciphertext and an encoded plaintext.
    pub multiplications: u64,
    /// Partial sums: products added up before they are rotated or sent.
    pub products: u64,
    /// Ciphertexts the client sends.
    pub inputs: u64,
    /// Ciphertexts the client receives.
    pub outputs: u64,
}

impl LinearCounts {
    /// All rotations.
    pub const fn rotations(&self) -> u64 {
        self.internal + self.external + self.swaps + self.dense
    }

    /// Those that move channels: within a row and between the rows.
    pub const fn moving(&self) -> u64 {
        self.external + self.swaps
    }
}

impl Add for LinearCounts {
    type Output = Self;

    fn add(self, o: Self) -> Self {
        Self {
            internal: self.internal.saturating_add(o.internal),
            external: self.external.saturating_add(o.external),
            swaps: self.swaps.saturating_add(o.swaps),
            dense: self.dense.saturating_add(o.dense),
            multiplications: self.multiplications.saturating_add(o.multiplications),
            products: self.products.saturating_add(o.products),
            inputs: self.inputs.saturating_add(o.inputs),
            outputs: self.outputs.saturating_add(o.outputs),
        }
    }
}

impl Sum for LinearCounts {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Self::add)
    }
}
