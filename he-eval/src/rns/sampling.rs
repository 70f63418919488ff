//! Randomness of keys and ciphertexts.
//!
//! ChaCha20, seeded by the operating system unless a test fixes the seed. Uniform residues by rejection; secrets are
//! uniform ternary; errors follow the centred binomial distribution with 2 x 21 coins, whose standard deviation
//! sqrt(21/2) = 3.24 is at least the 3.2 of the Homomorphic Encryption Standard.

use rand::rngs::SysRng;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::HeError;

/// Coins on each side of the centred binomial.
const COINS: u32 = 21;
/// Variance of an error coefficient.
pub(crate) const ERROR_VARIANCE: f64 = COINS as f64 / 2.0;
/// Variance of a coefficient of the secret.
pub(crate) const SECRET_VARIANCE: f64 = 2.0 / 3.0;

/// Where the randomness of keys and encryptions comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// The operating system.
    Entropy,
    /// A fixed seed, for tests and repeatable measurements only: whoever knows it can decrypt.
    Fixed(u64),
}

impl Seed {
    /// A generator from this seed.
    pub(crate) fn rng(self) -> Result<ChaCha20Rng, HeError> {
        match self {
            Self::Entropy => {
                ChaCha20Rng::try_from_rng(&mut SysRng).map_err(|e| HeError::Entropy { cause: e.to_string() })
            }
            Self::Fixed(seed) => Ok(ChaCha20Rng::seed_from_u64(seed)),
        }
    }
}

/// An independent generator, for work that runs in parallel.
pub(crate) fn child(rng: &mut ChaCha20Rng) -> ChaCha20Rng {
    ChaCha20Rng::from_seed(rng.random())
}

/// Uniform residues modulo p.
pub(crate) fn uniform(rng: &mut ChaCha20Rng, p: u64, out: &mut [u64]) {
    let shift = p.leading_zeros();
    for x in out {
        *x = loop {
            let candidate = rng.next_u64() >> shift;
            if candidate < p {
                break candidate;
            }
        };
    }
}

/// Uniform coefficients in {-1, 0, 1}.
pub(crate) fn ternary(rng: &mut ChaCha20Rng, out: &mut [i64]) {
    let mut word = 0u64;
    let mut left = 0;
    for x in out {
        *x = loop {
            if left == 0 {
                (word, left) = (rng.next_u64(), 32);
            }
            let two_bits = word & 3;
            word >>= 2;
            left -= 1;
            if two_bits < 3 {
                break two_bits as i64 - 1;
            }
        };
    }
}

/// Errors with standard deviation 3.24.
pub(crate) fn error(rng: &mut ChaCha20Rng, out: &mut [i64]) {
    const MASK: u64 = (1 << COINS) - 1;
    for x in out {
        let word = rng.next_u64();
        *x = i64::from((word & MASK).count_ones()) - i64::from(((word >> COINS) & MASK).count_ones());
    }
}

#[cfg(test)]
mod tests;
