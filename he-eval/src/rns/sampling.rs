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
mod tests {
    use super::*;

    fn moments(x: &[i64]) -> (f64, f64) {
        let n = x.len() as f64;
        let mean = x.iter().sum::<i64>() as f64 / n;
        (mean, (x.iter().map(|&v| (v as f64 - mean).powi(2)).sum::<f64>() / n).sqrt())
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut rng = Seed::Fixed(1).rng().unwrap();
        let mut x = vec![0; 1 << 16];
        error(&mut rng, &mut x);
        let (mean, deviation) = moments(&x);
        assert!(mean.abs() < 0.06 && (deviation - 3.24).abs() < 0.04, "{mean} {deviation}");
        assert!(x.iter().all(|v| v.abs() <= 21));
        ternary(&mut rng, &mut x);
        let (mean, deviation) = moments(&x);
        assert!(mean.abs() < 0.015 && (deviation - (2f64 / 3.0).sqrt()).abs() < 0.01, "{mean} {deviation}");
    }

    #[test]
    fn uniform_covers_the_range() {
        let mut rng = Seed::Fixed(2).rng().unwrap();
        let p = 1_125_899_906_826_241;
        let mut x = vec![0; 1 << 14];
        uniform(&mut rng, p, &mut x);
        assert!(x.iter().all(|&v| v < p));
        for bucket in 0..16 {
            let count = x.iter().filter(|&&v| v / (p / 16 + 1) == bucket).count();
            assert!((900..1150).contains(&count), "bucket {bucket}: {count}");
        }
    }

    #[test]
    fn entropy_differs_and_seeds_repeat() {
        let first = |seed: Seed| seed.rng().unwrap().next_u64();
        assert_ne!(first(Seed::Entropy), first(Seed::Entropy));
        assert_eq!(first(Seed::Fixed(3)), first(Seed::Fixed(3)));
        let mut parent = Seed::Fixed(3).rng().unwrap();
        assert_ne!(child(&mut parent).next_u64(), child(&mut parent).next_u64());
    }
}
