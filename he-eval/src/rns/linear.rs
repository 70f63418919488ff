//! Linear operators as one unit (double hoisting: Bossuat, Mouchet, Troncoso-Pastoriza and Hubaux, 2021).
//!
//! Every input is decomposed once; its rotations stay in QP, are multiplied by diagonals encoded in QP and accumulated
//! lazily; each giant step costs one division by P of one polynomial, each output one division by P and by the rescaling
//! prime together. Sums that read only unrotated inputs never leave Q.
//!
//! The accumulation runs limb by limb, so that the rotated inputs of one limb are all that is held at a time, and tile by
//! tile, so that they stay in cache while the diagonals stream past exactly in the order they are stored.

use striae_cost_model::{LinearPlan, PartialSum};

use crate::HeError;
use crate::backend::CheckedPlan;

use super::basis::Limbs;
use super::ciphertext::{RnsCiphertext, check_level, lift_coefficients};
use super::context::Context;
use super::evaluator::RnsBackend;
use super::keys::RotationKey;
use super::keyswitch::{Addend, Digits, ExtendedPair};
use super::parallel;
use super::pool::Poly;
use super::simd::{self, TILE};

/// Diagonals encoded in one batch: bounds the memory of their coefficients.
const BATCH: usize = 32;

/// The encoded diagonals of a plan.
///
/// Of every transformed diagonal the first half is kept (see `ntt`), cut into tiles: per limb tile after tile, in each
/// tile term after term.
#[derive(Clone, Debug)]
pub struct RnsLinear {
    level: usize,
    scale: f64,
    terms: usize,
    limbs: Vec<Vec<u64>>,
}

impl RnsLinear {
    /// Bytes of all diagonals.
    pub fn bytes(&self) -> usize {
        8 * self.limbs.iter().map(Vec::len).sum::<usize>()
    }
}

/// What a term multiplies in one limb.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operand {
    /// The input as it is, for sums in Q.
    Plain(usize),
    /// P times the input, for sums in QP; zero modulo the special primes.
    TimesP(usize),
    /// A rotation of the input in QP.
    Rotated(usize, u32),
}

fn operand(plan: &LinearPlan, sum: &PartialSum, term: usize) -> Operand {
    let t = plan.terms[term];
    match plan.babies[t.input as usize][t.baby as usize] {
        0 if sum.extended => Operand::TimesP(t.input as usize),
        0 => Operand::Plain(t.input as usize),
        r => Operand::Rotated(t.input as usize, r),
    }
}

/// The terms that matter in a limb, by sum: all of them in Q, the rotated ones in P.
fn limb_terms(checked: &CheckedPlan<'_>, special: bool) -> Vec<Vec<(usize, Operand)>> {
    let of_sum = |sum: &PartialSum| {
        let all = sum.terms.clone().map(|i| (i, operand(checked.plan, sum, i)));
        all.filter(|(_, o)| !special || matches!(o, Operand::Rotated(..))).collect()
    };
    checked.sums.iter().map(of_sum).collect()
}

