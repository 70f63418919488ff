//! Encoded diagonals and how they are stored.
//!
//! Equal and constant diagonals are stored like any others: with random weights they are 0.06 % of the bytes of hefnet-g8
//! and none of those of lenet-like-g8 and -g32, vgg5-g8, strianet-mnist and strianet-cifar10-exrot-free.

use striae_cost_model::{LinearPlan, PartialSum};

use crate::HeError;
use crate::backend::CheckedPlan;
use crate::rns::ciphertext::{check_level, lift_coefficients};
use crate::rns::context::Context;
use crate::rns::encoder::Coefficients;
use crate::rns::parallel;
use crate::rns::simd::Tiling;

use super::sink::Sink;
use super::space::WeightSpace;
use super::stored::Stored;

/// The encoded diagonals of a plan.
///
/// Transformed, packed and cut into tiles (see `simd::dot`): per limb tile after tile, in each tile term after term.
#[derive(Clone, Debug)]
pub struct RnsLinear {
    pub(super) level: usize,
    pub(super) scale: f64,
    /// Fingerprint of the plan.
    pub(super) plan: u64,
    pub(super) limbs: Vec<Stored>,
}

impl RnsLinear {
    /// Level at which inputs are multiplied.
    pub(crate) const fn level(&self) -> usize {
        self.level
    }

    /// Diagonals of limb t.
    pub(crate) fn limb(&self, t: usize) -> &[u8] {
        &self.limbs[t]
    }

    /// Limbs the diagonals are held in.
    pub(crate) fn limb_count(&self) -> usize {
        self.limbs.len()
    }

    /// Bytes of all diagonals.
    pub fn bytes(&self) -> usize {
        self.limbs.iter().map(|limb| limb.len()).sum()
    }

    /// Bytes of the diagonals that are held in memory; those in a mapped file are the system's to keep or drop.
    pub fn held_bytes(&self) -> usize {
        self.limbs.iter().map(Stored::held).sum()
    }
}

/// What a term multiplies in one limb.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operand {
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
pub(super) fn limb_terms(checked: &CheckedPlan<'_>, special: bool) -> Vec<Vec<(usize, Operand)>> {
    let of_sum = |sum: &PartialSum| {
        let all = sum.terms.clone().map(|i| (i, operand(checked.plan, sum, i)));
        all.filter(|(_, o)| !special || matches!(o, Operand::Rotated(..))).collect()
    };
    checked.sums.iter().map(of_sum).collect()
}

/// The places of a plan's terms in its limbs.
struct Layout<'c> {
    ctx: &'c Context,
    level: usize,
    /// Place of each term among those of a limb of Q and of P; in P only the rotated ones have one.
    places: [Vec<Option<usize>>; 2],
    /// Terms of a limb of Q and of P.
    counts: [usize; 2],
}

impl<'c> Layout<'c> {
    fn new(ctx: &'c Context, checked: &CheckedPlan<'_>, level: usize) -> Self {
        let places = [false, true].map(|special| {
            let mut place = vec![None; checked.plan.terms.len()];
            limb_terms(checked, special).iter().flatten().enumerate().for_each(|(k, (i, _))| place[*i] = Some(k));
            place
        });
        let counts = places.each_ref().map(|p| p.iter().flatten().count());
        Self { ctx, level, places, counts }
    }

    fn special(&self, t: usize) -> usize {
        usize::from(t > self.level)
    }

    /// Bytes of all terms of limb t in one tile.
    fn tile(&self, t: usize) -> usize {
        self.counts[self.special(t)] * self.ctx.tiling(self.level, t).bytes()
    }

    /// Bytes of each limb.
    fn sizes(&self) -> Vec<usize> {
        let limbs = if self.counts[1] > 0 { self.ctx.extended_limbs(self.level) } else { self.level + 1 };
        (0..limbs).map(|t| Tiling::count(self.ctx.n) * self.tile(t)).collect()
    }

