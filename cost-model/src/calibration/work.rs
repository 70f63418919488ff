//! The arithmetic each primitive has to do, from which times are extrapolated.

use serde::{Deserialize, Serialize};

use crate::{CkksParams, RingType};

/// A primitive of the backend that is measured on its own.
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
    /// Division of a polynomial pair by P.
    ModDown,
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
    pub const ALL: [Self; 15] = [
        Self::Hoist,
        Self::RotationHoisted,
        Self::GiantStep,
        Self::RotationFull,
        Self::PlainMultExtended,
        Self::PlainMult,
        Self::ModDown,
        Self::ModDownRescale,
        Self::Rescale,
        Self::Square,
        Self::Add,
        Self::PlainAdd,
        Self::Encode,
        Self::Encrypt,
        Self::Decrypt,
    ];

    /// Name in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hoist => "hoist",
            Self::RotationHoisted => "rotation_hoisted",
            Self::GiantStep => "giant_step",
            Self::RotationFull => "rotation_full",
            Self::PlainMultExtended => "plain_mult_extended",
            Self::PlainMult => "plain_mult",
            Self::ModDown => "mod_down",
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

/// Work of a primitive, in units of one million word operations: butterflies of number-theoretic transforms, and pointwise
/// operations with their memory traffic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// NTT butterflies, `N log2(N) / 2` per limb.
    pub butterflies: f64,
    /// Pointwise word operations.
    pub pointwise: f64,
}

impl Work {
    /// Work of `primitive` in `ring`, with `l = level + 1` limbs, `K` special primes and `d = ceil(l / K)` digits.
    pub fn of(primitive: Primitive, ring: Ring) -> Self {
        let (l, k) = (ring.level as f64 + 1.0, ring.special as f64);
        let d = (l / k).ceil();
        let w = l + k;
        // The conjugate-invariant ring has one level more, whose butterflies multiply twice, and stores diagonals whole.
        let (tree_levels, stored) = match ring.ring_type {
            RingType::Standard => (f64::from(ring.log_n), 1.0),
            RingType::ConjugateInvariant => (f64::from(ring.log_n) + 2.0, 2.0),
        };
        let (hoist, mac, down, rescale) =
            ((d * w, l * w + d * w), (0.0, 2.0 * d * w + 2.0 * w), (2.0 * w, 2.0 * l * (k + 2.0)), (2.0 * l, 6.0 * l));
        let (transforms, points) = match primitive {
            Primitive::Hoist => hoist,
            Primitive::RotationHoisted => mac,
            Primitive::GiantStep => (hoist.0 + down.0 / 2.0, hoist.1 + mac.1 + down.1 / 2.0),
            Primitive::RotationFull => (hoist.0 + down.0, hoist.1 + mac.1 + down.1),
            Primitive::PlainMultExtended => (0.0, 2.0 * stored * w),
            Primitive::PlainMult => (0.0, 2.0 * stored * l),
            Primitive::Add => (0.0, 2.0 * l),
            Primitive::ModDown => down,
            // The inverse transforms are of P and the last prime, the forward ones of the limbs that stay.
            Primitive::ModDownRescale => (2.0 * w, 2.0 * l * (k + 3.0)),
            Primitive::Rescale => rescale,
            Primitive::Square => (hoist.0 + down.0 + rescale.0, 4.0 * l + hoist.1 + 2.0 * d * w + down.1 + rescale.1),
            Primitive::PlainAdd => (0.0, l),
            Primitive::Encode => (w + 2.0, 2.0 * w),
            Primitive::Encrypt => (3.0 * l + 2.0, 8.0 * l),
            Primitive::Decrypt => (l + 2.0, 4.0 * l),
        };
        let n = f64::from(1u32 << ring.log_n) * 1e-6;
        Self { butterflies: transforms * n * tree_levels / 2.0, pointwise: points * n }
    }
}
