//! The two rings.

use serde::{Deserialize, Serialize};

/// The ring of the polynomials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RingType {
    /// Z\[X\]/(X^N + 1): N/2 complex slots, used with real values.
    #[default]
    Standard,
    /// Z\[X + 1/X\]/(X^2N + 1), the conjugate-invariant subring: N real slots (Kim and Song, *Approximate homomorphic
    /// encryption over the conjugate-invariant ring*, ICISC 2018). It is the ring of integers of a field of degree N, and
    /// is held to the security table of that N.
    ConjugateInvariant,
}

impl RingType {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Standard, Self::ConjugateInvariant];

    /// Name in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::ConjugateInvariant => "conjugate-invariant",
        }
    }

    /// Real slots of a ciphertext at ring degree `n`.
    pub const fn slots(self, n: usize) -> usize {
        match self {
            Self::Standard => n / 2,
            Self::ConjugateInvariant => n,
        }
    }

    /// log2 of the order of the roots of unity a transform of degree `2^log_n` uses; primes are 1 modulo this order.
    pub const fn log_order(self, log_n: u32) -> u32 {
        match self {
            Self::Standard => log_n + 1,
            Self::ConjugateInvariant => log_n + 2,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
    pub(crate) const fn is_standard(&self) -> bool {
        matches!(self, Self::Standard)
    }
}
