//! Secret, public and key-switching keys.
//!
//! Key switching is hybrid (Han and Ki, 2020) with digits of as many limbs as there are special primes. Key digit d
//! encrypts P s' in the limbs of digit d and zero in the others, over Q of the key's level and P, so one key serves every
//! level up to its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use striae_cost_model::{KeyPlan, RingType};
use zeroize::Zeroizing;

use crate::HeError;
use crate::backend::{check_key_plan, check_square_key};

use super::automorphism::{Automorphism, galois_element, inverse_element};
use super::context::Context;
use super::simd::{self, KeyLayout, KeyLimb};
use super::{parallel, sampling};

/// The secret: ternary coefficients, and their transform modulo every prime. Wiped when dropped.
pub(crate) struct SecretKey {
    coefficients: Zeroizing<Vec<i64>>,
    values: Zeroizing<Vec<u64>>,
}

impl SecretKey {
    /// A fresh secret.
    pub(crate) fn generate(ctx: &Context, rng: &mut ChaCha20Rng) -> Self {
        let mut coefficients = Zeroizing::new(vec![0; ctx.n]);
        sampling::ternary(rng, &mut coefficients);
        Self::from_coefficients(ctx, coefficients)
    }

    /// The secret with these ternary coefficients.
    pub(crate) fn from_coefficients(ctx: &Context, coefficients: Zeroizing<Vec<i64>>) -> Self {
        let values = lift_everywhere(ctx, &coefficients);
        Self { coefficients, values }
    }

    /// The ternary coefficients.
    pub(crate) fn coefficients(&self) -> &[i64] {
        &self.coefficients
    }

    /// The transform modulo the prime with index i.
    pub(crate) fn limb(&self, ctx: &Context, i: usize) -> &[u64] {
        &self.values[i * ctx.n..][..ctx.n]
    }

    /// Coefficients of the image under X -> X^g.
    fn image(&self, g: usize, ring: RingType) -> Zeroizing<Vec<i64>> {
        let n = self.coefficients.len();
        let mut image = Zeroizing::new(vec![0; n]);
        for (i, &c) in self.coefficients.iter().enumerate() {
            let (place, positive) = match ring {
                // X^N = -1.
                RingType::Standard => (i * g % n, i * g % (2 * n) < n),
                // X^e + X^-e is even in e and changes its sign with e -> 2N - e.
                RingType::ConjugateInvariant => {
                    let e = i * g % (4 * n);
                    let e = e.min(4 * n - e);
                    if e < n { (e, true) } else { (2 * n - e, false) }
                }
            };
            image[place] = if positive { c } else { -c };
        }
        image
    }
}

/// Transform of small coefficients modulo every prime.
fn lift_everywhere(ctx: &Context, coefficients: &[i64]) -> Zeroizing<Vec<u64>> {
    let mut values = Zeroizing::new(vec![0; ctx.tables.len() * ctx.n]);
    parallel::each_limb(ctx.n, &mut values, |i, x| lift(ctx, i, coefficients, x));
    values
}

/// Transform of small coefficients modulo the prime with index i.
pub(crate) fn lift(ctx: &Context, i: usize, coefficients: &[i64], out: &mut [u64]) {
    simd::lift(ctx.simd, &ctx.tables[i].modulus, coefficients, out);
    ctx.tables[i].forward(out);
}

/// An encryption of zero over Q: (b, a) with b + a s small.
pub(crate) struct PublicKey {
    /// b, then a.
    pub(crate) parts: [Vec<u64>; 2],
}

impl PublicKey {
    /// The public key of a secret.
    pub(crate) fn generate(ctx: &Context, secret: &SecretKey, rng: &mut ChaCha20Rng) -> Self {
        let mut error = Zeroizing::new(vec![0; ctx.n]);
        sampling::error(rng, &mut error);
        let mut parts = [vec![0; ctx.q_count * ctx.n], vec![0; ctx.q_count * ctx.n]];
        for i in 0..ctx.q_count {
            let [b, a] = parts.each_mut().map(|x| &mut x[i * ctx.n..][..ctx.n]);
            let mut lifted = Zeroizing::new(vec![0; ctx.n]);
            lift(ctx, i, &error, &mut lifted);
            mask_with(ctx, i, secret.limb(ctx, i), &lifted, rng, b, a);
        }
        Self { parts }
    }
}

/// Draws a and sets b = message - a s modulo the prime with index i.
pub(crate) fn mask_with(
    ctx: &Context,
    i: usize,
    secret: &[u64],
    message: &[u64],
    rng: &mut ChaCha20Rng,
    b: &mut [u64],
    a: &mut [u64],
) {
    let m = &ctx.tables[i].modulus;
    sampling::uniform(rng, m.value(), a);
    for (((b, &a), &s), &message) in b.iter_mut().zip(&*a).zip(secret).zip(message) {
        *b = m.sub(message, m.mul(a, s));
    }
}

