//! The integers behind residues.
//!
//! Garner's mixed radix with balanced digits, x = d_0 + d_1 q_0 + d_2 q_0 q_1 + ..: small values of either sign have zero
//! upper digits, so nothing cancels, and a row of zeros costs nothing in the rows above it.

use zeroize::Zeroizing;

use super::context::Context;
use super::modulus::Shoup;
use super::{parallel, simd};

/// Coefficients that are worked on together: all their digits stay in a cache.
const CHUNK: usize = 512;

/// Constants of one prime q_i.
struct Radix {
    /// q_0 .. q_(j-1) mod q_i for j < i.
    powers: Vec<Shoup>,
    /// The inverse of q_0 .. q_(i-1).
    inverse: Shoup,
    /// q_0 .. q_(i-1).
    weight: f64,
}

/// Centred integers behind residues, as floating-point numbers.
pub(crate) fn centred_values(ctx: &Context, residues: &[u64], level: usize) -> Vec<f64> {
    let radices = radices(ctx, level);
    let mut out = vec![0.0; ctx.n];
    let mut chunks: Vec<&mut [f64]> = out.chunks_mut(CHUNK).collect();
    parallel::each(&mut chunks, |k, out| {
        let len = out.len();
        let row = |i: usize| &residues[i * ctx.n + k * CHUNK..][..len];
        recover(ctx, &radices, row, out);
    });
    out
}

fn radices(ctx: &Context, level: usize) -> Vec<Radix> {
    let mut weight = 1.0;
    let radix = |i: usize| {
        let m = &ctx.tables[i].modulus;
        let mut powers = vec![1];
        for j in 0..i {
            powers.push(m.mul(powers[j], m.reduce(ctx.tables[j].modulus.value())));
        }
        let below = weight;
        weight *= m.value() as f64;
        Radix {
            inverse: m.shoup(m.inv(powers[i])),
            powers: powers[..i].iter().map(|&p| m.shoup(p)).collect(),
            weight: below,
        }
    };
    (0..=level).map(radix).collect()
}

/// Sums the digits of some coefficients; `row(i)` gives their residues modulo q_i.
fn recover<'a>(ctx: &Context, radices: &[Radix], row: impl Fn(usize) -> &'a [u64], out: &mut [f64]) {
    let len = out.len();
    let mut digits: Vec<Option<Zeroizing<Vec<i64>>>> = Vec::with_capacity(radices.len());
    let (mut known, mut term) = (Zeroizing::new(vec![0; len]), Zeroizing::new(vec![0; len]));
    for (i, radix) in radices.iter().enumerate() {
        let m = &ctx.tables[i].modulus;
        known.fill(0);
        for (digit, &power) in digits.iter().zip(&radix.powers) {
            if let Some(digit) = digit {
                simd::lift(ctx.simd, m, digit, &mut term);
                simd::add_scaled(ctx.simd, m, &mut known, &term, power);
            }
        }
        simd::sub_scale(ctx.simd, m, row(i), &known, radix.inverse, &mut term);
        if term.iter().all(|&d| d == 0) {
            digits.push(None);
            continue;
        }
        let digit: Zeroizing<Vec<i64>> = Zeroizing::new(term.iter().map(|&d| m.centred(d)).collect());
        for (out, &digit) in out.iter_mut().zip(&*digit) {
            // A weight that small values do not reach may be beyond double precision.
            if digit != 0 {
                *out += digit as f64 * radix.weight;
            }
        }
        digits.push(Some(digit));
    }
}

#[cfg(test)]
mod tests {
    use striae_cost_model::CkksParams;

    use super::*;
    use crate::rns::simd::Simd;

    #[test]
    fn integers_of_any_size_come_back() {
        let params: CkksParams = "N=2^11 Q=50,36,35,61 P=61 scale=2^30 insecure".parse().unwrap();
        for simd in Simd::available() {
            let ctx = Context::new(&params, simd).unwrap();
            let primes: Vec<i128> = (0..3).map(|i| i128::from(ctx.tables[i].modulus.value())).collect();
            let half = primes.iter().product::<i128>() / 2;
            // The first chunk is small throughout, others have values at every boundary of the digits.
            let mut values: Vec<i128> = (0..ctx.n as i128).map(|k| (k - 300) << 30).collect();
            for (k, bound) in [primes[0] / 2, primes[0] * primes[1] / 2, half].into_iter().enumerate() {
                let near = [bound, -bound, bound - 1, 1 - bound, bound / 3, -bound / 7];
                values[700 + 400 * k..][..6].copy_from_slice(&near);
            }
            for level in [2, 3] {
                let residue = |i: usize| values.iter().map(move |&v| (i, v));
                let residues = (0..=level).flat_map(residue).map(|(i, v)| ctx.tables[i].modulus.residue_wide(v));
                let got = centred_values(&ctx, &residues.collect::<Vec<u64>>(), level);
                for (got, &value) in got.iter().zip(&values) {
                    // Each digit and each sum round once.
                    let error = (got - value as f64).abs();
                    assert!(error <= value.unsigned_abs() as f64 * 4.0 * f64::EPSILON, "{value}: {got}");
                }
            }
        }
    }
}
