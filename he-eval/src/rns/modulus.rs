//! Arithmetic modulo one prime of at most 61 bits.
//!
//! Multiplication by a constant uses Shoup's trick with 64-bit quotients; their upper 52 bits are the quotients of the
//! 52-bit products of AVX-512 IFMA, which serve primes below 2^50. Everything else reduces 128-bit sums. Every function
//! gives the reduced residue unless it says otherwise, so twins that differ in their intermediate values give equal words.

/// Largest number of bits of a prime: the vector transform's lazy values stay below 8p, which must not exceed 2^64.
pub(crate) const MAX_PRIME_BITS: u32 = 61;
/// Bits of a narrow prime: the lazy values of 52-bit kernels reach 4p and must stay below 2^52.
pub(crate) const NARROW_BITS: u32 = 50;
/// Products of residues that fit a 128-bit sum beside a reduced one, whatever the primes: 32 * 2^122 + 2^61 < 2^128.
pub(crate) const LAZY_PRODUCTS: usize = 32;

/// A constant factor w with floor(w 2^64 / p).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shoup {
    /// The factor, below p.
    pub(crate) w: u64,
    /// floor(w 2^64 / p).
    pub(crate) ws: u64,
}

impl Shoup {
    const fn new(w: u64, p: u64) -> Self {
        Self { w, ws: (((w as u128) << 64) / p as u128) as u64 }
    }
}

/// A prime modulus with the constants its reductions need.
#[derive(Clone, Debug)]
pub(crate) struct Modulus {
    p: u64,
    /// 1 as a Shoup factor: multiplying by it reduces.
    pub(crate) one: Shoup,
    /// 2^52 mod p.
    pub(crate) radix: Shoup,
    /// 2^104 mod p.
    pub(crate) radix_squared: Shoup,
    /// 2^64 mod p.
    word: Shoup,
}

impl Modulus {
    /// Constants of a prime below 2^61.
    pub(crate) fn new(p: u64) -> Self {
        debug_assert!(p > 2 && p < 1 << MAX_PRIME_BITS);
        let power = |bits: u32| Shoup::new(((1u128 << bits) % u128::from(p)) as u64, p);
        Self { p, one: power(0), radix: power(52), radix_squared: power(104), word: power(64) }
    }

    /// What 64-bit quotients are shifted right by to be the 52-bit ones that kernels of narrow primes take.
    pub(crate) const NARROW_SHIFT: u32 = 12;

    /// The prime.
    pub(crate) const fn value(&self) -> u64 {
        self.p
    }

    /// Whether the prime suits kernels with 52-bit products.
    pub(crate) const fn is_narrow(&self) -> bool {
        self.p < 1 << NARROW_BITS
    }

    /// x mod p for x in [0, 2p).
    pub(crate) fn once(&self, x: u64) -> u64 {
        below(x, self.p)
    }

    /// a + b.
    pub(crate) fn add(&self, a: u64, b: u64) -> u64 {
        self.once(a + b)
    }

    /// a - b.
    pub(crate) fn sub(&self, a: u64, b: u64) -> u64 {
        self.once(a + self.p - b)
    }

    /// -a.
    pub(crate) const fn neg(&self, a: u64) -> u64 {
        if a == 0 { 0 } else { self.p - a }
    }

    /// Any 64-bit value mod p.
    pub(crate) fn reduce(&self, x: u64) -> u64 {
        self.mul_shoup(x, self.one)
    }

    /// Any 128-bit value mod p.
    pub(crate) fn reduce_wide(&self, x: u128) -> u64 {
        let high = self.mul_shoup((x >> 64) as u64, self.word);
        self.add(high, self.reduce(x as u64))
    }

    /// a b.
    pub(crate) fn mul(&self, a: u64, b: u64) -> u64 {
        self.reduce_wide(u128::from(a) * u128::from(b))
    }

    /// base^exponent.
    pub(crate) fn pow(&self, base: u64, mut exponent: u64) -> u64 {
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
    pub(crate) fn inv(&self, a: u64) -> u64 {
        self.pow(a, self.p - 2)
    }

    /// A signed value mod p.
    pub(crate) fn residue(&self, x: i64) -> u64 {
        let r = self.reduce(x.unsigned_abs());
        if x < 0 { self.neg(r) } else { r }
    }

    /// A signed 128-bit value mod p.
    pub(crate) fn residue_wide(&self, x: i128) -> u64 {
        let r = self.reduce_wide(x.unsigned_abs());
        if x < 0 { self.neg(r) } else { r }
    }

    /// The representative in (-p/2, p/2).
    pub(crate) const fn centred(&self, x: u64) -> i64 {
        if x > self.p / 2 { x as i64 - self.p as i64 } else { x as i64 }
    }

    /// w with its Shoup quotient.
    pub(crate) fn shoup(&self, w: u64) -> Shoup {
        Shoup::new(self.reduce(w), self.p)
    }

    /// The quotient of a factor as vector kernels of this modulus take it.
    pub(crate) const fn lane_quotient(&self, s: Shoup) -> u64 {
        if self.is_narrow() { s.ws >> Self::NARROW_SHIFT } else { s.ws }
    }

    /// x w in [0, 2p), for any x.
    pub(crate) const fn mul_lazy(&self, x: u64, s: Shoup) -> u64 {
        let quotient = ((x as u128 * s.ws as u128) >> 64) as u64;
        x.wrapping_mul(s.w).wrapping_sub(quotient.wrapping_mul(self.p))
    }

    /// x w, for any x.
    pub(crate) fn mul_shoup(&self, x: u64, s: Shoup) -> u64 {
        self.once(self.mul_lazy(x, s))
    }
}

/// x mod m for x in [0, 2m), without a branch.
pub(crate) fn below(x: u64, m: u64) -> u64 {
    x.min(x.wrapping_sub(m))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const P: u64 = 1_125_899_906_826_241;
    /// The largest prime below 2^61 (Mersenne).
    const LARGEST: u64 = (1 << 61) - 1;

    proptest! {
        #[test]
        fn reductions_equal_the_remainder(x in any::<u128>(), y in any::<i64>(), z in any::<i128>()) {
            for p in [P, LARGEST, 12_289, 1_099_511_480_321] {
                let m = Modulus::new(p);
                prop_assert_eq!(m.reduce_wide(x), (x % u128::from(p)) as u64);
                prop_assert_eq!(m.reduce(x as u64), x as u64 % p);
                prop_assert_eq!(m.residue(y), y.rem_euclid(p as i64) as u64);
                prop_assert_eq!(m.residue_wide(z), z.rem_euclid(i128::from(p)) as u64);
            }
        }

        #[test]
        fn shoup_equals_the_product(x in any::<u64>(), w in any::<u64>()) {
            for p in [P, LARGEST, 12_289] {
                let m = Modulus::new(p);
                let product = (u128::from(x) * u128::from(w % p) % u128::from(p)) as u64;
                prop_assert_eq!(m.mul_shoup(x, m.shoup(w)), product);
            }
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