/// A key-switching key for ciphertexts up to a level: of every limb the pairs (b, a) of the digits (see
/// [`simd::key_dot`]).
pub(crate) struct SwitchKey {
    level: usize,
    limbs: Vec<(KeyLayout, Vec<u8>)>,
    mask_seed: [u8; 32],
}

/// A key-switching key without its uniform halves a, which [`SwitchKey::expand`] draws from their seed.
pub(crate) struct SeededKey {
    /// Highest level.
    pub(crate) level: usize,
    /// Public. Nothing but a is drawn from it: whoever knew the errors as well could solve for the secret.
    pub(crate) mask_seed: [u8; 32],
    /// The polynomials b, limb after limb and in each limb digit after digit.
    pub(crate) bodies: Vec<u64>,
}

/// The generator of the uniform halves modulo the prime with index i; the limbs are independent streams.
pub(crate) fn masks(mask_seed: [u8; 32], i: usize) -> ChaCha20Rng {
    let mut rng = ChaCha20Rng::from_seed(mask_seed);
    rng.set_stream(i as u64);
    rng
}

impl SwitchKey {
    /// From the secret with transform `from` to the one with coefficients `to`.
    fn generate(
        ctx: &Context,
        level: usize,
        from: &dyn Fn(usize) -> Zeroizing<Vec<u64>>,
        to: &[i64],
        mut rng: ChaCha20Rng,
    ) -> Self {
        let n = ctx.n;
        let digits = Self::digits(ctx, level);
        let mask_seed: [u8; 32] = rng.random();
        let mut errors = Zeroizing::new(vec![0; digits * n]);
        sampling::error(&mut rng, &mut errors);
        let mut limbs = Self::empty(ctx, level);
        for (t, (layout, limb)) in limbs.iter_mut().enumerate() {
            let i = ctx.prime_of_limb(level, t);
            let m = &ctx.tables[i].modulus;
            let mut rng = masks(mask_seed, i);
            let mut target = Zeroizing::new(vec![0; n]);
            lift(ctx, i, to, &mut target);
            let mut pair = [vec![0; n], vec![0; n]];
            for d in 0..digits {
                let mut message = Zeroizing::new(vec![0; n]);
                lift(ctx, i, &errors[d * n..][..n], &mut message);
                if t <= level && t / ctx.p_count == d {
                    simd::add_scaled(ctx.simd, m, &mut message, &from(i), ctx.p_mod_q[i]);
                }
                let [b, a] = &mut pair;
                mask_with(ctx, i, &target, &message, &mut rng, b, a);
                pair.iter().enumerate().for_each(|(half, poly)| layout.store(poly, d, half, limb));
            }
        }
        Self { level, limbs, mask_seed }
    }

    /// The key with its uniform halves drawn again.
    pub(crate) fn expand(ctx: &Context, key: &SeededKey) -> Self {
        let (n, level, digits) = (ctx.n, key.level, Self::digits(ctx, key.level));
        let mut limbs = Self::empty(ctx, level);
        parallel::each(&mut limbs, |t, (layout, limb)| {
            let i = ctx.prime_of_limb(level, t);
            let mut rng = masks(key.mask_seed, i);
            let mut pair = [vec![0; n], vec![0; n]];
            for d in 0..digits {
                pair[0].copy_from_slice(&key.bodies[(t * digits + d) * n..][..n]);
                sampling::uniform(&mut rng, ctx.tables[i].modulus.value(), &mut pair[1]);
                pair.iter().enumerate().for_each(|(half, poly)| layout.store(poly, d, half, limb));
            }
        });
        Self { level, limbs, mask_seed: key.mask_seed }
    }

    /// Room for the limbs.
    fn empty(ctx: &Context, level: usize) -> Vec<(KeyLayout, Vec<u8>)> {
        let limb = |t| {
            let layout = KeyLayout::new(ctx.modulus(level, t).value(), Self::digits(ctx, level));
            (layout, vec![0; layout.bytes(ctx.n)])
        };
        (0..ctx.extended_limbs(level)).map(limb).collect()
    }

    /// Digits of a key for ciphertexts up to `level`.
    pub(crate) fn digits(ctx: &Context, level: usize) -> usize {
        (level + 1).div_ceil(ctx.p_count)
    }

    /// The highest level it serves.
    pub(crate) fn level(&self) -> usize {
        self.level
    }

    /// Seed of the uniform halves.
    pub(crate) fn mask_seed(&self) -> &[u8; 32] {
        &self.mask_seed
    }

    /// The polynomial b of a digit in limb t of the key's own level.
    pub(crate) fn body(&self, t: usize, digit: usize, out: &mut [u64]) {
        let (layout, limb) = &self.limbs[t];
        layout.load(limb, digit, 0, out);
    }