/// Encodes the diagonals of a plan.
pub(crate) fn encode_linear(
    ctx: &Context,
    plan: &LinearPlan,
    level: usize,
    scale: f64,
    fill: &(dyn Fn(usize, &mut [f64]) + Sync),
) -> Result<RnsLinear, HeError> {
    let checked = CheckedPlan::new(plan, ctx.slots())?;
    check_level(ctx, "encode_linear", level)?;
    // Place of each term among those of a limb, for the limbs of Q and of P.
    let places = [false, true].map(|special| {
        let mut place = vec![None; plan.terms.len()];
        limb_terms(&checked, special).iter().flatten().enumerate().for_each(|(k, (i, _))| place[*i] = Some(k));
        place
    });
    let counts = places.each_ref().map(|p| p.iter().flatten().count());
    let limb_count = if counts[1] > 0 { ctx.extended_limbs(level) } else { level + 1 };
    let half = ctx.n / 2;
    let mut limbs: Vec<Vec<u64>> = (0..limb_count).map(|t| vec![0; counts[usize::from(t > level)] * half]).collect();
    let log_q = ctx.log_modulus(level);
    for start in (0..plan.terms.len()).step_by(BATCH) {
        let batch = BATCH.min(plan.terms.len() - start);
        let coefficients = parallel::collect(batch, |k| {
            let mut slots = vec![0.0; ctx.slots()];
            fill(start + k, &mut slots);
            ctx.encoder.encode(&slots, scale, level, log_q)
        })?;
        parallel::each(&mut limbs, |t, limb| {
            let special = usize::from(t > level);
            let mut values = ctx.pool.take(ctx.n);
            for (k, coefficients) in coefficients.iter().enumerate() {
                let Some(place) = places[special][start + k] else { continue };
                lift_coefficients(ctx, ctx.prime_of_limb(level, t), coefficients, &mut values);
                let tiles = values[..half].chunks_exact(TILE).zip(limb.chunks_exact_mut(counts[special] * TILE));
                tiles.for_each(|(from, tile)| tile[place * TILE..][..TILE].copy_from_slice(from));
            }
        });
    }
    Ok(RnsLinear { level, scale, terms: plan.terms.len(), limbs })
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
    checked.check_weights(weights.terms)?;
    let facts: Vec<(usize, f64)> = inputs.iter().map(|x| (x.level, x.scale)).collect();
    let scale = checked.check_inputs(weights.level, &facts)?;
    let level = weights.level.checked_sub(1).ok_or(HeError::LevelExhausted { op: "linear" })?;
    let key = |&r: &u32| if r == 0 { Ok(None) } else { backend.keys.rotation(r).map(Some) };
    let keys = plan.babies.iter().map(|b| b.iter().map(key).collect()).collect::<Result<Vec<Vec<_>>, _>>()?;
    plan.giants.iter().chain(&plan.folds).try_for_each(|r| key(r).map(drop))?;
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
        let terms = [false, true].map(|special| limb_terms(self.checked, special));
        parallel::each_limb(stride, &mut data, |t, out| {
            self.limb_sums(t, &terms[usize::from(t > level)], out);
        });
        Sums { data, stride }
    }

    /// The sums of one limb.
    fn limb_sums(&self, t: usize, terms: &[Vec<(usize, Operand)>], out: &mut [u64]) {
        let (ctx, n) = (self.ctx, self.ctx.n);
        let mut wanted: Vec<Operand> = terms.iter().flatten().map(|(_, o)| *o).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let made = wanted.iter().filter(|o| !matches!(o, Operand::Plain(_))).count();
        let mut buffer = ctx.pool.take(2 * made * n);
        self.make_operands(t, &wanted, &mut buffer);
        let mut pairs = buffer.chunks_exact(2 * n);
        let operands: Vec<[&[u64]; 2]> = wanted
            .iter()
            .map(|o| match *o {
                Operand::Plain(i) => [self.inputs[i].part(0, n).at(t), self.inputs[i].part(1, n).at(t)],
                Operand::TimesP(_) | Operand::Rotated(..) => {
                    let (x0, x1) = pairs.next().map_or((&[][..], &[][..]), |pair| pair.split_at(n));
                    [x0, x1]
                }
            })
            .collect();
        let place = |o: &Operand| wanted.partition_point(|w| w < o) as u32;
        let total: usize = terms.iter().map(Vec::len).sum();
        let mut next = 0u32;
        let indexed: Vec<Vec<(u32, u32)>> = terms
            .iter()
            .map(|sum| {
                let first = next;
                next += sum.len() as u32;
                (first..).zip(sum).map(|(k, (_, o))| (k, place(o))).collect()
            })
            .collect();
        let m = ctx.modulus(self.weights.level, t);
        let tiles = self.weights.limbs[t].chunks_exact((total * TILE).max(1));
        for (tile, plains) in tiles.enumerate() {
            for (sum, out) in indexed.iter().zip(out.chunks_exact_mut(2 * n)) {
                let (out0, out1) = out.split_at_mut(n);
                simd::dot_mirrored(ctx.simd, m, sum, plains, &operands, tile * TILE, [out0, out1]);
            }
        }
    }

    /// Fills `buffer` with the operands of limb t that are not the inputs themselves, in their order in `wanted`.
    fn make_operands(&self, t: usize, wanted: &[Operand], buffer: &mut [u64]) {
        let (ctx, n, level) = (self.ctx, self.ctx.n, self.weights.level);
        let (m, prime) = (ctx.modulus(level, t), ctx.prime_of_limb(level, t));
        let made: Vec<Operand> = wanted.iter().copied().filter(|o| !matches!(o, Operand::Plain(_))).collect();
        let mut scratch = ctx.pool.take(Digits::limb_words(ctx, level) + 2 * n);
        let (digit_words, switched) = scratch.split_at_mut(Digits::limb_words(ctx, level));
        let (u0, u1) = switched.split_at_mut(n);
        for input in 0..self.inputs.len() {
            // The digits of an input are made once per limb and serve all its rotations.
            let digits = self.digits[input].as_ref().map(|d| d.limb(ctx, t, digit_words)).unwrap_or_default();
            for (operand, pair) in made.iter().zip(buffer.chunks_exact_mut(2 * n)) {
                let (x0, x1) = pair.split_at_mut(n);
                match *operand {
                    Operand::TimesP(i) if i == input => {
                        for (part, x) in [x0, x1].into_iter().enumerate() {
                            x.copy_from_slice(self.inputs[i].part(part, n).at(t));
                            simd::scale_add(ctx.simd, m, x, ctx.p_mod_q[t], 0);
                        }
                    }
                    Operand::Rotated(i, r) if i == input => {
                        let Some(key) = self.key(i, r) else { continue };
                        simd::key_dot(ctx.simd, m, &digits, key.key.limb(prime), u0, u1);
                        Addend::TimesP(self.inputs[i].part(0, n)).add_to(ctx, level, t, u0);
                        let auto = &key.automorphism;
                        simd::permute(ctx.simd, &auto.map, &auto.lanes, u0, x0);
                        simd::permute(ctx.simd, &auto.map, &auto.lanes, u1, x1);
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
            return Ok([0, 1].map(|part| division.divide(ctx, sums.part(s, part, n))));
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
        Ok([0, 1].map(|part| division.divide(ctx, Limbs::contiguous(&acc.parts[part], n))))
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
        let (ctx, level) = (self.ctx, self.weights.level);
        let key = backend.keys.rotation(giant)?;
        backend.tally.count(|c| {
            c.rotations_full += 1;
            c.mod_downs += u64::from(extended);
        });
        if extended {
            let c1 = ctx.levels[level].mod_down.divide(ctx, parts[1]);
            let digits = Digits::new(ctx, level, Limbs::contiguous(&c1, ctx.n));
            acc.add_rotated(ctx, &digits, Addend::Extended(parts[0]), &[key]);
        } else {
            let digits = Digits::new(ctx, level, parts[1]);
            acc.add_rotated(ctx, &digits, Addend::TimesP(parts[0]), &[key]);
        }
        Ok(())
    }
}
