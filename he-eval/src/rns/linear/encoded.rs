//! Encoded diagonals and how they are stored.

use striae_cost_model::{LinearPlan, PartialSum};

use crate::HeError;
use crate::backend::CheckedPlan;
use crate::rns::ciphertext::{check_level, lift_coefficients};
use crate::rns::context::Context;
use crate::rns::parallel;
use crate::rns::simd::TILE;

/// Diagonals encoded in one batch: bounds the memory of their coefficients.
const BATCH: usize = 32;

/// The encoded diagonals of a plan.
///
/// Of every transformed diagonal the first half is kept (see `ntt`), cut into tiles: per limb tile after tile, in each
/// tile term after term.
#[derive(Clone, Debug)]
pub struct RnsLinear {
    pub(super) level: usize,
    pub(super) scale: f64,
    /// Fingerprint of the plan.
    pub(super) plan: u64,
    pub(super) limbs: Vec<Vec<u64>>,
}

impl RnsLinear {
    /// Diagonals of limb t.
    pub(crate) fn limb(&self, t: usize) -> &[u64] {
        &self.limbs[t]
    }

    /// Limbs the diagonals are held in.
    pub(crate) fn limb_count(&self) -> usize {
        self.limbs.len()
    }

    /// Bytes of all diagonals.
    pub fn bytes(&self) -> usize {
        8 * self.limbs.iter().map(Vec::len).sum::<usize>()
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
    Ok(RnsLinear { level, scale, plan: checked.fingerprint(), limbs })
}
