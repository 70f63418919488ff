//! The diagonals of a linear step.
//!
//! With `s` slots and `rot_r(x)[j] = x[(j + r) mod s]`,
//!
//! ```text
//! out_o = rescale( sum_g rot_g( sum_t  pt_t * rot_baby(t)(in_input(t)) ) ),   terms t of output o and giant step g
//! out_o <- out_o + rot_f(out_o)                                              for each fold f in turn
//! ```
//!
//! so the matrix entry that links input slot `j + g + b` to output slot `j` stands at slot `j + g` of the diagonal of
//! term `(o, g, input, b)`. No two terms of an output and an input have the same total rotation `g + b`.

use std::ops::Range;

use crate::OpCounts;

/// One encoded diagonal of a linear step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// Output ciphertext.
    pub output: u16,
    /// Index into [`LinearPlan::giants`].
    pub giant: u16,
    /// Input ciphertext.
    pub input: u16,
    /// Index into the input's [`LinearPlan::babies`].
    pub baby: u16,
}

/// A block-sparse linear operator over groups of ciphertexts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinearPlan {
    /// Input ciphertexts.
    pub inputs: usize,
    /// Output ciphertexts.
    pub outputs: usize,
    /// For each input the distinct rotations it is needed at, in `[0, slots)`, ascending; 0 costs nothing.
    pub babies: Vec<Vec<u32>>,
    /// Distinct rotations of partial sums, in `[0, slots)`, ascending; 0 costs nothing.
    pub giants: Vec<u32>,
    /// Diagonals, sorted.
    pub terms: Vec<Term>,
    /// Rotate-and-add steps applied to every output after its rescaling, in order.
    pub folds: Vec<u32>,
}

/// The terms of one output and one giant step: a partial sum that is rotated as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialSum {
    /// Output ciphertext.
    pub output: usize,
    /// Rotation of the sum; 0 costs nothing.
    pub giant: u32,
    /// Its terms, as a range of [`LinearPlan::terms`].
    pub terms: Range<usize>,
    /// Whether a term reads a rotated input, so that the sum lives in the extended basis QP and its diagonals need the
    /// limbs of P. Sums of unrotated inputs stay in Q.
    pub extended: bool,
}

impl LinearPlan {
    /// Operations of one execution. An output that received a sum in QP or a giant step is divided by P and by the rescaling
    /// prime in one operation, counted as one of each; other outputs are only rescaled.
    pub fn counts(&self) -> OpCounts {
        let rotated = |b: &&Vec<u32>| b.iter().any(|&r| r != 0);
        let folds = (self.outputs * self.folds.len()) as u64;
        let (mut giant_steps, mut in_qp, mut extended) = (0, 0, 0);
        let mut last_in_qp = None;
        for sum in self.partial_sums() {
            let rotates = sum.giant != 0;
            giant_steps += u64::from(rotates);
            extended += if sum.extended { sum.terms.len() as u64 } else { 0 };
            if (rotates || sum.extended) && last_in_qp != Some(sum.output) {
                in_qp += 1;
                last_in_qp = Some(sum.output);
            }
        }
        OpCounts {
            hoists: self.babies.iter().filter(rotated).count() as u64,
            rotations_hoisted: self.babies.iter().flatten().filter(|&&r| r != 0).count() as u64,
            giant_steps,
            rotations_full: folds,
            plain_mults: self.terms.len() as u64,
            plain_mults_extended: extended,
            mod_downs: in_qp,
            rescales: self.outputs as u64,
            adds: folds,
            ..OpCounts::default()
        }
    }

    /// The partial sums in the order of their terms: by output, then by giant step.
    pub fn partial_sums(&self) -> impl Iterator<Item = PartialSum> {
        let mut start = 0;
        self.terms.chunk_by(|a, b| (a.output, a.giant) == (b.output, b.giant)).map(move |terms| {
            let range = start..start + terms.len();
            start = range.end;
            PartialSum {
                output: terms[0].output as usize,
                giant: self.giants[terms[0].giant as usize],
                terms: range,
                extended: terms.iter().any(|t| self.babies[t.input as usize][t.baby as usize] != 0),
            }
        })
    }

    /// The same plan where `images` images stand interleaved: every rotation moves each of them as far.
    #[must_use]
    pub fn spread(&self, images: usize) -> Self {
        let spread = |rotations: &[u32]| rotations.iter().map(|r| r * images as u32).collect();
        Self {
            babies: self.babies.iter().map(|b| spread(b)).collect(),
            giants: spread(&self.giants),
            folds: spread(&self.folds),
            ..self.clone()
        }
    }

    /// Every rotation a key is needed for, with repeats.
    pub fn rotations(&self) -> impl Iterator<Item = u32> {
        self.babies.iter().flatten().chain(&self.giants).chain(&self.folds).copied().filter(|&r| r != 0)
    }
}
