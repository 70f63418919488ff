//! The primitives of the backend, whose times follow from those of whole steps.

use serde::{Deserialize, Serialize};

use crate::step_work::Feature;
use crate::{CkksParams, RingType};

/// A primitive of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Primitive {
    /// Digit decomposition of a ciphertext, shared by hoisted rotations.
    Hoist,
    /// Multiplication of a decomposition by a rotation key and the permutation of the result, in QP.
    RotationHoisted,
    /// Rotation of a partial sum: division of one polynomial by P, decomposition, key, permutation.
    GiantStep,
    /// Rotation of a ciphertext on its own.
    RotationFull,
    /// Multiplication of a rotated ciphertext by an encoded diagonal in QP and accumulation.
    PlainMultExtended,
    /// The same in Q.
    PlainMult,
    /// Division of a polynomial pair by P and the last ciphertext prime together.
    ModDownRescale,
    /// Division of a ciphertext by its last prime.
    Rescale,
    /// Square with relinearisation and rescaling.
    Square,
    /// Addition of two ciphertexts.
    Add,
    /// Addition of an encoded vector.
    PlainAdd,
    /// Encoding of a diagonal in QP.
    Encode,
    /// Encryption, encoding included.
    Encrypt,
    /// Decryption, decoding included.
    Decrypt,
}

impl Primitive {
    /// All primitives.
    pub const ALL: [Self; 14] = [
        Self::Hoist,
        Self::RotationHoisted,
        Self::GiantStep,
        Self::RotationFull,
        Self::PlainMultExtended,
        Self::PlainMult,
        Self::ModDownRescale,
        Self::Rescale,
        Self::Square,
        Self::Add,
        Self::PlainAdd,
        Self::Encode,
        Self::Encrypt,
        Self::Decrypt,
    ];

    /// Name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hoist => "hoist",
            Self::RotationHoisted => "rotation_hoisted",
            Self::GiantStep => "giant_step",
            Self::RotationFull => "rotation_full",
            Self::PlainMultExtended => "plain_mult_extended",
            Self::PlainMult => "plain_mult",
            Self::ModDownRescale => "mod_down_rescale",
            Self::Rescale => "rescale",
            Self::Square => "square",
            Self::Add => "add",
            Self::PlainAdd => "plain_add",
            Self::Encode => "encode",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
        }
    }

    /// The features that one of it is.
    pub(super) const fn features(self) -> &'static [Feature] {
        match self {
            Self::Hoist => &[Feature::Hoist],
            Self::RotationHoisted => &[Feature::Rotation, Feature::RotationKey],
            Self::GiantStep => &[Feature::ExtendedGiant, Feature::GiantKey],
            Self::RotationFull => &[Feature::WindowSum, Feature::WindowRotation],
            Self::PlainMultExtended => &[Feature::RotatedTerm],
            Self::PlainMult => &[Feature::PlainTerm],
            Self::ModDownRescale => &[Feature::ExtendedOutput],
            Self::Rescale => &[Feature::PlainOutput],
            Self::Square => &[Feature::Square, Feature::SquareKey],
            // A copy of one ciphertext and the addition of the other.
            Self::Add => &[Feature::Copy, Feature::Copy],
            Self::PlainAdd => &[Feature::PlainAdd],
            Self::Encode => &[Feature::Encode],
            Self::Encrypt => &[Feature::Encrypt],
            Self::Decrypt => &[Feature::Decrypt],
        }
    }
}

/// Where a primitive runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ring {
    /// The ring.
    #[serde(default, rename = "type", skip_serializing_if = "RingType::is_standard")]
    pub ring_type: RingType,
    /// log2 of the ring degree.
    pub log_n: u32,
    /// Level of the operands.
    pub level: usize,
    /// Special primes.
    pub special: usize,
}

impl Ring {
    /// That of a parameter set at a level.
    pub fn of(params: &CkksParams, level: usize) -> Self {
        Self { ring_type: params.ring(), log_n: params.log_n(), level, special: params.log_p().len() }
    }
}

/// Whole bytes of packed words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WordBytes {
    /// Of the first ciphertext prime.
    pub base: u8,
    /// Of the others.
    pub scale: u8,
    /// Of special primes.
    pub special: u8,
}

impl Default for WordBytes {
    /// Those of a scale of 2^36 and three special primes.
    fn default() -> Self {
        Self { base: 6, scale: 5, special: 5 }
    }
}

impl WordBytes {
    /// Those of a parameter set; where primes of a kind differ, of the largest.
    pub fn of(params: &CkksParams) -> Self {
        let bytes = |bits: &[u32]| bits.iter().max().map_or(4, |b| b.div_ceil(8).max(4)) as u8;
        let (q, p) = (params.log_q(), params.log_p());
        Self { base: bytes(&q[..1]), scale: bytes(&q[1..]), special: bytes(p) }
    }
}

/// A ring with the sizes of its words in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Ring, level, special primes.
    pub ring: Ring,
    /// Word sizes.
    pub bytes: WordBytes,
}

impl Place {
    /// That of a parameter set at a level.
    pub fn of(params: &CkksParams, level: usize) -> Self {
        Self { ring: Ring::of(params, level), bytes: WordBytes::of(params) }
    }

    /// The same one level lower.
    #[must_use]
    pub fn lower(self) -> Self {
        Self { ring: Ring { level: self.ring.level.saturating_sub(1), ..self.ring }, ..self }
    }
}
