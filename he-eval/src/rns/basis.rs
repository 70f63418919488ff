//! Conversions between residue bases, and the divisions built on them.
//!
//! For a basis of primes m_i with product D and hat_i = D / m_i, a centred x is rebuilt modulo another prime t as
//!
//! ```text
//! y_i = [(x + h) / hat_i]_{m_i},   e = floor(sum_i y_i / m_i),   x = sum_i y_i hat_i - e D - h  (mod t),   h = (D - 1) / 2
//! ```
//!
//! (Halevi, Polyakov and Shoup, 2019). The shift by h makes the result centred, and moves the only place where the
//! floating-point e may be off by one to |x| = D/2, where either answer is a valid representative: x and x - D there
//! differ in size by the rounding error alone. That error is small for any primes: y_i (where it has more than 53 bits),
//! 1/m_i, their product and each addition round once, so a sum of k terms is off by less than (3k + k^2) 2^-53.

use super::context::Context;
use super::modulus::{Modulus, Shoup};
use super::parallel;
use super::pool::Poly;
use super::simd;

/// Polynomial limbs at a regular distance in a larger buffer.
#[derive(Clone, Copy)]
pub(crate) struct Limbs<'a> {
    data: &'a [u64],
    offset: usize,
    stride: usize,
    n: usize,
}

impl<'a> Limbs<'a> {
    /// One polynomial, limb after limb.
    pub(crate) const fn contiguous(data: &'a [u64], n: usize) -> Self {
        Self { data, offset: 0, stride: n, n }
    }

    /// Limb t at `offset + t * stride`.
    pub(crate) const fn strided(data: &'a [u64], offset: usize, stride: usize, n: usize) -> Self {
        Self { data, offset, stride, n }
    }

    /// Limb t.
    pub(crate) fn at(self, t: usize) -> &'a [u64] {
        &self.data[self.offset + t * self.stride..][..self.n]
    }
}

/// What one target prime needs.
#[derive(Clone, Debug)]
struct Target {
    /// hat_i mod t for every i, then -D mod t if there is more than one prime; all times a factor, as is h.
    coefficients: Vec<u64>,
    /// h mod t.
    half: u64,
}

/// Conversion from one basis to other primes.
#[derive(Clone, Debug)]
pub(crate) struct Conversion {
    /// Indices of the basis primes.
    pub(crate) from: Vec<usize>,
    /// Whether all of them are narrow.
    narrow: bool,
    /// 1 / (f hat_i) with f the factor that the inverse transform leaves.
    factors: Vec<Shoup>,
    /// h / hat_i.
    shifts: Vec<u64>,
    /// 1 / m_i.
    inverses: Vec<f64>,
    /// By prime index; `None` for the basis itself and primes not asked for.
    targets: Vec<Option<Target>>,
}

impl Conversion {
    /// Conversion from the primes `from` to the primes `to`, both by index; `unscaled` is the factor that the inverse
    /// transform leaves. The result is multiplied by `times` of its prime.
    pub(crate) fn new(
        primes: &[Modulus],
        unscaled: u64,
        from: &[usize],
        to: &[usize],
        times: impl Fn(&Modulus) -> u64,
    ) -> Self {
        let hat = |i: usize, m: &Modulus| product(primes, from.iter().filter(|&&j| j != i), m);
        let half = |m: &Modulus| m.mul(m.sub(product(primes, from, m), 1), m.inv(2));
        let mut conversion = Self {
            from: from.to_vec(),
            narrow: from.iter().all(|&i| primes[i].is_narrow()),
            factors: Vec::new(),
            shifts: Vec::new(),
            inverses: from.iter().map(|&i| 1.0 / primes[i].value() as f64).collect(),
            targets: vec![None; primes.len()],
        };
        for &i in from {
            let m = &primes[i];
            let hat_inv = m.inv(hat(i, m));
            conversion.factors.push(m.shoup(m.mul(hat_inv, m.inv(unscaled))));
            conversion.shifts.push(m.mul(half(m), hat_inv));
        }
        for &t in to {
            let m = &primes[t];
            let times = times(m);
            let mut coefficients: Vec<u64> = from.iter().map(|&i| m.mul(times, hat(i, m))).collect();
            if from.len() > 1 {
                coefficients.push(m.mul(times, m.neg(product(primes, from, m))));
            }
            conversion.targets[t] = Some(Target { coefficients, half: m.mul(times, half(m)) });
        }
        conversion
    }

