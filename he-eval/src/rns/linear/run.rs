//! Execution of a plan on encoded diagonals.

use std::collections::BTreeMap;

use striae_cost_model::LinearPlan;

use crate::HeError;
use crate::backend::{CheckedPlan, Tally};
use crate::rns::basis::Limbs;
use crate::rns::ciphertext::RnsCiphertext;
use crate::rns::context::Context;
use crate::rns::evaluator::RnsBackend;
use crate::rns::keys::RotationKey;
use crate::rns::keyswitch::Digits;
use crate::rns::parallel;
use crate::rns::pool::Poly;

use super::encoded::RnsLinear;
use super::terms::IndexedTerms;

/// One execution of a plan.
pub(crate) struct Run<'a> {
    pub(super) ctx: &'a Context,
    pub(super) tally: &'a Tally,
    pub(super) checked: &'a CheckedPlan<'a>,
    pub(super) weights: &'a RnsLinear,
    pub(super) inputs: &'a [RnsCiphertext],
    /// For each input its digits, if it is rotated.
    pub(super) digits: Vec<Option<Digits<'a>>>,
    /// Of all rotations of inputs and partial sums.
    pub(super) keys: BTreeMap<u32, &'a RotationKey>,
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
    plan.folds.iter().try_for_each(|&r| backend.keys.rotation(r, level).map(drop))?;
    let run = Run::new(backend, &checked, weights, inputs)?;
    let outputs = run.outputs(&run.partial_sums())?;
    let scale = scale * weights.scale / ctx.tables[weights.level].modulus.value() as f64;
    Ok(outputs.into_iter().map(|parts| RnsCiphertext { parts, level, scale }).collect())
}

/// Partial sums of all limbs: limb after limb, in each limb sum after sum, of each sum both polynomials.
pub(crate) struct Sums {
    data: Poly,
    stride: usize,
}

impl Sums {
    pub(super) fn part(&self, sum: usize, part: usize, n: usize) -> Limbs<'_> {
        Limbs::strided(&self.data, (2 * sum + part) * n, self.stride, n)
    }
}

impl<'a> Run<'a> {
    /// Finds the keys and decomposes the inputs that are rotated.
    pub(crate) fn new(
        backend: &'a RnsBackend,
        checked: &'a CheckedPlan<'a>,
        weights: &'a RnsLinear,
        inputs: &'a [RnsCiphertext],
    ) -> Result<Self, HeError> {
        let (ctx, tally, plan) = (&*backend.ctx, &backend.tally, checked.plan);
        let rotations = plan.babies.iter().flatten().chain(&plan.giants).copied().filter(|&r| r != 0);
        let key = |r| Ok((r, backend.keys.rotation(r, weights.level)?));
        let keys = rotations.map(key).collect::<Result<_, HeError>>()?;
        let decompose = |i: usize| {
            checked.is_rotated(i).then(|| {
                tally.count(|c| c.hoists += 1);
                Digits::new(ctx, weights.level, inputs[i].part(1, ctx.n))
            })
        };
        let digits = (0..inputs.len()).map(decompose).collect();
        Ok(Self { ctx, tally, checked, weights, inputs, digits, keys })
    }

    /// All sums of products, before giant steps.
    pub(crate) fn partial_sums(&self) -> Sums {
        let (ctx, level) = (self.ctx, self.weights.level);
        let stride = 2 * self.checked.sums.len() * ctx.n;
        let limbs = self.weights.limbs.len();
        let mut data = ctx.pool.take(limbs * stride);
        let terms = [false, true].map(|special| IndexedTerms::of_limb(self.checked, special));
        parallel::each_limb(stride, &mut data, |t, out| {
            let terms = &terms[usize::from(t > level)];
            self.weights.limbs[t].prefetch();
            let mut operands = ctx.pool.take(terms.operand_words(ctx.n));
            self.make_operands(t, terms, &mut operands);
            terms.multiply(ctx, (level, t), &self.weights.limbs[t], &operands, out);
        });
        let (sums, extended) = (&self.checked.sums, self.checked.sums.iter().filter(|s| s.extended));
        self.tally.count(|c| {
            c.rotations_hoisted += terms[0].rotations.iter().map(|(_, uses)| uses.len() as u64).sum::<u64>();
            c.plain_mults += sums.iter().map(|s| s.terms.len() as u64).sum::<u64>();
            c.plain_mults_extended += extended.map(|s| s.terms.len() as u64).sum::<u64>();
        });
        Sums { data, stride }
    }
}
