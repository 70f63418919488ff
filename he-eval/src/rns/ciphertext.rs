//! Ciphertexts and encoded vectors.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::HeError;

use super::basis::Limbs;
use super::context::Context;
use super::encoder::Coefficients;
use super::keys::lift;
use super::parallel;
use super::pool::Poly;

/// An encryption (c0, c1) of a scaled vector: c0 + c1 s is its polynomial plus a small error.
#[derive(Clone, Debug)]
pub struct RnsCiphertext {
    /// Both polynomials, transformed, limb after limb.
    pub(crate) parts: [Poly; 2],
    /// Rescalings left.
    pub(crate) level: usize,
    /// Factor between slots and polynomial.
    pub(crate) scale: f64,
}

impl RnsCiphertext {
    /// Limbs of one of the two polynomials.
    pub(crate) fn part(&self, i: usize, n: usize) -> Limbs<'_> {
        Limbs::contiguous(&self.parts[i], n)
    }

    /// Rescalings left.
    pub fn level(&self) -> usize {
        self.level
    }

    /// Factor between slots and polynomial.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Bytes of both polynomials.
    pub fn bytes(&self) -> usize {
        8 * (self.parts[0].len() + self.parts[1].len())
    }
}

/// A ciphertext as its encryption left it: c1 is uniform and comes from a public seed, which travels in its place.
#[derive(Clone, Debug)]
pub struct FreshCiphertext {
    /// The ciphertext.
    pub(crate) ciphertext: RnsCiphertext,
    /// Nothing but c1 is drawn from it.
    pub(crate) mask_seed: [u8; 32],
}

impl FreshCiphertext {
    /// The ciphertext, for whoever computes with it.
    pub fn into_ciphertext(self) -> RnsCiphertext {
        self.ciphertext
    }
}

/// A vector encoded to be added to ciphertexts of one level and scale.
#[derive(Clone, Debug)]
pub struct RnsPlain {
    /// Transformed polynomial.
    pub(crate) poly: Poly,
    /// Level.
    pub(crate) level: usize,
    /// Scale.
    pub(crate) scale: f64,
}

/// Checks a level against the chain.
pub(crate) fn check_level(ctx: &Context, op: &'static str, level: usize) -> Result<(), HeError> {
    if level < ctx.q_count { Ok(()) } else { Err(HeError::LevelTooHigh { op, level, max: ctx.q_count - 1 }) }
}

/// Encodes slots as a transformed polynomial over the primes of `level`.
pub(crate) fn encode(ctx: &Arc<Context>, values: &[f64], level: usize, scale: f64) -> Result<RnsPlain, HeError> {
    check_level(ctx, "encode", level)?;
    let coefficients = Zeroizing::new(ctx.encoder.encode(values, scale, level, ctx.log_modulus(level))?);
    let mut poly = ctx.pool.take((level + 1) * ctx.n);
    parallel::each_limb(ctx.n, &mut poly, |i, x| lift_coefficients(ctx, i, &coefficients, x));
    Ok(RnsPlain { poly, level, scale })
}

/// Transform of encoded coefficients modulo the prime with index i.
pub(crate) fn lift_coefficients(ctx: &Context, i: usize, coefficients: &Coefficients, out: &mut [u64]) {
    match coefficients {
        Coefficients::Small(c) => lift(ctx, i, c, out),
        Coefficients::Large(c) => {
            let m = &ctx.tables[i].modulus;
            out.iter_mut().zip(c).for_each(|(o, &c)| *o = m.residue_wide(c));
            ctx.tables[i].forward(out);
        }
    }
}
