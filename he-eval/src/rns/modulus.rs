//! Arithmetic modulo one prime of at most 50 bits.
//!
//! Multiplication by a constant uses Shoup's trick with 52-bit quotients, the word size of AVX-512 IFMA, so that the
//! portable code and the vector kernels walk through the same intermediate values. Everything else reduces 128-bit sums.

/// Largest number of bits of a prime: lazy NTT values reach 4p and must stay below 2^52.
pub(crate) const MAX_PRIME_BITS: u32 = 50;
/// Bits of a lane product half.
pub(crate) const RADIX_BITS: u32 = 52;

/// A constant factor w with floor(w 2^52 / p).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shoup {
    /// The factor, below p.
    pub(crate) w: u64,
    /// floor(w 2^52 / p).
    pub(crate) ws: u64,
}

/// A prime modulus with the constants its reductions need.
#[derive(Clone, Debug)]
pub(crate) struct Modulus {
    p: u64,
    /// 1 as a Shoup factor: multiplying by it reduces.
    pub(crate) one: Shoup,
    /// 2^52 mod p.
    pub(crate) radix: Shoup,
    /// 2^64 mod p, its 64-bit Shoup quotient, and the quotient of 1.
    wide: [u64; 3],
}

impl Modulus {
    /// Constants of a prime below 2^50.
    pub(crate) fn new(p: u64) -> Self {
        debug_assert!(p > 2 && p < 1 << MAX_PRIME_BITS);
        let shoup = |w: u64| Shoup { w, ws: ((u128::from(w) << RADIX_BITS) / u128::from(p)) as u64 };
        let radix = ((1u128 << RADIX_BITS) % u128::from(p)) as u64;
        let r64 = ((1u128 << 64) % u128::from(p)) as u64;
        let quotient = |w: u64| ((u128::from(w) << 64) / u128::from(p)) as u64;
        Self { p, one: shoup(1), radix: shoup(radix), wide: [r64, quotient(r64), quotient(1)] }
    }

    /// The prime.
    pub(crate) const fn value(&self) -> u64 {
        self.p
    }

    /// x mod p for x in [0, 2p).
    pub(crate) const fn once(&self, x: u64) -> u64 {
        if x >= self.p { x - self.p } else { x }
    }

    /// a + b.
    pub(crate) const fn add(&self, a: u64, b: u64) -> u64 {
        self.once(a + b)
    }

    /// a - b.
    pub(crate) const fn sub(&self, a: u64, b: u64) -> u64 {
        self.once(a + self.p - b)
    }

    /// -a.
    pub(crate) const fn neg(&self, a: u64) -> u64 {
        if a == 0 { 0 } else { self.p - a }
    }

    /// Any 64-bit value mod p.
    pub(crate) const fn reduce(&self, x: u64) -> u64 {
        let quotient = ((x as u128 * self.wide[2] as u128) >> 64) as u64;
        self.once(x.wrapping_sub(quotient.wrapping_mul(self.p)))
    }

    /// Any 128-bit value mod p.
    pub(crate) const fn reduce_wide(&self, x: u128) -> u64 {
        let high = (x >> 64) as u64;
        let quotient = ((high as u128 * self.wide[1] as u128) >> 64) as u64;
        let folded = high.wrapping_mul(self.wide[0]).wrapping_sub(quotient.wrapping_mul(self.p));
        self.add(self.once(folded), self.reduce(x as u64))
    }

    /// a b.
    pub(crate) const fn mul(&self, a: u64, b: u64) -> u64 {
        self.reduce_wide(a as u128 * b as u128)
    }

    /// base^exponent.
    pub(crate) const fn pow(&self, base: u64, mut exponent: u64) -> u64 {
        let (mut result, mut square) = (1, self.reduce(base));
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = self.mul(result, square);
            }
            square = self.mul(square, square);
            exponent >>= 1;
        }
        result
    }

    /// a^-1, for a not divisible by p.
    pub(crate) const fn inv(&self, a: u64) -> u64 {
        self.pow(a, self.p - 2)
    }

    /// A signed value mod p.
    pub(crate) const fn residue(&self, x: i64) -> u64 {
        let r = self.reduce(x.unsigned_abs());
        if x < 0 { self.neg(r) } else { r }
    }

    /// A signed 128-bit value mod p.
    pub(crate) const fn residue_wide(&self, x: i128) -> u64 {
        let r = self.reduce_wide(x.unsigned_abs());
        if x < 0 { self.neg(r) } else { r }
    }

    /// The representative in (-p/2, p/2).
    pub(crate) const fn centred(&self, x: u64) -> i64 {
        if x > self.p / 2 { x as i64 - self.p as i64 } else { x as i64 }
    }

    /// w with its Shoup quotient.
    pub(crate) fn shoup(&self, w: u64) -> Shoup {
        let w = self.reduce(w);
        Shoup { w, ws: ((u128::from(w) << RADIX_BITS) / u128::from(self.p)) as u64 }
    }

    /// x w in [0, 2p), for x below 2^52.
    pub(crate) const fn mul_lazy(&self, x: u64, s: Shoup) -> u64 {
        let quotient = ((x as u128 * s.ws as u128) >> RADIX_BITS) as u64;
        x.wrapping_mul(s.w).wrapping_sub(quotient.wrapping_mul(self.p))
    }

    /// x w, for x below 2^52.
    pub(crate) const fn mul_shoup(&self, x: u64, s: Shoup) -> u64 {
        self.once(self.mul_lazy(x, s))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const P: u64 = 1_125_899_906_826_241;

    proptest! {
        #[test]
        fn reductions_equal_the_remainder(x in any::<u128>(), y in any::<i64>(), z in any::<i128>()) {
            for p in [P, 12_289, 1_099_511_480_321] {
                let m = Modulus::new(p);
                prop_assert_eq!(m.reduce_wide(x), (x % u128::from(p)) as u64);
                prop_assert_eq!(m.reduce(x as u64), x as u64 % p);
                prop_assert_eq!(m.residue(y), y.rem_euclid(p as i64) as u64);
                prop_assert_eq!(m.residue_wide(z), z.rem_euclid(i128::from(p)) as u64);
            }
        }

        #[test]
        fn shoup_equals_the_product(x in 0u64..1 << 52, w in any::<u64>()) {
            let m = Modulus::new(P);
            prop_assert_eq!(m.mul_shoup(x, m.shoup(w)), (u128::from(x) * u128::from(w % P) % u128::from(P)) as u64);
        }
    }

    #[test]
    fn inverse_and_centre() {
        let m = Modulus::new(12_289);
        for a in [1, 2, 777, 12_288] {
            assert_eq!(m.mul(a, m.inv(a)), 1);
        }
        assert_eq!(m.centred(12_288), -1);
        assert_eq!(m.centred(6_144), 6_144);
    }
}
