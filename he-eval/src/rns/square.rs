//! Squares: ct^2, relinearised and rescaled, several at a time so that the relinearisation key is read once for them.

use crate::HeError;

use super::basis::Limbs;
use super::ciphertext::RnsCiphertext;
use super::context::Context;
use super::evaluator::RnsBackend;
use super::keyswitch::{Addend, Digits, SwitchJob, switch_limb};
use super::parallel;
use super::pool::Poly;
use super::simd;

/// Ciphertexts of one level that are squared together.
const TOGETHER: usize = 8;

/// The squares of ciphertexts, in order.
pub(crate) fn square_all(backend: &RnsBackend, cts: &[RnsCiphertext]) -> Result<Vec<RnsCiphertext>, HeError> {
    let mut squares = Vec::with_capacity(cts.len());
    for same in cts.chunk_by(|a, b| a.level == b.level) {
        for together in same.chunks(TOGETHER) {
            squares.extend(squares_of(backend, together)?);
        }
    }
    Ok(squares)
}

/// The squares of ciphertexts of one level.
fn squares_of(backend: &RnsBackend, cts: &[RnsCiphertext]) -> Result<Vec<RnsCiphertext>, HeError> {
    let (ctx, level) = (&*backend.ctx, cts[0].level);
    let (n, stride) = (ctx.n, 2 * cts.len() * ctx.n);
    let Some(division) = &ctx.levels[level].mod_down_rescale else {
        return Err(HeError::LevelExhausted { op: "square" });
    };
    let key = backend.keys.relinearisation(level)?;
    backend.tally.count(|c| c.squares += cts.len() as u64);
    let products: Vec<[Poly; 3]> = cts.iter().map(|ct| products(ctx, ct)).collect();
    let digits: Vec<Digits<'_>> =
        products.iter().map(|p| Digits::new(ctx, level, Limbs::contiguous(&p[2], n))).collect();
    let mut acc = ctx.pool.take(ctx.extended_limbs(level) * stride);
    parallel::each_limb(stride, &mut acc, |t, out| {
        let limb_words = Digits::limb_words(ctx, level);
        let mut words = ctx.pool.take(cts.len() * limb_words);
        let of_limb = digits.iter().zip(words.chunks_exact_mut(limb_words));
        let digits: Vec<Vec<&[u64]>> = of_limb.map(|(digits, words)| digits.limb(ctx, t, words)).collect();
        let outs = out.chunks_exact_mut(2 * n).map(|out| out.split_at_mut(n));
        let mut jobs: Vec<SwitchJob<'_>> =
            digits.iter().zip(outs).map(|(digits, (u0, u1))| SwitchJob { digits, out: [u0, u1] }).collect();
        switch_limb(ctx, (level, t), key, &mut jobs);
        for (job, products) in jobs.iter_mut().zip(&products) {
            for (out, product) in job.out.iter_mut().zip(products) {
                Addend::TimesP(Limbs::contiguous(product, n)).add_to(ctx, level, t, out);
            }
        }
    });
    let modulus = ctx.tables[level].modulus.value() as f64;
    parallel::collect(cts.len(), |i| {
        let part = |c| division.divide(ctx, Limbs::strided(&acc, (2 * i + c) * n, stride, n));
        let scale = cts[i].scale * cts[i].scale / modulus;
        Ok(RnsCiphertext { parts: [part(0), part(1)], level: level - 1, scale })
    })
}

/// (c0^2, 2 c0 c1, c1^2).
fn products(ctx: &Context, ct: &RnsCiphertext) -> [Poly; 3] {
    let [mut c0, mut c1] = ct.parts.clone();
    let mut c2 = ctx.pool.take(c0.len());
    let mut limbs: Vec<[&mut [u64]; 3]> = c0
        .chunks_exact_mut(ctx.n)
        .zip(c1.chunks_exact_mut(ctx.n))
        .zip(c2.chunks_exact_mut(ctx.n))
        .map(|((a, b), c)| [a, b, c])
        .collect();
    parallel::each(&mut limbs, |t, [c0, c1, c2]| {
        simd::square(ctx.simd, &ctx.tables[t].modulus, c0, c1, c2);
    });
    [c0, c1, c2]
}
