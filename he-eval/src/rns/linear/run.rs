//! Execution of a plan on encoded diagonals.

use striae_cost_model::{LinearPlan, PartialSum};

use crate::HeError;
use crate::backend::CheckedPlan;
use crate::rns::basis::Limbs;
use crate::rns::ciphertext::RnsCiphertext;
use crate::rns::context::Context;
use crate::rns::evaluator::RnsBackend;
use crate::rns::keys::RotationKey;
use crate::rns::keyswitch::{Addend, Digits, ExtendedPair};
use crate::rns::parallel;
use crate::rns::pool::Poly;
use crate::rns::simd::{self, OPERAND_TILE};

use super::encoded::{Operand, RnsLinear, limb_terms};

/// Terms of a limb, their operands numbered.
pub(crate) struct IndexedTerms {
    /// Distinct operands, sorted.
    operands: Vec<Operand>,
    /// By sum: place of the diagonal in a tile, and number of the operand.
    sums: Vec<Vec<(u32, u32)>>,
}

impl IndexedTerms {
    /// Terms of a limb of Q, or of P.
    pub(crate) fn of_limb(checked: &CheckedPlan<'_>, special: bool) -> Self {
        let terms = limb_terms(checked, special);
        let mut operands: Vec<Operand> = terms.iter().flatten().map(|(_, o)| *o).collect();
        operands.sort_unstable();
        operands.dedup();
        let mut places = 0u32..;
        let number = |o: &Operand| operands.partition_point(|other| other < o) as u32;
        let of_sum = |sum: Vec<(usize, Operand)>| places.by_ref().zip(&sum).map(|(k, (_, o))| (k, number(o))).collect();
        let sums = terms.into_iter().map(of_sum).collect();
        Self { operands, sums }
    }

    /// Words of buffer for the operands of a limb.
    pub(crate) fn operand_words(&self, n: usize) -> usize {
        2 * n * self.operands.len()
    }

    /// Multiplies the operands of limb t, tiled, by its diagonals: sum after sum, of each both polynomials.
    pub(crate) fn multiply(
        &self,
        ctx: &Context,
        (level, t): (usize, usize),
        diagonals: &[u8],
        operands: &[u64],
        out: &mut [u64],
    ) {
        let (m, tiling) = (ctx.modulus(level, t), ctx.tiling(level, t));
        let bytes = tiling.bytes() * self.sums.iter().map(Vec::len).sum::<usize>();
        let plains = diagonals.chunks_exact(bytes.max(1));
        let operands = operands.chunks_exact((OPERAND_TILE * self.operands.len()).max(1));
        // Tiled like the operands, so that they are written as one stream, not as four per sum.
        let mut tiled = ctx.pool.take(out.len());
        let tiles = tiled.chunks_exact_mut(OPERAND_TILE * self.sums.len());
        for ((plains, operands), tile) in plains.zip(operands).zip(tiles) {
            for (sum, out) in self.sums.iter().zip(tile.chunks_exact_mut(OPERAND_TILE)) {
                simd::dot(ctx.simd, m, tiling, sum, plains, operands, out);
            }
        }
        for (place, out) in out.chunks_exact_mut(ctx.n).enumerate() {
            tiling.gather(&tiled, place, self.sums.len(), out);
        }
    }
}

/// One execution of a plan.
struct Run<'a> {
    ctx: &'a Context,
    checked: &'a CheckedPlan<'a>,
    weights: &'a RnsLinear,
    inputs: &'a [RnsCiphertext],
    /// For each input its digits, if it is rotated.
    digits: Vec<Option<Digits<'a>>>,
    /// By input and baby; `None` for the unrotated.
    keys: Vec<Vec<Option<&'a RotationKey>>>,
}

