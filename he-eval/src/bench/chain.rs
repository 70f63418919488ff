//! The modulus chains that CKKS evaluators are compared on.

use serde::{Deserialize, Serialize};
use striae_cost_model::{CkksParams, CkksParamsLiteral, LinearPlan, ParamsError, RingType, Term};

/// Bits of the first and of the special primes.
const WIDE: u32 = 50;

/// A chain of one 50-bit prime, `levels` primes of `log_scale` bits, and `special` primes of 50 bits, with the
/// matrix-vector product that is measured on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// log2 of the ring degree.
    pub log_n: u32,
    /// Bits of the scale and of the primes that rescaling divides by.
    pub log_scale: u32,
    /// Rescalings.
    pub levels: usize,
    /// Special primes.
    pub special: usize,
    /// Diagonals of the matrix-vector product.
    pub diagonals: u32,
}

impl Chain {
    /// Those of the reference table.
    pub const REFERENCE: [Self; 5] = [
        Self { log_n: 13, log_scale: 35, levels: 3, special: 1, diagonals: 64 },
        Self { log_n: 14, log_scale: 40, levels: 7, special: 2, diagonals: 64 },
        Self { log_n: 15, log_scale: 40, levels: 17, special: 3, diagonals: 64 },
        Self { log_n: 15, log_scale: 40, levels: 8, special: 3, diagonals: 64 },
        Self { log_n: 16, log_scale: 40, levels: 34, special: 5, diagonals: 16 },
    ];

    /// Its parameters, accepted whatever their security: [`CkksParams::security`] says which it is.
    pub fn params(&self) -> Result<CkksParams, ParamsError> {
        let log_q = std::iter::once(WIDE).chain(std::iter::repeat_n(self.log_scale, self.levels)).collect();
        let log_p = vec![WIDE; self.special];
        let literal = |insecure| CkksParamsLiteral {
            log_n: self.log_n,
            log_q: Vec::clone(&log_q),
            log_p: log_p.clone(),
            log_scale: self.log_scale,
            ring: RingType::Standard,
            insecure,
        };
        CkksParams::try_from(literal(false)).or_else(|_| literal(true).try_into())
    }

    /// Baby steps of the product; as many giant steps, up to a factor of two.
    pub fn babies(&self) -> u32 {
        1 << (self.diagonals.ilog2() / 2)
    }

    /// The product: dense diagonals 0, 1, .. by baby-step giant-step, `babies - 1` hoisted rotations and
    /// `diagonals / babies - 1` giant steps.
    pub fn matvec(&self) -> LinearPlan {
        let babies = self.babies();
        let term = |k: u32| Term { output: 0, giant: (k / babies) as u16, input: 0, baby: (k % babies) as u16 };
        LinearPlan {
            inputs: 1,
            outputs: 1,
            babies: vec![(0..babies).collect()],
            giants: (0..self.diagonals / babies).map(|g| g * babies).collect(),
            terms: (0..self.diagonals).map(term).collect(),
            folds: vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use striae_cost_model::Security;

    use super::*;

    #[test]
    fn reference_chains_are_secure_and_products_rotate_as_published() {
        for chain in Chain::REFERENCE {
            assert_eq!(chain.params().unwrap().security(), Security::Bits128, "{chain:?}");
            // Baby-step giant-step: 14 rotations for 64 diagonals, 6 for 16.
            let rotations = if chain.diagonals == 64 { 14 } else { 6 };
            assert_eq!(chain.matvec().counts().rotations(), rotations);
        }
        let short = Chain { log_n: 12, ..Chain::REFERENCE[1] };
        assert_eq!(short.params().unwrap().security(), Security::Insecure);
    }
}
