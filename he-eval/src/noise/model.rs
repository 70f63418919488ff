//! The variance that each operation adds to a slot.
//!
//! A slot is the value of a polynomial at a root of unity zeta. Independent errors of variance v in its N coefficients make
//! a complex slot of variance N v, of which the real part, where messages live, has half; different slots are
//! uncorrelated. In the conjugate-invariant ring slots are real, a_0 + sum_i a_i 2 cos(..), and have variance 2 N v. Products of polynomials are slot-wise: an error tau times the secret s has |s(zeta)|^2 times the variance
//! of tau, and that factor is N (or 2N) times the variance of a secret coefficient on average.
//!
//! All variances are of the scaled polynomial: divide by the squared scale to get them in units of the message.

use striae_cost_model::{CkksParams, RingType};

use crate::rns::{ERROR_VARIANCE, PrimeChain, SECRET_VARIANCE};

/// Variance of a rounding error, uniform over an interval of length one.
const ROUNDING: f64 = 1.0 / 12.0;

/// Variances of a parameter set.
#[derive(Clone, Debug)]
pub(crate) struct NoiseModel {
    /// Variance of a slot's real part when every coefficient has variance one.
    spread: f64,
    /// The same for encoded real vectors, whose coefficients are equal in pairs, so that all of it is real.
    real_spread: f64,
    /// Mean of |s(zeta)|^2.
    secret: f64,
    /// Variance of a key switch, by level.
    switching: Vec<f64>,
}

impl NoiseModel {
    /// The one place that knows how slots and coefficients are related.
    pub(crate) fn new(params: &CkksParams, chain: &PrimeChain) -> Self {
        let n = f64::from(params.log_n()).exp2();
        // Mean square of a slot when every coefficient has variance one, and its real part.
        let (square, spread) = match params.ring() {
            RingType::Standard => (n, n / 2.0),
            RingType::ConjugateInvariant => (2.0 * n, 2.0 * n),
        };
        let log_p: f64 = chain.p.iter().map(|&p| (p as f64).log2()).sum();
        // A digit is uniform below its modulus D and multiplies the error of its key; the sum is divided by P:
        // sum_d N (D_d / P)^2 / 12 sigma^2 for each coefficient (2 N in the conjugate-invariant ring).
        let digit = |primes: &[u64]| {
            let log_d: f64 = primes.iter().map(|&q| (q as f64).log2()).sum();
            square * (2.0 * (log_d - log_p)).exp2() * ROUNDING * ERROR_VARIANCE
        };
        let at_level = |level: usize| spread * chain.q[..=level].chunks(chain.p.len()).map(digit).sum::<f64>();
        Self {
            spread,
            real_spread: square,
            secret: square * SECRET_VARIANCE,
            switching: (0..chain.q.len()).map(at_level).collect(),
        }
    }

    /// Rounding of an encoded vector.
    pub(crate) fn encoding(&self) -> f64 {
        self.real_spread * ROUNDING
    }

    /// Encryption with the secret key, encoding included.
    pub(crate) fn fresh(&self) -> f64 {
        self.spread * ERROR_VARIANCE + self.encoding()
    }

    /// Division of a ciphertext by primes, rounded: tau0 + tau1 s.
    pub(crate) fn division(&self) -> f64 {
        self.spread * ROUNDING * (1.0 + self.secret)
    }

    /// Rounded division of the second polynomial alone, before a giant step.
    pub(crate) fn giant_division(&self) -> f64 {
        self.spread * ROUNDING * self.secret
    }

    /// Key switch at `level`, already divided by P but not rounded.
    pub(crate) fn switching(&self, level: usize) -> f64 {
        self.switching[level]
    }
}
