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
use super::simd::{self, PADDING};

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

    /// Adds P x to the first polynomial (or the second), x over Q.
    pub(crate) fn add_times_p(&mut self, ctx: &Context, part: usize, x: Limbs<'_>) {
        let words = (self.level + 1) * ctx.n;
        parallel::each_limb(ctx.n, &mut self.parts[part][..words], |t, out| {
            simd::add_scaled(ctx.simd, &ctx.tables[t].modulus, out, x.at(t), ctx.p_mod_q[t]);
        });
    }

    /// Adds x over QP to both polynomials.
    pub(crate) fn add(&mut self, ctx: &Context, x: [Limbs<'_>; 2]) {
        let level = self.level;
        for (part, x) in self.parts.iter_mut().zip(x) {
            parallel::each_limb(ctx.n, part, |t, out| {
                simd::add_assign(ctx.simd, ctx.modulus(level, t), out, x.at(t));
            });
        }
    }

    /// Adds the key switch of decomposed c1, without a rotation.
    pub(crate) fn add_switched(&mut self, ctx: &Context, digits: &Digits<'_>, key: &SwitchKey) {
        let level = self.level;
        let [acc0, acc1] = &mut self.parts;
        parallel::each_limb_pair(ctx.n, acc0, acc1, |t, acc0, acc1| {
            let m = ctx.modulus(level, t);
            let mut buffer = ctx.pool.take(Digits::limb_words(ctx, level) + 2 * ctx.n);
            let (buffer, out) = buffer.split_at_mut(Digits::limb_words(ctx, level));
            let (u0, u1) = out.split_at_mut(ctx.n);
            let digits = digits.limb(ctx, t, buffer);
            simd::key_dot(ctx.simd, m, &digits, key.limb(level, t), u0, u1);
            simd::add_assign(ctx.simd, m, acc0, u0);
            simd::add_assign(ctx.simd, m, acc1, u1);
        });
    }

    /// Adds the rotation of a partial sum, which lives in QP (`extended`) or in Q.
    pub(crate) fn add_giant(&mut self, ctx: &Context, sum: [Limbs<'_>; 2], extended: bool, key: &RotationKey) {
        if extended {
            let c1 = ctx.levels[self.level].mod_down.divide(ctx, sum[1]);
            let digits = Digits::new(ctx, self.level, Limbs::contiguous(&c1, ctx.n));
            self.add_rotated(ctx, &digits, Addend::Extended(sum[0]), &[key]);
        } else {
            let digits = Digits::new(ctx, self.level, sum[1]);
            self.add_rotated(ctx, &digits, Addend::TimesP(sum[0]), &[key]);
        }
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
                simd::key_dot(ctx.simd, m, &digits, rotation.key.limb(level, t), u0, u1);
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