/// Executes a plan up to its folds.
pub(crate) fn linear(
    backend: &RnsBackend,
    plan: &LinearPlan,
    weights: &RnsLinear,
    inputs: &[RnsCiphertext],
) -> Result<Vec<RnsCiphertext>, HeError> {
    let ctx = &*backend.ctx;
    let checked = CheckedPlan::new(plan, ctx.slots())?;
    checked.check_weights(weights.plan)?;
    let facts: Vec<(usize, f64)> = inputs.iter().map(|x| (x.level, x.scale)).collect();
    let scale = checked.check_inputs(weights.level, &facts)?;
    let level = weights.level.checked_sub(1).ok_or(HeError::LevelExhausted { op: "linear" })?;
    let key = |&r: &u32| if r == 0 { Ok(None) } else { backend.keys.rotation(r, weights.level).map(Some) };
    let keys = plan.babies.iter().map(|b| b.iter().map(key).collect()).collect::<Result<Vec<Vec<_>>, _>>()?;
    plan.giants.iter().try_for_each(|r| key(r).map(drop))?;
    plan.folds.iter().try_for_each(|&r| backend.keys.rotation(r, level).map(drop))?;
    let digits = (0..inputs.len()).map(|i| {
        checked.is_rotated(i).then(|| {
            backend.tally.count(|c| c.hoists += 1);
            Digits::new(ctx, weights.level, inputs[i].part(1, ctx.n))
        })
    });
    let run = Run { ctx, checked: &checked, weights, inputs, digits: digits.collect(), keys };
    let rotated = run.keys.iter().flatten().flatten().count() as u64;
    let sums = run.partial_sums();
    backend.tally.count(|c| {
        c.rotations_hoisted += rotated;
        c.plain_mults += plan.terms.len() as u64;
        let extended = checked.sums.iter().filter(|s| s.extended);
        c.plain_mults_extended += extended.map(|s| s.terms.len() as u64).sum::<u64>();
    });
    let scale = scale * weights.scale / ctx.tables[weights.level].modulus.value() as f64;
    let output = |o| Ok(RnsCiphertext { parts: run.output(backend, &sums, o)?, level, scale });
    (0..plan.outputs).map(output).collect()
}

/// Partial sums of all limbs: limb after limb, in each limb sum after sum, of each sum both polynomials.
struct Sums {
    data: Poly,
    stride: usize,
}

impl Sums {
    fn part(&self, sum: usize, part: usize, n: usize) -> Limbs<'_> {
        Limbs::strided(&self.data, (2 * sum + part) * n, self.stride, n)
    }
}

