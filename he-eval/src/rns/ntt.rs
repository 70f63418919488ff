//! Tables of the negacyclic number-theoretic transform modulo one prime.
//!
//! The transform follows Longa and Naehrig (2016): psi is a primitive 2N-th root of unity, twiddles stand in bit-reversed
//! order, and after the forward transform position i holds the value of the polynomial at psi^(2 br(i) + 1), where br
//! reverses log2(N) bits. Bit complement of i negates the exponent, so **positions i and N-1-i hold the values at
//! conjugate points**; the encoded diagonals of real vectors are equal there, and only half of them is stored.
//!
//! An element a_0 + sum_i a_i (X^i + X^-i) of the conjugate-invariant ring of degree N takes equal values at conjugate
//! points of Z\[X\]/(X^2N + 1), so its transform is the first half of the one of size 2N: with J = psi^N, a square root of
//! -1, the first level folds a into b_i = a_i - J a_(N-i), and the rest is the subtree of the first half, a transform of
//! size N with other twiddles. Position i then holds the value at psi^(4 br(i) + 1).

use striae_cost_model::RingType;

use super::modulus::{Modulus, Shoup};
use super::simd::{self, Simd};

/// Powers of a root; node k of the butterfly tree uses entry k.
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
    fn new(m: &Modulus, root: u64, n: usize, ring: RingType, simd: Simd) -> Self {
        let whole = match ring {
            RingType::Standard => n,
            RingType::ConjugateInvariant => 2 * n,
        };
        let mut powers = vec![1; whole];
        for i in 1..whole {
            powers[i] = m.mul(powers[i - 1], root);
        }
        // In the tree of size 2N, level l of the first half starts at node 2^(l+1) instead of 2^l.
        let node = |k: usize| if whole == n || k == 0 { k } else { k + (1 << k.ilog2()) };
        let factors: Vec<Shoup> = (0..n).map(|k| m.shoup(powers[reverse_bits(node(k), whole)])).collect();
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
    /// The square root J of -1 that the conjugate-invariant ring is folded with.
    pub(crate) fold: Option<Shoup>,
    /// 1 / [`inverse_factor`].
    scale: Shoup,
    simd: Simd,
}

impl NttTables {
    /// Tables for ring degree n, a power of two of at least 256, and a prime that is 1 modulo the order of its roots.
    pub(crate) fn new(prime: u64, n: usize, ring: RingType, simd: Simd) -> Self {
        let order = 1u64 << ring.log_order(n.ilog2());
        debug_assert!(n >= 256 && n.is_power_of_two() && prime % order == 1);
        let modulus = Modulus::new(prime);
        let psi = primitive_root(&modulus, order);
        let fold = (ring == RingType::ConjugateInvariant).then(|| modulus.shoup(modulus.pow(psi, n as u64)));
        Self {
            forward: Twiddles::new(&modulus, psi, n, ring, simd),
            inverse: Twiddles::new(&modulus, modulus.inv(psi), n, ring, simd),
            fold,
            scale: modulus.shoup(modulus.inv(inverse_factor(ring, n))),
            modulus,
            simd,
        }
    }

    /// Coefficients to values, in place.
    pub(crate) fn forward(&self, x: &mut [u64]) {
        if let Some(root) = self.fold {
            simd::fold(self.simd, &self.modulus, root, x);
        }
        simd::ntt_forward(self.simd, self, x);
    }

    /// Values to the coefficients times [`inverse_factor`] times `factor`, plus `add`, in place. Callers join the inverse
    /// of the former to a factor they apply anyway.
    pub(crate) fn inverse_scaled(&self, factor: Shoup, add: u64, x: &mut [u64]) {
        match self.fold {
            None => simd::ntt_inverse(self.simd, self, factor, add, x),
            Some(root) => {
                simd::ntt_inverse(self.simd, self, self.modulus.one, 0, x);
                simd::unfold(self.simd, &self.modulus, root, x);
                simd::scale_add(self.simd, &self.modulus, x, factor, add);
            }
        }
    }

    /// Values to coefficients, in place.
    pub(crate) fn inverse(&self, x: &mut [u64]) {
        self.inverse_scaled(self.scale, 0, x);
    }
}

/// What the inverse transform leaves to be divided by: one factor 2 for each level.
pub(crate) const fn inverse_factor(ring: RingType, n: usize) -> u64 {
    match ring {
        RingType::Standard => n as u64,
        RingType::ConjugateInvariant => 2 * n as u64,
    }
}

/// A primitive root of unity of this order: the smallest base whose power is one.
fn primitive_root(m: &Modulus, order: u64) -> u64 {
    let exponent = (m.value() - 1) / order;
    let mut base = 2;
    loop {
        let candidate = m.pow(base, exponent);
        if m.pow(candidate, order / 2) == m.value() - 1 {
            return candidate;
        }
        base += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rns::primes::PrimeChain;

    fn tables_of(ring: RingType, log_n: u32, bits: u32, simd: Simd) -> NttTables {
        let prime = PrimeChain::new(ring.log_order(log_n), &[bits], &[]).unwrap().q[0];
        NttTables::new(prime, 1 << log_n, ring, simd)
    }

    fn tables(log_n: u32, bits: u32, simd: Simd) -> NttTables {
        tables_of(RingType::Standard, log_n, bits, simd)
    }

    #[test]
    fn conjugate_invariant_position_holds_the_value_at_its_power_of_psi() {
        for simd in [Simd::portable(), Simd::fastest()] {
            let t = tables_of(RingType::ConjugateInvariant, 11, 50, simd);
            let (m, n) = (&t.modulus, 1 << 11);
            let psi = primitive_root(m, 4 * n as u64);
            // a = 3 + 7 (X^5 + X^-5) + (X^(n-1) + X^(1-n)).
            let mut x = vec![0; n];
            (x[0], x[5], x[n - 1]) = (3, 7, 1);
            t.forward(&mut x);
            for i in 0..n {
                let point = m.pow(psi, 4 * reverse_bits(i, n) as u64 + 1);
                let pair = |k: u64| m.add(m.pow(point, k), m.inv(m.pow(point, k)));
                let value = m.add(3, m.add(m.mul(7, pair(5)), pair(n as u64 - 1)));
                assert_eq!(x[i], value, "{} {i}", simd.name());
            }
        }
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
        let sizes = (11..=16).flat_map(|log_n| [(log_n, 50), (log_n, 61)]);
        for ((log_n, bits), ring) in sizes.flat_map(|size| RingType::ALL.map(|ring| (size, ring))) {
            let t = tables_of(ring, log_n, bits, Simd::fastest());
            let original: Vec<u64> =
                (0..1u64 << log_n).map(|i| t.modulus.reduce(i.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
            let mut x = original.clone();
            t.forward(&mut x);
            assert_ne!(x, original);
            t.inverse(&mut x);
            assert_eq!(x, original, "log_n = {log_n}, {bits} bits, {}", ring.name());
        }
    }
}
