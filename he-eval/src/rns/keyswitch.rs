//! Hybrid key switching in the extended basis QP.
//!
//! A polynomial c over Q is cut into digits of alpha limbs; each digit is converted to the other primes of QP, and
//! sum_d digit_d * key_d encrypts P c s' under s. Nothing is divided here: sums stay in QP and callers divide by P once.
//! The digits are held as coefficients, from which any limb of QP is made when it is needed, so memory stays small and
//! every limb can run on its own thread.

use super::basis::Limbs;
use super::context::Context;
use super::keys::{RotationKey, SwitchKey};
use super::parallel;
use super::pool::Poly;
use super::simd::{self, KEY_BLOCK, PADDING};

/// A polynomial cut into digits.
pub(crate) struct Digits<'a> {
    level: usize,
    source: Limbs<'a>,
    work: Poly,
    /// Limbs of `work` per digit.
    stride: usize,
}

impl<'a> Digits<'a> {
    /// Decomposes a polynomial over the primes of `level`: the set-up that hoisted rotations share.
    pub(crate) fn new(ctx: &Context, level: usize, source: Limbs<'a>) -> Self {
        let conversions = &ctx.levels[level].digits;
        let stride = ctx.p_count + 1;
        let mut work = ctx.pool.take(conversions.len() * stride * ctx.n);
        let mut digits: Vec<&mut [u64]> = work.chunks_exact_mut(stride * ctx.n).collect();
        parallel::each(&mut digits, |d, work| {
            conversions[d].prepare(ctx, |i| source.at(conversions[d].from[i]), work);
        });
        Self { level, source, work, stride }
    }

    /// Words of buffer that one limb of all digits needs.
    pub(crate) fn limb_words(ctx: &Context, level: usize) -> usize {
        ctx.levels[level].digits.len() * (ctx.n + PADDING)
    }

    /// Limb t of every digit; those that are not limbs of the source itself are made in `buffer`.
    pub(crate) fn limb<'b>(&'b self, ctx: &Context, t: usize, buffer: &'b mut [u64]) -> Vec<&'b [u64]>
    where
        'a: 'b,
    {
        let prime = ctx.prime_of_limb(self.level, t);
        let conversions = &ctx.levels[self.level].digits;
        let works = self.work.chunks_exact(self.stride * ctx.n);
        let digits = conversions.iter().zip(works).zip(buffer.chunks_exact_mut(ctx.n + PADDING));
        digits
            .map(|((conversion, work), out)| {
                if conversion.from.contains(&prime) {
                    return self.source.at(t);
                }
                let out = &mut out[..ctx.n];
                conversion.convert(ctx, prime, work, out);
                &*out
            })
            .collect()
    }
}

/// The switch of one polynomial in one limb.
pub(crate) struct SwitchJob<'a> {
    /// The limb of its digits.
    pub(crate) digits: &'a [&'a [u64]],
    /// Where both polynomials go.
    pub(crate) out: [&'a mut [u64]; 2],
}

/// Bytes of a key that all jobs meet before the next part is read: with the digits of some jobs it fits into a second-level
/// cache.
const KEY_PART: usize = 192 << 10;

/// out <- sum_d digit_d key_d in limb t of every job; each word of the key is read from memory once.
pub(crate) fn switch_limb(ctx: &Context, (level, t): (usize, usize), key: &SwitchKey, jobs: &mut [SwitchJob<'_>]) {
    let (m, key, blocks) = (ctx.modulus(level, t), key.limb(level, t), ctx.n / KEY_BLOCK);
    let part = if jobs.len() > 1 { (blocks * KEY_PART).div_ceil(key.bytes.len()) } else { blocks };
    for start in (0..blocks).step_by(part) {
        for SwitchJob { digits, out: [u0, u1] } in &mut *jobs {
            simd::key_dot(ctx.simd, m, digits, key, start..blocks.min(start + part), [u0, u1]);
        }
    }
}

/// A pair of polynomials over QP.
pub(crate) struct ExtendedPair {
    /// Level of the Q part.
    pub(crate) level: usize,
    /// Both polynomials, limb after limb.
    pub(crate) parts: [Poly; 2],
}

impl ExtendedPair {
    /// Zero.
    pub(crate) fn zero(ctx: &Context, level: usize) -> Self {
        let words = ctx.extended_limbs(level) * ctx.n;
        Self { level, parts: [ctx.pool.zeros(words), ctx.pool.zeros(words)] }
    }

    /// One of the two polynomials.
    pub(crate) fn part(&self, ctx: &Context, i: usize) -> Limbs<'_> {
        Limbs::contiguous(&self.parts[i], ctx.n)
    }

    /// Adds rotations of one ciphertext, given by its first polynomial and the digits of its second.
    pub(crate) fn add_rotated(&mut self, ctx: &Context, digits: &Digits<'_>, c0: Addend<'_>, keys: &[&RotationKey]) {
        let level = self.level;
        let [acc0, acc1] = &mut self.parts;
        parallel::each_limb_pair(ctx.n, acc0, acc1, |t, acc0, acc1| {
            let m = ctx.modulus(level, t);
            let mut buffer = ctx.pool.take(Digits::limb_words(ctx, level) + 2 * ctx.n);
            let (buffer, out) = buffer.split_at_mut(Digits::limb_words(ctx, level));
            let (u0, u1) = out.split_at_mut(ctx.n);
            let digits = digits.limb(ctx, t, buffer);
            for rotation in keys {
                let job = SwitchJob { digits: &digits, out: [&mut *u0, &mut *u1] };
                switch_limb(ctx, (level, t), &rotation.key, &mut [job]);
                c0.add_to(ctx, level, t, u0);
                let auto = &rotation.automorphism;
                simd::permute_add(ctx.simd, m, &auto.map, &auto.lanes, u0, acc0);
                simd::permute_add(ctx.simd, m, &auto.map, &auto.lanes, u1, acc1);
            }
        });
    }
}

/// The first polynomial of a ciphertext, in the form its key switch is added to.
#[derive(Clone, Copy)]
pub(crate) enum Addend<'a> {
    /// Over QP, already a multiple of P.
    Extended(Limbs<'a>),
    /// Over Q; the key switch carries a factor P, so this gets it too.
    TimesP(Limbs<'a>),
}

impl Addend<'_> {
    /// Adds limb t to x.
    pub(crate) fn add_to(self, ctx: &Context, level: usize, t: usize, x: &mut [u64]) {
        match self {
            Self::Extended(c0) => simd::add_assign(ctx.simd, ctx.modulus(level, t), x, c0.at(t)),
            Self::TimesP(c0) => {
                // P vanishes modulo the special primes.
                if let Some(&p) = ctx.p_mod_q[..=level].get(t) {
                    simd::add_scaled(ctx.simd, &ctx.tables[t].modulus, x, c0.at(t), p);
                }
            }
        }
    }
}