    /// The pairs of all digits modulo the prime of limb t of a polynomial in QP at `level`, at most that of the key.
    pub(crate) fn limb(&self, level: usize, t: usize) -> KeyLimb<'_> {
        let (layout, bytes) = &self.limbs[if t <= level { t } else { t - level + self.level }];
        KeyLimb { layout: *layout, bytes }
    }

    /// Bytes of all limbs.
    fn bytes(&self) -> usize {
        self.limbs.iter().map(|(_, limb)| limb.len()).sum()
    }
}

/// What rotating by one amount needs. The key switches from s to the inverse image of s, so the digits of a ciphertext
/// are used as they are and the automorphism comes last: rotations of one ciphertext share their decomposition.
pub(crate) struct RotationKey {
    /// Key.
    pub(crate) key: SwitchKey,
    /// Automorphism.
    pub(crate) automorphism: Automorphism,
}

/// The server's keys: exactly the rotations that were asked for, and squaring.
pub(crate) struct EvaluationKeys {
    /// From s^2 to s.
    relinearisation: Option<SwitchKey>,
    rotations: BTreeMap<u32, RotationKey>,
}

impl EvaluationKeys {
    /// The planned keys.
    pub(crate) fn generate(
        ctx: &Arc<Context>,
        secret: &SecretKey,
        plan: &KeyPlan,
        rng: &mut ChaCha20Rng,
    ) -> Result<Self, HeError> {
        check_key_plan(plan, ctx.slots(), ctx.q_count - 1)?;
        let wanted = &plan.rotations;
        let seeds: Vec<ChaCha20Rng> = wanted.iter().map(|_| sampling::child(rng)).collect();
        let keys = parallel::collect(wanted.len(), |k| {
            let (rotation, level) = wanted[k];
            let g = galois_element(rotation, ctx.order());
            let to = secret.image(inverse_element(g, ctx.order()), ctx.ring);
            let from = |i: usize| Zeroizing::new(secret.limb(ctx, i).to_vec());
            let key = SwitchKey::generate(ctx, level, &from, &to, seeds[k].clone());
            Ok::<_, HeError>((rotation, RotationKey { key, automorphism: Automorphism::new(g, ctx.n, ctx.ring) }))
        })?;
        let squared = |i: usize| {
            let m = &ctx.tables[i].modulus;
            Zeroizing::new(secret.limb(ctx, i).iter().map(|&s| m.mul(s, s)).collect())
        };
        let relinearisation = plan
            .square
            .map(|level| SwitchKey::generate(ctx, level, &squared, &secret.coefficients, sampling::child(rng)));
        Ok(Self { relinearisation, rotations: keys.into_iter().collect() })
    }

    /// From their parts.
    pub(crate) fn from_keys(
        ctx: &Context,
        relinearisation: Option<SwitchKey>,
        rotations: Vec<(u32, SwitchKey)>,
    ) -> Self {
        let rotation = |(rotation, key)| {
            let automorphism = Automorphism::new(galois_element(rotation, ctx.order()), ctx.n, ctx.ring);
            (rotation, RotationKey { key, automorphism })
        };
        Self { relinearisation, rotations: rotations.into_iter().map(rotation).collect() }
    }

    /// The key of a rotation at a level.
    pub(crate) fn rotation(&self, rotation: u32, level: usize) -> Result<&RotationKey, HeError> {
        let key = self.rotations.get(&rotation).ok_or(HeError::MissingRotationKey { rotation })?;
        let max = key.key.level;
        if level > max { Err(HeError::KeyLevel { key: "rotation", level, max }) } else { Ok(key) }
    }

    /// The key for squares at a level.
    pub(crate) fn relinearisation(&self, level: usize) -> Result<&SwitchKey, HeError> {
        check_square_key(self.relinearisation.as_ref().map(SwitchKey::level), level)?;
        self.relinearisation.as_ref().ok_or(HeError::MissingSquareKey)
    }

    /// The keys there are.
    pub(crate) fn plan(&self) -> KeyPlan {
        let rotations = self.rotations.iter().map(|(&rotation, key)| (rotation, key.key.level)).collect();
        KeyPlan { square: self.relinearisation.as_ref().map(SwitchKey::level), rotations }
    }

    /// The key for squares, then those of rotations, ascending.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, &SwitchKey)> {
        let rotations = self.rotations.iter().map(|(&rotation, key)| (rotation, &key.key));
        self.relinearisation.iter().map(|key| (0, key)).chain(rotations)
    }

    /// Bytes of all keys.
    pub(crate) fn bytes(&self) -> usize {
        self.all().map(|(_, key)| key.bytes()).sum()
    }
}