    /// Transforms and packs a batch of diagonals, those of the terms from `start` on, and hands it to limb t.
    fn put(&self, t: usize, start: usize, batch: &[Coefficients], sink: &mut Sink<'_>) -> std::io::Result<()> {
        let (ctx, tiling) = (self.ctx, self.ctx.tiling(self.level, t));
        // Terms are placed in their order, so those of a batch stand side by side.
        let places = &self.places[self.special(t)][start..][..batch.len()];
        let Some(first) = places.iter().flatten().next() else { return Ok(()) };
        let run = places.iter().flatten().count() * tiling.bytes();
        let mut runs = vec![0; Tiling::count(ctx.n) * run];
        let mut values = ctx.pool.take(ctx.n);
        for (coefficients, place) in batch.iter().zip(places) {
            let Some(place) = place else { continue };
            lift_coefficients(ctx, ctx.prime_of_limb(self.level, t), coefficients, &mut values);
            for (tile, out) in runs.chunks_exact_mut(run).enumerate() {
                tiling.pack(&values, tile, &mut out[(place - first) * tiling.bytes()..][..tiling.bytes()]);
            }
        }
        sink.put(self.tile(t), first * tiling.bytes(), run, &runs)
    }
}

/// Encodes the diagonals of a plan, or takes them from where they are already.
pub(crate) fn encode_linear(
    ctx: &Context,
    space: &mut WeightSpace,
    plan: &LinearPlan,
    (level, scale): (usize, f64),
    fill: &(dyn Fn(usize, &mut [f64]) + Sync),
) -> Result<RnsLinear, HeError> {
    let checked = CheckedPlan::new(plan, ctx.slots())?;
    check_level(ctx, "encode_linear", level)?;
    let layout = Layout::new(ctx, &checked, level);
    let limbs = space.store((level, scale), &layout.sizes(), |sinks| {
        let log_q = ctx.log_modulus(level);
        let step = sinks[0].batch(ctx.n);
        let mut sinks: Vec<_> = sinks.iter_mut().map(|sink| (sink, Ok(()))).collect();
        for start in (0..plan.terms.len()).step_by(step) {
            let batch = parallel::collect(step.min(plan.terms.len() - start), |k| {
                let mut slots = vec![0.0; ctx.slots()];
                fill(start + k, &mut slots);
                ctx.encoder.encode(&slots, scale, level, log_q)
            })?;
            parallel::each(&mut sinks, |t, (sink, result)| *result = layout.put(t, start, &batch, sink));
            if let Some(e) = sinks.iter().find_map(|(_, result)| result.as_ref().err()) {
                return Err(HeError::weight_file(e));
            }
        }
        Ok(())
    })?;
    Ok(RnsLinear { level, scale, plan: checked.fingerprint(), limbs })
}

#[cfg(test)]
mod tests {
    use striae_cost_model::{CkksParams, KeyPlan, Term};

    use super::*;
    use crate::backend::HeBackend;
    use crate::rns::{RnsBackend, Seed};

    #[test]
    fn bytes_are_those_of_the_cost_model() {
        for ring in ["", " ring=conjugate-invariant"] {
            let params: CkksParams = format!("N=2^11 Q=36,26,33 P=46 scale=2^26{ring} insecure").parse().unwrap();
            let keys = KeyPlan::up_to(params.max_level(), [1]);
            let (_, backend) = RnsBackend::keygen(&params, &keys, Seed::Fixed(0)).unwrap();
            let plan = |babies: Vec<u32>| {
                let term = |baby| Term { output: 0, giant: 0, input: 0, baby };
                let terms = (0..babies.len() as u16).map(term).collect();
                LinearPlan { inputs: 1, outputs: 1, babies: vec![babies], giants: vec![0], terms, folds: vec![] }
            };
            for (babies, extended) in [(vec![1], true), (vec![0], false)] {
                let encoded = backend.encode_linear(&plan(babies), 2, 1e6, &|_, slots| slots.fill(0.5)).unwrap();
                assert_eq!(encoded.bytes() as u64, params.diagonal_bytes(2, extended), "{params}");
            }
        }
    }
}
