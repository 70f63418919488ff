//! Rotations of slots as permutations of transformed values.
//!
//! Rotating slots left by r is the automorphism X -> X^g with g = 5^r modulo the order M of the roots of unity (2N, or 4N
//! in the conjugate-invariant ring). On values in bit-reversed order it moves the value at exponent e g to the position of
//! exponent e. Aligned blocks of eight positions hold exponents that differ by multiples of M/8, so the image of a block
//! is a block in another lane order: the permutation is a table of source blocks plus at most eight lane orders, and costs
//! one load, one lane shuffle and one store per vector.

use striae_cost_model::RingType;

use super::ntt::reverse_bits;
use super::simd::LANES;

/// Generator of the rotation subgroup of the units modulo 2N.
const GENERATOR: usize = 5;

/// 5^r modulo the order of the roots of unity, a power of two.
pub(crate) fn galois_element(rotation: u32, order: usize) -> usize {
    let mask = order - 1;
    let (mut result, mut square, mut r) = (1, GENERATOR, rotation);
    while r > 0 {
        if r & 1 == 1 {
            result = (result * square) & mask;
        }
        square = (square * square) & mask;
        r >>= 1;
    }
    result
}

/// Inverse of an odd element modulo the order of the roots of unity: the group of units has exponent order / 4.
pub(crate) fn inverse_element(g: usize, order: usize) -> usize {
    let mask = order - 1;
    (2..order.trailing_zeros())
        .fold((1, g), |(result, square), _| ((result * square) & mask, (square * square) & mask))
        .0
}

/// An automorphism of transformed polynomials.
#[derive(Clone, Debug)]
pub(crate) struct Automorphism {
    /// For each output vector: 8 * source vector + lane order.
    pub(crate) map: Vec<u32>,
    /// Lane orders.
    pub(crate) lanes: [[u64; LANES]; LANES],
}

impl Automorphism {
    /// The automorphism X -> X^g; in the conjugate-invariant ring g is 1 modulo 4, as every power of 5 is.
    pub(crate) fn new(g: usize, n: usize, ring: RingType) -> Self {
        let order = 1 << ring.log_order(n.ilog2());
        // Position i holds the value at exponent step * br(i) + 1.
        let step = order / n;
        let position = |i: usize| reverse_bits((((step * reverse_bits(i, n) + 1) * g) & (order - 1)) / step, n);
        let mut lanes = [[u64::MAX; LANES]; LANES];
        let mut map = Vec::with_capacity(n / LANES);
        for block in 0..n / LANES {
            let first = position(block * LANES);
            // Lane orders of one automorphism differ by where lane 0 comes from, so that names them.
            let order = first % LANES;
            lanes[order] = std::array::from_fn(|lane| (position(block * LANES + lane) % LANES) as u64);
            map.push((first / LANES * LANES + order) as u32);
        }
        for (order, lanes) in lanes.iter_mut().enumerate() {
            if lanes[0] == u64::MAX {
                // An order that no block uses; any valid content will do.
                *lanes = std::array::from_fn(|lane| ((lane + order) % LANES) as u64);
            }
        }
        Self { map, lanes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rns::simd::{self, Simd};

    #[test]
    fn inverses_multiply_to_one() {
        for n in [2048, 32_768] {
            for r in [0, 1, 3, 1000] {
                let g = galois_element(r, 2 * n);
                assert_eq!(g * inverse_element(g, 2 * n) % (2 * n), 1, "n = {n}, r = {r}");
            }
        }
    }

    #[test]
    fn blocks_and_lanes_give_the_whole_permutation() {
        let n = 2048usize;
        let x: Vec<u64> = (0..n as u64).collect();
        for (r, ring) in [1, 2, 7, 512, 1023].into_iter().flat_map(|r| RingType::ALL.map(|ring| (r, ring))) {
            let order = 1 << ring.log_order(n.ilog2());
            let g = galois_element(r, order);
            let auto = Automorphism::new(g, n, ring);
            let mut out = vec![0; n];
            simd::permute(Simd::fastest(), &auto.map, &auto.lanes, &x, &mut out);
            for i in 0..n {
                let exponent = (order / n * reverse_bits(i, n) + 1) * g % order;
                assert_eq!(exponent % (order / n), 1);
                assert_eq!(out[i] as usize, reverse_bits(exponent / (order / n), n), "r = {r}, i = {i}");
            }
        }
    }
}
