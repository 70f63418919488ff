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
use super::recover::centred_values;
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
        let [c0, c1] = &mut parts;
        parallel::each_limb_pair(ctx.n, c0, c1, |i, c0, c1| {
            let mut message = Zeroizing::new(ctx.pool.take(ctx.n));
            lift(ctx, i, &error, &mut message);
            simd::add_assign(ctx.simd, &ctx.tables[i].modulus, &mut message, &plain[i * ctx.n..][..ctx.n]);
            mask_with(ctx, i, self.secret.limb(ctx, i), &message, &mut masks(mask_seed, i), c0, c1);
        });
        Ok(FreshCiphertext { ciphertext: RnsCiphertext { parts, level, scale }, mask_seed })
    }

    /// Residues of c0 + c1 s, coefficients, for every prime of the ciphertext.
    fn phase(&self, ct: &RnsCiphertext) -> Zeroizing<Vec<u64>> {
        let ctx = &self.ctx;
        let mut phase = Zeroizing::new(ct.parts[0].to_vec());
        parallel::each_limb(ctx.n, &mut phase, |i, x| {
            let (tables, c1) = (&ctx.tables[i], ct.part(1, ctx.n).at(i));
            simd::add_product(ctx.simd, &tables.modulus, x, c1, self.secret.limb(ctx, i));
            tables.inverse(x);
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
        drop(rng);
        let mut parts = [plain.poly, ctx.pool.take((level + 1) * ctx.n)];
        let [c0, c1] = &mut parts;
        parallel::each_limb_pair(ctx.n, c0, c1, |i, c0, c1| {
            let m = &ctx.tables[i].modulus;
            let mut small = Zeroizing::new(ctx.pool.take(ctx.n));
            lift(ctx, i, &errors[0], &mut small);
            simd::add_assign(ctx.simd, m, c0, &small);
            lift(ctx, i, &errors[1], c1);
            lift(ctx, i, &mask, &mut small);
            for (part, key) in [c0, c1].into_iter().zip(&self.key.parts) {
                simd::add_product(ctx.simd, m, part, &key[i * ctx.n..][..ctx.n], &small);
            }
        });
        Ok(RnsCiphertext { parts, level, scale })
    }
}
