//! What the diagonals of a limb multiply: inputs as they are, and their rotations.

use crate::rns::keyswitch::{Addend, Digits, SwitchJob, switch_limb};
use crate::rns::simd;

use super::encoded::Operand;
use super::run::Run;
use super::terms::IndexedTerms;

/// Inputs whose digits are held at a time: each key is read from memory once for so many inputs.
const INPUTS: usize = 8;

impl Run<'_> {
    /// Makes the operands of limb t, tiled.
    pub(super) fn make_operands(&self, t: usize, terms: &IndexedTerms, buffer: &mut [u64]) {
        self.unrotated(t, terms, buffer);
        for first in (0..self.inputs.len()).step_by(INPUTS) {
            if self.digits[first..].iter().take(INPUTS).any(Option::is_some) {
                self.rotated(t, terms, first, buffer);
            }
        }
    }

    fn unrotated(&self, t: usize, terms: &IndexedTerms, buffer: &mut [u64]) {
        let (ctx, n, level) = (self.ctx, self.ctx.n, self.weights.level);
        let tiling = ctx.tiling(level, t);
        let mut scaled = ctx.pool.take(n);
        for (place, operand) in terms.operands.iter().enumerate() {
            let mut spread = |c, x: &[u64]| tiling.spread(x, 2 * place + c, terms.operands.len(), buffer);
            match *operand {
                Operand::Plain(i) => (0..2).for_each(|c| spread(c, self.inputs[i].part(c, n).at(t))),
                Operand::TimesP(i) => {
                    for c in 0..2 {
                        scaled.copy_from_slice(self.inputs[i].part(c, n).at(t));
                        simd::scale_add(ctx.simd, ctx.modulus(level, t), &mut scaled, ctx.p_mod_q[t], 0);
                        spread(c, &scaled);
                    }
                }
                Operand::Rotated(..) => {}
            }
        }
    }

    /// The rotations of the inputs from `first` on: their digits are made once and serve all rotations, and each key
    /// serves all inputs.
    fn rotated(&self, t: usize, terms: &IndexedTerms, first: usize, buffer: &mut [u64]) {
        let (ctx, n, level) = (self.ctx, self.ctx.n, self.weights.level);
        let inputs = first..self.inputs.len().min(first + INPUTS);
        let (tiling, limb_words) = (ctx.tiling(level, t), Digits::limb_words(ctx, level));
        let mut scratch = ctx.pool.take(inputs.len() * (limb_words + 2 * n) + n);
        let (digit_words, rest) = scratch.split_at_mut(inputs.len() * limb_words);
        let (switched, turned) = rest.split_at_mut(inputs.len() * 2 * n);
        let with_buffer = self.digits[inputs.clone()].iter().zip(digit_words.chunks_exact_mut(limb_words));
        let digits: Vec<Vec<&[u64]>> =
            with_buffer.map(|(d, words)| d.as_ref().map(|d| d.limb(ctx, t, words)).unwrap_or_default()).collect();
        for (rotation, uses) in &terms.rotations {
            let key = self.keys[rotation];
            let uses = || uses.iter().filter(|(input, _)| inputs.contains(input));
            let outs = switched.chunks_exact_mut(2 * n).map(|out| out.split_at_mut(n));
            let mut jobs: Vec<SwitchJob<'_>> = uses()
                .zip(outs)
                .map(|((i, _), (u0, u1))| SwitchJob { digits: &digits[i - first], out: [u0, u1] })
                .collect();
            switch_limb(ctx, (level, t), &key.key, &mut jobs);
            for (&(input, place), job) in uses().zip(&mut jobs) {
                Addend::TimesP(self.inputs[input].part(0, n)).add_to(ctx, level, t, job.out[0]);
                for (c, u) in job.out.iter().enumerate() {
                    simd::permute(ctx.simd, &key.automorphism.map, &key.automorphism.lanes, u, turned);
                    tiling.spread(turned, 2 * place + c, terms.operands.len(), buffer);
                }
            }
        }
    }
}
