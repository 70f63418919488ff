//! Encoded diagonals and how they are stored.

use striae_cost_model::{LinearPlan, PartialSum};

use crate::HeError;
use crate::backend::CheckedPlan;
use crate::rns::ciphertext::{check_level, lift_coefficients};
use crate::rns::context::Context;
use crate::rns::parallel;
use crate::rns::simd::Tiling;

/// Diagonals encoded in one batch: bounds the memory of their coefficients.
const BATCH: usize = 32;

/// The encoded diagonals of a plan.
///
/// Transformed, packed and cut into tiles (see `simd::dot`): per limb tile after tile, in each tile term after term.
#[derive(Clone, Debug)]
pub struct RnsLinear {
    pub(super) level: usize,
    pub(super) scale: f64,
    /// Fingerprint of the plan.
    pub(super) plan: u64,
    pub(super) limbs: Vec<Vec<u8>>,
}

impl RnsLinear {
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
        self.limbs.iter().map(Vec::len).sum()
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
    let limb_bytes = |t: usize| counts[usize::from(t > level)] * Tiling::count(ctx.n) * ctx.tiling(level, t).bytes();
    let mut limbs: Vec<Vec<u8>> = (0..limb_count).map(|t| vec![0; limb_bytes(t)]).collect();
    let log_q = ctx.log_modulus(level);
    for start in (0..plan.terms.len()).step_by(BATCH) {
        let batch = BATCH.min(plan.terms.len() - start);
        let coefficients = parallel::collect(batch, |k| {
            let mut slots = vec![0.0; ctx.slots()];
            fill(start + k, &mut slots);
            ctx.encoder.encode(&slots, scale, level, log_q)
        })?;
        parallel::each(&mut limbs, |t, limb| {
            let (special, tiling) = (usize::from(t > level), ctx.tiling(level, t));
            let mut values = ctx.pool.take(ctx.n);
            for (k, coefficients) in coefficients.iter().enumerate() {
                let Some(place) = places[special][start + k] else { continue };
                lift_coefficients(ctx, ctx.prime_of_limb(level, t), coefficients, &mut values);
                for (tile, out) in limb.chunks_exact_mut(counts[special] * tiling.bytes()).enumerate() {
                    tiling.pack(&values, tile, &mut out[place * tiling.bytes()..][..tiling.bytes()]);
                }
            }
        });
    }
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
        let params: CkksParams = "N=2^11 Q=36,26,33 P=46 scale=2^26 insecure".parse().unwrap();
        let (_, backend) =
            RnsBackend::keygen(&params, &KeyPlan::up_to(params.max_level(), [1]), Seed::Fixed(0)).unwrap();
        let plan = |babies: Vec<u32>| {
            let term = |baby| Term { output: 0, giant: 0, input: 0, baby };
            let terms = (0..babies.len() as u16).map(term).collect();
            LinearPlan { inputs: 1, outputs: 1, babies: vec![babies], giants: vec![0], terms, folds: vec![] }
        };
        for (babies, extended) in [(vec![1], true), (vec![0], false)] {
            let encoded = backend.encode_linear(&plan(babies), 2, 1e6, &|_, slots| slots.fill(0.5)).unwrap();
            assert_eq!(encoded.bytes() as u64, params.diagonal_bytes(2, extended));
        }
    }
}
