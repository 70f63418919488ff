//! The client role: it alone holds the secret key, encrypts and decrypts.

use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use crate::HeError;
use crate::backend::HeClient;

use super::ciphertext::{FreshCiphertext, RnsCiphertext, check_level, encode};
use super::context::Context;
use super::keys::{PublicKey, SecretKey, lift, mask_with, masks};
use super::serial::Identity;
use super::{parallel, sampling, simd};

/// Owner of a secret key.
pub struct RnsClient {
    pub(crate) ctx: Arc<Context>,
    pub(crate) secret: SecretKey,
    pub(crate) rng: Mutex<ChaCha20Rng>,
    pub(crate) identity: Identity,
}

impl RnsClient {
    /// A key with which others can encrypt for this client.
    pub fn public_key(&self) -> RnsEncryptor {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let key = PublicKey::generate(&self.ctx, &self.secret, &mut rng);
        RnsEncryptor { ctx: Arc::clone(&self.ctx), key, rng: Mutex::new(sampling::child(&mut rng)) }
    }

    /// Encrypts one value per slot: c1 is drawn from a seed of its own, c0 = m + e - c1 s.
    pub fn encrypt_fresh(&self, values: &[f64], level: usize, scale: f64) -> Result<FreshCiphertext, HeError> {
        let ctx = &self.ctx;
        let plain = Zeroizing::new(encode(ctx, values, level, scale)?.poly);
        let mut error = Zeroizing::new(vec![0; ctx.n]);
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let mask_seed: [u8; 32] = rng.random();
        sampling::error(&mut rng, &mut error);
        drop(rng);
        let mut parts = [(); 2].map(|()| ctx.pool.take((level + 1) * ctx.n));
        let mut message = Zeroizing::new(vec![0; ctx.n]);
        for i in 0..=level {
            let [c0, c1] = parts.each_mut().map(|x| &mut x[i * ctx.n..][..ctx.n]);
            lift(ctx, i, &error, &mut message);
            simd::add_assign(ctx.simd, &ctx.tables[i].modulus, &mut message, &plain[i * ctx.n..][..ctx.n]);
            mask_with(ctx, i, self.secret.limb(ctx, i), &message, &mut masks(mask_seed, i), c0, c1);
        }
        Ok(FreshCiphertext { ciphertext: RnsCiphertext { parts, level, scale }, mask_seed })
    }

    /// Residues of c0 + c1 s, coefficients, for every prime of the ciphertext.
    fn phase(&self, ct: &RnsCiphertext) -> Zeroizing<Vec<u64>> {
        let ctx = &self.ctx;
        let mut phase = Zeroizing::new(ct.parts[0].to_vec());
        parallel::each_limb(ctx.n, &mut phase, |i, x| {
            let m = &ctx.tables[i].modulus;
            let c1 = ct.part(1, ctx.n).at(i);
            for ((x, &c1), &s) in x.iter_mut().zip(c1).zip(self.secret.limb(ctx, i)) {
                *x = m.add(*x, m.mul(c1, s));
            }
            ctx.tables[i].inverse(x);
        });
        phase
    }
}

impl HeClient for RnsClient {
    type Ciphertext = RnsCiphertext;

    fn encrypt(&self, values: &[f64], level: usize, scale: f64) -> Result<RnsCiphertext, HeError> {
        Ok(self.encrypt_fresh(values, level, scale)?.into_ciphertext())
    }

    fn decrypt(&self, ct: &RnsCiphertext) -> Result<Vec<f64>, HeError> {
        check_level(&self.ctx, "decrypt", ct.level)?;
        let phase = self.phase(ct);
        let coefficients = Zeroizing::new(centred_values(&self.ctx, &phase, ct.level));
        check_room(&coefficients, ct.level, self.ctx.log_modulus(ct.level))?;
        Ok(self.ctx.encoder.decode(&coefficients, ct.scale))
    }
}

