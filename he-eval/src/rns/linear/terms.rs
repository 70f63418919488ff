//! The terms of a limb, with what they multiply.

use std::collections::BTreeMap;

use crate::backend::CheckedPlan;
use crate::rns::context::Context;
use crate::rns::simd::{self, OPERAND_TILE};

use super::encoded::{Operand, limb_terms};

/// Terms of a limb, their operands numbered.
pub(crate) struct IndexedTerms {
    /// Distinct operands, sorted; their numbers are their places in a tile.
    pub(super) operands: Vec<Operand>,
    /// The rotations among them, each with its inputs and their places, so that a key is met once for all inputs.
    pub(super) rotations: Vec<(u32, Vec<(usize, usize)>)>,
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
        let mut rotations: BTreeMap<u32, Vec<(usize, usize)>> = BTreeMap::new();
        for (place, operand) in operands.iter().enumerate() {
            if let Operand::Rotated(input, rotation) = *operand {
                rotations.entry(rotation).or_default().push((input, place));
            }
        }
        Self { operands, rotations: rotations.into_iter().collect(), sums }
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