    /// Limbs of buffer the conversion works in: the y_i and e.
    pub(crate) fn work_limbs(&self) -> usize {
        if self.from.len() > 1 { self.from.len() + 1 } else { 1 }
    }

    /// Computes y_i and e into `work` from the transformed basis limbs; `source(i)` gives limb i of the basis.
    pub(crate) fn prepare<'a>(&self, ctx: &Context, source: impl Fn(usize) -> &'a [u64] + Sync, work: &mut [u64]) {
        let count = self.from.len();
        let (ys, e) = work.split_at_mut(count * ctx.n);
        parallel::each_limb(ctx.n, ys, |i, y| {
            let tables = &ctx.tables[self.from[i]];
            y.copy_from_slice(source(i));
            tables.inverse_scaled(self.factors[i], self.shifts[i], y);
        });
        if count > 1 {
            let ys: Vec<&[u64]> = ys.chunks_exact(ctx.n).collect();
            simd::overflow(ctx.simd, &ys, &self.inverses, &mut e[..ctx.n]);
        }
    }

    /// The value modulo prime `t`, transformed, from what [`Self::prepare`] left in `work`.
    pub(crate) fn convert(&self, ctx: &Context, t: usize, work: &[u64], out: &mut [u64]) {
        let Some(target) = &self.targets[t] else { unreachable!("prime {t} is no target of this conversion") };
        let ys: Vec<&[u64]> = work[..self.work_limbs() * ctx.n].chunks_exact(ctx.n).collect();
        let tables = &ctx.tables[t];
        let sources = simd::Sources { ys: &ys, narrow: self.narrow };
        simd::convert(ctx.simd, &tables.modulus, sources, &target.coefficients, target.half, out);
        tables.forward(out);
    }
}

/// Rounded division of a polynomial by the product D of some of its primes, which disappear.
#[derive(Clone, Debug)]
pub(crate) struct Division {
    /// Of the remainder r, to -r / D.
    conversion: Conversion,
    /// Where the dropped primes stand among the limbs of the dividend.
    positions: Vec<usize>,
    /// 1/D modulo each prime that stays.
    inverses: Vec<Shoup>,
}

impl Division {
    /// Division by the primes `drop` (index, position in the dividend), keeping the first `keep` primes.
    pub(crate) fn new(primes: &[Modulus], unscaled: u64, drop: &[(usize, usize)], keep: usize) -> Self {
        let from: Vec<usize> = drop.iter().map(|d| d.0).collect();
        let inverse = |m: &Modulus| m.inv(product(primes, &from, m));
        let kept: Vec<usize> = (0..keep).collect();
        Self {
            conversion: Conversion::new(primes, unscaled, &from, &kept, |m| m.neg(inverse(m))),
            positions: drop.iter().map(|d| d.1).collect(),
            inverses: primes[..keep].iter().map(|m| m.shoup(inverse(m))).collect(),
        }
    }

    /// round(x / D).
    pub(crate) fn divide(&self, ctx: &Context, x: Limbs<'_>) -> Poly {
        let [out] = self.divide_all(ctx, [x]);
        out
    }

