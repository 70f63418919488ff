//! Tables of the negacyclic number-theoretic transform modulo one prime.
//!
//! The transform follows Longa and Naehrig (2016): psi is a primitive 2N-th root of unity, twiddles stand in bit-reversed
//! order, and after the forward transform position i holds the value of the polynomial at psi^(2 br(i) + 1), where br
//! reverses log2(N) bits. Bit complement of i negates the exponent, so **positions i and N-1-i hold the values at
//! conjugate points**; the encoded diagonals of real vectors are equal there, and only half of them is stored.

use super::modulus::{Modulus, Shoup};
use super::simd::{self, Simd};

/// Powers of a root in bit-reversed order; node k of the butterfly tree uses entry k.
#[derive(Clone, Debug)]
pub(crate) struct Twiddles {
    /// Factors.
    pub(crate) w: Vec<u64>,
    /// Their Shoup quotients.
    pub(crate) ws: Vec<u64>,
    /// The same in the order and form of the vector kernels that will use them.
    pub(crate) lanes: Vec<[u64; 8]>,
}

impl Twiddles {
    fn new(m: &Modulus, root: u64, n: usize, simd: Simd) -> Self {
        let mut powers = vec![1; n];
        for i in 1..n {
            powers[i] = m.mul(powers[i - 1], root);
        }
        let factors: Vec<Shoup> = (0..n).map(|i| m.shoup(powers[reverse_bits(i, n)])).collect();
        let lanes = simd::lane_rows(simd, m, &factors);
        Self { w: factors.iter().map(|s| s.w).collect(), ws: factors.iter().map(|s| s.ws).collect(), lanes }
    }

    /// The factor of node k.
    pub(crate) fn at(&self, k: usize) -> Shoup {
        Shoup { w: self.w[k], ws: self.ws[k] }
    }
}

/// i with its log2(n) low bits reversed.
pub(crate) fn reverse_bits(i: usize, n: usize) -> usize {
    i.reverse_bits() >> (usize::BITS - n.trailing_zeros())
}

/// A transform modulo one prime.
#[derive(Clone, Debug)]
pub(crate) struct NttTables {
    /// The prime.
    pub(crate) modulus: Modulus,
    /// Powers of psi.
    pub(crate) forward: Twiddles,
    /// Powers of 1/psi.
    pub(crate) inverse: Twiddles,
    /// 1/N.
    pub(crate) n_inv: Shoup,
    simd: Simd,
}

impl NttTables {
    /// Tables for ring degree n, a power of two of at least 256, and a prime that is 1 mod 2n.
    pub(crate) fn new(prime: u64, n: usize, simd: Simd) -> Self {
        debug_assert!(n >= 256 && n.is_power_of_two() && prime % (2 * n as u64) == 1);
        let modulus = Modulus::new(prime);
        let psi = primitive_root(&modulus, n);
        Self {
            forward: Twiddles::new(&modulus, psi, n, simd),
            inverse: Twiddles::new(&modulus, modulus.inv(psi), n, simd),
            n_inv: modulus.shoup(modulus.inv(n as u64)),
            modulus,
            simd,
        }
    }

    /// Coefficients to values, in place.
    pub(crate) fn forward(&self, x: &mut [u64]) {
        simd::ntt_forward(self.simd, self, x);
    }

    /// Values to N times the coefficients, in place. Callers fold 1/N into a factor they apply anyway.
    pub(crate) fn inverse_unscaled(&self, x: &mut [u64]) {
        simd::ntt_inverse(self.simd, self, x);
    }

    /// Values to coefficients, in place.
    pub(crate) fn inverse(&self, x: &mut [u64]) {
        self.inverse_unscaled(x);
        simd::scale_add(self.simd, &self.modulus, x, self.n_inv, 0);
    }
}

/// A primitive 2n-th root of unity: the smallest base whose power is one.
fn primitive_root(m: &Modulus, n: usize) -> u64 {
    let exponent = (m.value() - 1) / (2 * n as u64);
    let mut base = 2;
    loop {
        let candidate = m.pow(base, exponent);
        if m.pow(candidate, n as u64) == m.value() - 1 {
            return candidate;
        }
        base += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rns::primes::PrimeChain;

    fn tables(log_n: u32, bits: u32, simd: Simd) -> NttTables {
        let prime = PrimeChain::new(log_n, &[bits], &[]).unwrap().q[0];
        NttTables::new(prime, 1 << log_n, simd)
    }

    #[test]
    fn position_holds_the_value_at_its_power_of_psi() {
        for (simd, bits) in [(Simd::portable(), 50), (Simd::fastest(), 50), (Simd::fastest(), 61)] {
            let t = tables(11, bits, simd);
            let (m, n) = (&t.modulus, 1 << 11);
            let mut x = vec![0; n];
            x[1] = 1;
            t.forward(&mut x);
            // X evaluates to psi^(2 br(i) + 1); position 0 has psi itself.
            for i in 0..n {
                assert_eq!(x[i], m.pow(x[0], 2 * reverse_bits(i, n) as u64 + 1), "{} {i}", simd.name());
                assert_eq!(m.mul(x[i], x[n - 1 - i]), 1);
            }
        }
    }

    #[test]
    fn product_of_values_is_the_negacyclic_product() {
        let t = tables(11, 40, Simd::fastest());
        let (m, n) = (&t.modulus, 1usize << 11);
        let a: Vec<u64> = (0..n as u64).map(|i| m.reduce(i * i + 7)).collect();
        // b = 3 X^(n-1) - 5 X^2 has few terms, so the schoolbook product is short.
        let b = [(n - 1, 3), (2, m.neg(5))];
        let mut expected = vec![0; n];
        for (i, &x) in a.iter().enumerate() {
            for (j, y) in b {
                let (k, v) = ((i + j) % n, m.mul(x, y));
                expected[k] = if i + j < n { m.add(expected[k], v) } else { m.sub(expected[k], v) };
            }
        }
        let mut values = [a, vec![0; n]];
        for (j, y) in b {
            values[1][j] = y;
        }
        for v in &mut values {
            t.forward(v);
        }
        let mut product: Vec<u64> = values[0].iter().zip(&values[1]).map(|(&x, &y)| m.mul(x, y)).collect();
        t.inverse(&mut product);
        assert_eq!(product, expected);
    }

    #[test]
    fn inverse_undoes_forward_at_every_degree() {
        for (log_n, bits) in (11..=16).flat_map(|log_n| [(log_n, 50), (log_n, 61)]) {
            let t = tables(log_n, bits, Simd::fastest());
            let original: Vec<u64> =
                (0..1u64 << log_n).map(|i| t.modulus.reduce(i.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
            let mut x = original.clone();
            t.forward(&mut x);
            assert_ne!(x, original);
            t.inverse(&mut x);
            assert_eq!(x, original, "log_n = {log_n}, {bits} bits");
        }
    }
}