impl Run<'_> {
    /// All sums of products, before giant steps.
    fn partial_sums(&self) -> Sums {
        let (ctx, level) = (self.ctx, self.weights.level);
        let stride = 2 * self.checked.sums.len() * ctx.n;
        let limbs = self.weights.limbs.len();
        let mut data = ctx.pool.take(limbs * stride);
        let terms = [false, true].map(|special| IndexedTerms::of_limb(self.checked, special));
        parallel::each_limb(stride, &mut data, |t, out| {
            self.limb_sums(t, &terms[usize::from(t > level)], out);
        });
        Sums { data, stride }
    }

    /// The sums of one limb.
    fn limb_sums(&self, t: usize, terms: &IndexedTerms, out: &mut [u64]) {
        let ctx = self.ctx;
        self.weights.limbs[t].prefetch();
        let mut operands = ctx.pool.take(terms.operand_words(ctx.n));
        self.make_operands(t, &terms.operands, &mut operands);
        terms.multiply(ctx, (self.weights.level, t), &self.weights.limbs[t], &operands, out);
    }

    /// Makes the operands of limb t, tiled.
    fn make_operands(&self, t: usize, wanted: &[Operand], buffer: &mut [u64]) {
        let (ctx, n, level) = (self.ctx, self.ctx.n, self.weights.level);
        let (m, tiling) = (ctx.modulus(level, t), ctx.tiling(level, t));
        let mut scratch = ctx.pool.take(Digits::limb_words(ctx, level) + 3 * n);
        let (digit_words, rest) = scratch.split_at_mut(Digits::limb_words(ctx, level));
        let (switched, turned) = rest.split_at_mut(2 * n);
        for input in 0..self.inputs.len() {
            // The digits of an input are made once per limb and serve all its rotations.
            let digits = self.digits[input].as_ref().map(|d| d.limb(ctx, t, digit_words)).unwrap_or_default();
            let part = |c| self.inputs[input].part(c, n).at(t);
            for (k, operand) in wanted.iter().enumerate() {
                match *operand {
                    Operand::Plain(i) if i == input => {
                        (0..2).for_each(|c| tiling.spread(part(c), 2 * k + c, wanted.len(), buffer));
                    }
                    Operand::TimesP(i) if i == input => {
                        for c in 0..2 {
                            turned.copy_from_slice(part(c));
                            simd::scale_add(ctx.simd, m, turned, ctx.p_mod_q[t], 0);
                            tiling.spread(turned, 2 * k + c, wanted.len(), buffer);
                        }
                    }
                    Operand::Rotated(i, r) if i == input => {
                        let Some(key) = self.key(i, r) else { continue };
                        let (u0, u1) = switched.split_at_mut(n);
                        simd::key_dot(ctx.simd, m, &digits, key.key.limb(level, t), u0, u1);
                        Addend::TimesP(self.inputs[i].part(0, n)).add_to(ctx, level, t, u0);
                        for (c, u) in [u0, u1].into_iter().enumerate() {
                            simd::permute(ctx.simd, &key.automorphism.map, &key.automorphism.lanes, u, turned);
                            tiling.spread(turned, 2 * k + c, wanted.len(), buffer);
                        }
                    }
                    Operand::Plain(_) | Operand::TimesP(_) | Operand::Rotated(..) => {}
                }
            }
        }
    }

    fn key(&self, input: usize, rotation: u32) -> Option<&RotationKey> {
        let baby = self.checked.plan.babies[input].iter().position(|&r| r == rotation)?;
        self.keys[input][baby]
    }

    /// Giant steps and divisions of one output.
    fn output(&self, backend: &RnsBackend, sums: &Sums, o: usize) -> Result<[Poly; 2], HeError> {
        let (ctx, n) = (self.ctx, self.ctx.n);
        let constants = &ctx.levels[self.weights.level];
        let own: Vec<(usize, &PartialSum)> =
            self.checked.sums.iter().enumerate().filter(|(_, s)| s.output == o).collect();
        let in_qp = own.iter().any(|(_, s)| s.extended || s.giant != 0);
        backend.tally.count(|c| {
            c.rescales += 1;
            c.mod_downs += u64::from(in_qp);
        });
        let division = if in_qp { &constants.mod_down_rescale } else { &constants.rescale };
        let Some(division) = division else { return Err(HeError::LevelExhausted { op: "linear" }) };
        if let [(s, PartialSum { giant: 0, .. })] = own[..] {
            return Ok(division.divide_pair(ctx, [0, 1].map(|part| sums.part(s, part, n))));
        }
        let mut acc = ExtendedPair::zero(ctx, self.weights.level);
        for (s, sum) in own {
            let parts = [sums.part(s, 0, n), sums.part(s, 1, n)];
            match (sum.giant, sum.extended) {
                (0, true) => acc.add(ctx, parts),
                (0, false) => (0..2).for_each(|i| acc.add_times_p(ctx, i, parts[i])),
                (giant, extended) => self.giant_step(backend, &mut acc, parts, giant, extended)?,
            }
        }
        Ok(division.divide_pair(ctx, [0, 1].map(|part| acc.part(ctx, part))))
    }

    /// Adds the rotation of one partial sum.
    fn giant_step(
        &self,
        backend: &RnsBackend,
        acc: &mut ExtendedPair,
        parts: [Limbs<'_>; 2],
        giant: u32,
        extended: bool,
    ) -> Result<(), HeError> {
        let key = backend.keys.rotation(giant, self.weights.level)?;
        backend.tally.count(|c| c.giant_steps += 1);
        acc.add_giant(self.ctx, parts, extended, key);
        Ok(())
    }
}