    /// The same of both polynomials of a ciphertext.
    pub(crate) fn divide_pair(&self, ctx: &Context, x: [Limbs<'_>; 2]) -> [Poly; 2] {
        self.divide_all(ctx, x)
    }

    /// x / D - r / D of every x, in one parallel region; what a thread writes it needs no other buffer for.
    fn divide_all<const COUNT: usize>(&self, ctx: &Context, x: [Limbs<'_>; COUNT]) -> [Poly; COUNT] {
        let words = self.conversion.work_limbs() * ctx.n;
        let mut work = ctx.pool.take(COUNT * words);
        parallel::each_limb(words, &mut work, |c, work| {
            self.conversion.prepare(ctx, |i| x[c].at(self.positions[i]), work);
        });
        let mut out = x.map(|_| ctx.pool.take(self.inverses.len() * ctx.n));
        let limbs = out.iter_mut().zip(x).zip(work.chunks_exact(words)).flat_map(|((out, x), work)| {
            out.chunks_exact_mut(ctx.n).enumerate().map(move |(t, out)| (t, out, x, work))
        });
        let mut limbs: Vec<_> = limbs.collect();
        parallel::each(&mut limbs, |_, (t, out, x, work)| {
            self.conversion.convert(ctx, *t, work, out);
            simd::add_scaled(ctx.simd, &ctx.tables[*t].modulus, out, x.at(*t), self.inverses[*t]);
        });
        out
    }
}

/// Product of some primes modulo m.
pub(crate) fn product<'a>(primes: &[Modulus], indices: impl IntoIterator<Item = &'a usize>, m: &Modulus) -> u64 {
    indices.into_iter().fold(1, |x, &i| m.mul(x, m.reduce(primes[i].value())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use striae_cost_model::CkksParams;

    use super::*;
    use crate::rns::simd::Simd;

    /// Relative distance to D/2 above which the centred representative must come out: (3k + k^2) 2^-53 for k = 3.
    const ROUNDING: f64 = 18.0 / (1u64 << 53) as f64;

    /// Converts the constant x from the primes `from` to the prime 0.
    fn converted(ctx: &Context, from: &[usize], x: i128) -> u64 {
        let primes: Vec<Modulus> = ctx.tables.iter().map(|t| t.modulus.clone()).collect();
        let conversion = Conversion::new(&primes, ctx.n as u64, from, &[0], |_| 1);
        let limbs: Vec<Vec<u64>> = from
            .iter()
            .map(|&i| {
                let mut limb = vec![0; ctx.n];
                limb[0] = primes[i].residue_wide(x);
                ctx.tables[i].forward(&mut limb);
                limb
            })
            .collect();
        let mut work = vec![0; conversion.work_limbs() * ctx.n];
        conversion.prepare(ctx, |i| &limbs[i], &mut work);
        let mut out = vec![0; ctx.n];
        conversion.convert(ctx, 0, &work, &mut out);
        ctx.tables[0].inverse(&mut out);
        assert!(out[1..].iter().all(|&c| c == 0), "only the constant is not zero");
        out[0]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn conversion_is_centred(offset in any::<u64>(), negative in any::<bool>()) {
            for chain in ["Q=40 P=61,60", "Q=61 P=61,60", "Q=50 P=61,40", "Q=61 P=61,30,30", "Q=60 P=50,50"] {
                let params: CkksParams = format!("N=2^11 {chain} scale=2^30 insecure").parse().unwrap();
                for simd in [Simd::portable(), Simd::fastest()] {
                    let ctx = Context::new(&params, simd).unwrap();
                    let m = &ctx.tables[0].modulus;
                    let from: Vec<usize> = (1..ctx.tables.len()).collect();
                    let d: i128 = from.iter().map(|&i| i128::from(ctx.tables[i].modulus.value())).product();
                    // From the boundary D/2 inwards, closer and closer to it, and zero.
                    for shift in [0u32, 8, 32, 56, 63] {
                        let below = (d >> 64) * i128::from(offset >> shift) / 2;
                        let size = (d - 1) / 2 - below;
                        let x = if negative { -size } else { size };
                        let got = converted(&ctx, &from, x);
                        let other = if negative { x + d } else { x - d };
                        let near = below as f64 / d as f64 <= ROUNDING;
                        prop_assert!(got == m.residue_wide(x) || near && got == m.residue_wide(other), "{below}");
                    }
                    prop_assert_eq!(converted(&ctx, &from, 0), 0);
                }
            }
        }
    }
}