/// Share of the modulus that a sound value leaves alone at either end: among thousands of uniform coefficients, which is
/// what an overflow or another key leaves behind, some are there.
const MARGIN: f64 = 0.01;

/// Refuses coefficients that fill their modulus.
fn check_room(coefficients: &[f64], level: usize, log_q: f64) -> Result<(), HeError> {
    let log_value = coefficients.iter().fold(0.0, |m: f64, c| m.max(c.abs())).log2();
    if log_value < log_q - 1.0 + (1.0 - 2.0 * MARGIN).log2() {
        Ok(())
    } else {
        Err(HeError::Overflow { log_value, level, log_q })
    }
}

/// Centred integers behind residues, as floating-point numbers.
///
/// Garner's mixed radix with balanced digits, x = d_0 + d_1 q_0 + d_2 q_0 q_1 + ..: small values of either sign have
/// zero upper digits, so nothing cancels.
fn centred_values(ctx: &Context, residues: &[u64], level: usize) -> Vec<f64> {
    let n = ctx.n;
    // radix[i][j] = q_0 .. q_(j-1) mod q_i, and its inverse for j = i.
    let radix: Vec<Vec<u64>> = (0..=level)
        .map(|i| {
            let m = &ctx.tables[i].modulus;
            let mut powers = vec![1];
            for j in 0..i {
                powers.push(m.mul(powers[j], m.reduce(ctx.tables[j].modulus.value())));
            }
            powers[i] = m.inv(powers[i]);
            powers
        })
        .collect();
    let mut out = vec![0.0; n];
    let mut digits = vec![0i64; level + 1];
    for (k, out) in out.iter_mut().enumerate() {
        let mut weight = 1.0;
        for i in 0..=level {
            let m = &ctx.tables[i].modulus;
            let known = (0..i).fold(0, |sum, j| m.add(sum, m.mul(m.residue(digits[j]), radix[i][j])));
            digits[i] = m.centred(m.mul(m.sub(residues[i * n + k], known), radix[i][i]));
            // The weight of a digit that small values do not reach may be beyond double precision.
            if digits[i] != 0 {
                *out += digits[i] as f64 * weight;
            }
            weight *= m.value() as f64;
        }
    }
    out
}

/// Encrypts with a public key.
pub struct RnsEncryptor {
    ctx: Arc<Context>,
    key: PublicKey,
    rng: Mutex<ChaCha20Rng>,
}

impl RnsEncryptor {
    /// Encrypts for the owner of the key: (b v + e0 + m, a v + e1) with v ternary.
    pub fn encrypt(&self, values: &[f64], level: usize, scale: f64) -> Result<RnsCiphertext, HeError> {
        let ctx = &self.ctx;
        let plain = encode(ctx, values, level, scale)?;
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let mut mask = Zeroizing::new(vec![0; ctx.n]);
        sampling::ternary(&mut rng, &mut mask);
        let mut errors = [Zeroizing::new(vec![0; ctx.n]), Zeroizing::new(vec![0; ctx.n])];
        for e in &mut errors {
            sampling::error(&mut rng, e);
        }
        let mut parts = [plain.poly, ctx.pool.zeros((level + 1) * ctx.n)];
        let (mut v, mut e) = (Zeroizing::new(vec![0; ctx.n]), Zeroizing::new(vec![0; ctx.n]));
        for i in 0..=level {
            let m = &ctx.tables[i].modulus;
            lift(ctx, i, &mask, &mut v);
            for c in 0..2 {
                lift(ctx, i, &errors[c], &mut e);
                let (part, key) = (&mut parts[c][i * ctx.n..][..ctx.n], &self.key.parts[c][i * ctx.n..][..ctx.n]);
                for (((x, &k), &v), &e) in part.iter_mut().zip(key).zip(&*v).zip(&*e) {
                    *x = m.add(m.add(*x, e), m.mul(k, v));
                }
            }
        }
        Ok(RnsCiphertext { parts, level, scale })
    }
}
