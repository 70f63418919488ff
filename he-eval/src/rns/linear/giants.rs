//! From partial sums to outputs: giant steps, and the divisions that end a linear step.

use striae_cost_model::PartialSum;

use crate::HeError;
use crate::rns::basis::Limbs;
use crate::rns::keyswitch::{Addend, Digits, SwitchJob, switch_limb};
use crate::rns::parallel;
use crate::rns::pool::Poly;
use crate::rns::simd;

use super::run::{Run, Sums};

/// Giant steps that are decomposed together: enough to share a key among outputs and to keep all threads busy.
const TOGETHER: usize = 8;

/// Outputs that are summed from more than one partial sum: limb after limb, in each limb output after output, of each both
/// polynomials.
pub(crate) struct Accumulators {
    data: Poly,
    stride: usize,
    /// Place of each output, if it has one.
    places: Vec<Option<usize>>,
}

impl Accumulators {
    fn part(&self, place: usize, part: usize, n: usize) -> Limbs<'_> {
        Limbs::strided(&self.data, (2 * place + part) * n, self.stride, n)
    }
}

/// A partial sum that is rotated.
struct Giant<'s> {
    index: usize,
    sum: &'s PartialSum,
}

impl Run<'_> {
    /// All outputs.
    pub(super) fn outputs(&self, sums: &Sums) -> Result<Vec<[Poly; 2]>, HeError> {
        let acc = self.accumulate(sums);
        parallel::collect(self.checked.plan.outputs, |o| self.divide(sums, &acc, o))
    }

    /// Giant steps and sums of the outputs that need them.
    pub(crate) fn accumulate(&self, sums: &Sums) -> Accumulators {
        let (ctx, level) = (self.ctx, self.weights.level);
        let mut acc = self.unrotated_sums(sums);
        let all = self.checked.sums.iter().enumerate();
        let mut giants: Vec<Giant<'_>> =
            all.filter(|(_, sum)| sum.giant != 0).map(|(index, sum)| Giant { index, sum }).collect();
        giants.sort_by_key(|g| (g.sum.giant, g.sum.output));
        for together in giants.chunks(TOGETHER) {
            self.tally.count(|c| c.giant_steps += together.len() as u64);
            // Sums in QP are divided by P before they are decomposed.
            let divided: Vec<Option<Poly>> = (together.iter())
                .map(|g| g.sum.extended.then(|| ctx.levels[level].mod_down.divide(ctx, sums.part(g.index, 1, ctx.n))))
                .collect();
            let digits: Vec<Digits<'_>> = (together.iter().zip(&divided))
                .map(|(g, divided)| match divided {
                    Some(c1) => Digits::new(ctx, level, Limbs::contiguous(c1, ctx.n)),
                    None => Digits::new(ctx, level, sums.part(g.index, 1, ctx.n)),
                })
                .collect();
            let stride = acc.stride;
            let places = &acc.places;
            parallel::each_limb(stride, &mut acc.data, |t, out| {
                for same in by_key(together) {
                    self.add_giants(t, &together[same.clone()], &digits[same], sums, places, out);
                }
            });
        }
        acc
    }

    /// The sums that are not rotated, at the place of their output; zero where there is none.
    fn unrotated_sums(&self, sums: &Sums) -> Accumulators {
        let (ctx, n, level) = (self.ctx, self.ctx.n, self.weights.level);
        let (mut places, mut count) = (vec![None; self.checked.plan.outputs], 0);
        for own in self.checked.sums.chunk_by(|a, b| a.output == b.output) {
            if own.len() > 1 || own[0].giant != 0 {
                places[own[0].output] = Some(count);
                count += 1;
            }
        }
        let stride = 2 * count * n;
        let limbs = if count > 0 { ctx.extended_limbs(level) } else { 0 };
        let mut data = ctx.pool.zeros(limbs * stride);
        if count > 0 {
            parallel::each_limb(stride, &mut data, |t, out| {
                for (index, sum) in self.checked.sums.iter().enumerate().filter(|(_, sum)| sum.giant == 0) {
                    let Some(place) = places[sum.output] else { continue };
                    for (c, out) in out[2 * place * n..][..2 * n].chunks_exact_mut(n).enumerate() {
                        let part = sums.part(index, c, n);
                        let addend = if sum.extended { Addend::Extended(part) } else { Addend::TimesP(part) };
                        addend.add_to(ctx, level, t, out);
                    }
                }
            });
        }
        Accumulators { data, stride, places }
    }

    /// Adds to limb t of the outputs the rotations of sums that share a key.
    fn add_giants(
        &self,
        t: usize,
        giants: &[Giant<'_>],
        digits: &[Digits<'_>],
        sums: &Sums,
        places: &[Option<usize>],
        out: &mut [u64],
    ) {
        let (ctx, n, level) = (self.ctx, self.ctx.n, self.weights.level);
        let (key, limb_words) = (self.keys[&giants[0].sum.giant], Digits::limb_words(ctx, level));
        let mut scratch = ctx.pool.take(giants.len() * (limb_words + 2 * n));
        let (digit_words, switched) = scratch.split_at_mut(giants.len() * limb_words);
        let of_limb = digits.iter().zip(digit_words.chunks_exact_mut(limb_words));
        let digits: Vec<Vec<&[u64]>> = of_limb.map(|(digits, words)| digits.limb(ctx, t, words)).collect();
        let outs = switched.chunks_exact_mut(2 * n).map(|out| out.split_at_mut(n));
        let mut jobs: Vec<SwitchJob<'_>> =
            digits.iter().zip(outs).map(|(digits, (u0, u1))| SwitchJob { digits, out: [u0, u1] }).collect();
        switch_limb(ctx, (level, t), &key.key, &mut jobs);
        for (giant, job) in giants.iter().zip(&mut jobs) {
            let Some(place) = places[giant.sum.output] else { continue };
            let c0 = sums.part(giant.index, 0, n);
            let c0 = if giant.sum.extended { Addend::Extended(c0) } else { Addend::TimesP(c0) };
            c0.add_to(ctx, level, t, job.out[0]);
            let auto = &key.automorphism;
            for (u, out) in job.out.iter().zip(out[2 * place * n..][..2 * n].chunks_exact_mut(n)) {
                simd::permute_add(ctx.simd, ctx.modulus(level, t), &auto.map, &auto.lanes, u, out);
            }
        }
    }

    /// Division of one output, by P too if anything of it lived in QP.
    fn divide(&self, sums: &Sums, acc: &Accumulators, o: usize) -> Result<[Poly; 2], HeError> {
        let (ctx, n) = (self.ctx, self.ctx.n);
        let constants = &ctx.levels[self.weights.level];
        let mut own = self.checked.sums.iter().enumerate().filter(|(_, s)| s.output == o);
        let in_qp = own.clone().any(|(_, s)| s.extended || s.giant != 0) || acc.places[o].is_some();
        self.tally.count(|c| {
            c.rescales += 1;
            c.mod_downs += u64::from(in_qp);
        });
        let division = if in_qp { &constants.mod_down_rescale } else { &constants.rescale };
        let Some(division) = division else { return Err(HeError::LevelExhausted { op: "linear" }) };
        let only = own.next().map_or(0, |(index, _)| index);
        let part = |c| acc.places[o].map_or_else(|| sums.part(only, c, n), |place| acc.part(place, c, n));
        Ok(division.divide_pair(ctx, [part(0), part(1)]))
    }
}

/// Runs of giants that share a rotation.
fn by_key(giants: &[Giant<'_>]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut start = 0;
    giants.chunk_by(|a, b| a.sum.giant == b.sum.giant).map(move |same| {
        start += same.len();
        start - same.len()..start
    })
}
