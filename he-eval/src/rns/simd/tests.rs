//! Every vector kernel gives the words of its portable twin.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use striae_cost_model::RingType;

use super::*;
use crate::rns::automorphism::{Automorphism, galois_element};
use crate::rns::primes::PrimeChain;

const N: usize = 2048;

struct Case {
    rng: ChaCha8Rng,
    m: Modulus,
}

impl Case {
    fn new(seed: u64, bits: u32) -> Self {
        let prime = PrimeChain::new(12, &[bits], &[]).unwrap().q[0];
        Self { rng: ChaCha8Rng::seed_from_u64(seed), m: Modulus::new(prime) }
    }

    /// Residues, with the extremes among them.
    fn poly(&mut self) -> Vec<u64> {
        let p = self.m.value();
        let mut x: Vec<u64> = (0..N).map(|_| self.rng.random_range(0..p)).collect();
        x[..4].copy_from_slice(&[0, 1, p - 1, p - 2]);
        x
    }

    /// All residues p - 1: the largest lazy sums.
    fn largest(&self) -> Vec<u64> {
        vec![self.m.value() - 1; N]
    }

    fn factor(&mut self) -> Shoup {
        let w = self.rng.random_range(0..self.m.value());
        self.m.shoup(w)
    }
}

/// Runs a kernel both ways on copies of `state` and compares everything it wrote.
fn same(state: &[Vec<u64>], kernel: impl Fn(Simd, &mut [Vec<u64>])) {
    let run = |simd| {
        let mut state = state.to_vec();
        kernel(simd, &mut state);
        state
    };
    let portable = run(Simd::portable());
    for simd in Simd::available() {
        assert!(run(simd) == portable, "{} differs from its portable twin", simd.name());
    }
}

fn two(state: &mut [Vec<u64>]) -> (&mut Vec<u64>, &mut Vec<u64>) {
    let (a, b) = state.split_at_mut(1);
    (&mut a[0], &mut b[0])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn elementwise_kernels(seed in any::<u64>(), bits in prop::sample::select(vec![17u32, 30, 40, 50, 51, 60, 61])) {
        let mut c = Case::new(seed, bits);
        let (m, s, add) = (c.m.clone(), c.factor(), c.factor().w);
        let state = [c.poly(), c.poly(), c.poly()];
        same(&state, |simd, x| scale_add(simd, &m, &mut x[0], s, add));
        same(&state, |simd, x| fold(simd, &m, s, &mut x[0]));
        same(&state, |simd, x| unfold(simd, &m, s, &mut x[0]));
        same(&state, |simd, x| { let (a, b) = two(x); add_assign(simd, &m, a, b); });
        same(&state, |simd, x| { let (a, b) = two(x); add_scaled(simd, &m, a, b, s); });
        same(&state, |simd, x| { let (a, b) = two(x); let u = a.clone(); sub_scale(simd, &m, &u, b, s, a); });
        same(&state, |simd, x| {
            let [a, b, c] = x else { unreachable!("three polynomials") };
            square(simd, &m, a, b, c);
        });
        let signed: Vec<i64> = (0..N).map(|_| c.rng.random()).collect();
        same(&state, |simd, x| lift(simd, &m, &signed, &mut x[0]));
        let auto = Automorphism::new(galois_element((seed % 1024) as u32, 2 * N), N, RingType::Standard);
        same(&state, |simd, x| { let (a, b) = two(x); permute(simd, &auto.map, &auto.lanes, a, b); });
        same(&state, |simd, x| { let (a, b) = two(x); permute_add(simd, &m, &auto.map, &auto.lanes, a, b); });
    }

    #[test]
    fn sums_of_products(seed in any::<u64>(), bits in prop::sample::select(vec![17u32, 40, 50, 51, 61]), count in 1usize..40) {
        let mut c = Case::new(seed, bits);
        let m = c.m.clone();
        let ys: Vec<Vec<u64>> = (0..count).map(|_| if seed % 2 == 0 { c.largest() } else { c.poly() }).collect();
        let refs: Vec<&[u64]> = ys.iter().map(Vec::as_slice).collect();
        let coefficients: Vec<u64> = (0..count).map(|_| if seed % 2 == 0 { m.value() - 1 } else { c.factor().w }).collect();
        let state = [vec![0; N], vec![0; N]];
        same(&state, |simd, x| convert(simd, &m, Sources { ys: &refs, narrow: m.is_narrow() }, &coefficients, coefficients[0], &mut x[0]));
        let wide: Vec<Vec<u64>> = ys.iter().map(|y| y.iter().map(|y| y.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 3).collect()).collect();
        let wide: Vec<&[u64]> = wide.iter().map(Vec::as_slice).collect();
        let wide = Sources { ys: &wide, narrow: false };
        same(&state, |simd, x| convert(simd, &m, wide, &coefficients, coefficients[0], &mut x[0]));
        let inverses = vec![1.0 / m.value() as f64; count];
        same(&state, |simd, x| overflow(simd, &refs, &inverses, &mut x[0]));
    }
}

/// Both twins against the sum written out, for every width of words; the key has one pair more than there are digits, and
/// blocks outside of the range stay as they are.
#[test]
fn keys() {
    for (bits, width) in [(20, 4), (32, 4), (33, 5), (40, 5), (48, 6), (50, 7), (51, 7), (56, 7), (61, 8)] {
        for (largest, count) in [(false, 1), (true, 40), (false, 17)] {
            let mut c = Case::new(u64::from(bits), bits);
            let layout = KeyLayout::new(c.m.value(), count + 1);
            assert_eq!(layout.bytes(N), 2 * (count + 1) * N * width);
            let mut poly = || if largest { c.largest() } else { c.poly() };
            let digits: Vec<Vec<u64>> = (0..count).map(|_| poly()).collect();
            let pairs: Vec<[Vec<u64>; 2]> = (0..=count).map(|_| [poly(), poly()]).collect();
            let mut bytes = vec![0; layout.bytes(N)];
            for (digit, pair) in pairs.iter().enumerate() {
                pair.iter().enumerate().for_each(|(half, poly)| layout.store(poly, digit, half, &mut bytes));
            }
            let mut loaded = vec![0; N];
            layout.load(&bytes, count, 1, &mut loaded);
            assert_eq!(loaded, pairs[count][1]);
            let digits: Vec<&[u64]> = digits.iter().map(Vec::as_slice).collect();
            let key = KeyLimb { layout, bytes: &bytes };
            let blocks = 3..N / KEY_BLOCK - 1;
            let state = [vec![7; N], vec![7; N]];
            same(&state, |simd, x| {
                let (a, b) = two(x);
                key_dot(simd, &c.m, &digits, key, blocks.clone(), [a, b]);
                for (half, got) in [a, b].into_iter().enumerate() {
                    for (j, &got) in got.iter().enumerate() {
                        let products = digits.iter().zip(&pairs).map(|(d, pair)| c.m.mul(d[j], pair[half][j]));
                        let sum = products.fold(0, |sum, x| c.m.add(sum, x));
                        assert_eq!(got, if blocks.contains(&(j / KEY_BLOCK)) { sum } else { 7 });
                    }
                }
            });
        }
    }
}

/// Both twins against the sum written out, for every width of words and both layouts.
#[test]
fn dot_products() {
    for (bits, width) in [(20, 4), (32, 4), (33, 5), (40, 5), (48, 6), (50, 7), (51, 7), (56, 7), (61, 8)] {
        for (mirrored, largest, count) in [(true, false, 5), (true, true, 40), (false, true, 17), (false, false, 33)] {
            let mut c = Case::new(u64::from(bits), bits);
            let tiling = Tiling::new(mirrored, c.m.value());
            assert_eq!(tiling.bytes(), width * tiling.words());
            let mut poly = || if largest { c.largest() } else { c.poly() };
            let diagonals: Vec<Vec<u64>> = (0..count).map(|_| poly()).collect();
            let operands: Vec<[Vec<u64>; 2]> = (0..count).map(|_| [poly(), poly()]).collect();
            let mut spread = vec![0; 2 * N * count];
            for (i, operand) in operands.iter().enumerate() {
                (0..2).for_each(|part| tiling.spread(&operand[part], 2 * i + part, count, &mut spread));
            }
            let terms: Vec<(u32, u32)> = (0..count as u32).map(|i| (i, count as u32 - 1 - i)).collect();
            let state = [vec![0; OPERAND_TILE * Tiling::count(N)]];
            same(&state, |simd, x| {
                let mut plains = vec![0; count * tiling.bytes()];
                let tiles = x[0].chunks_exact_mut(OPERAND_TILE).zip(spread.chunks_exact(count * OPERAND_TILE));
                for (tile, (out, operands)) in tiles.enumerate() {
                    for (diagonal, out) in diagonals.iter().zip(plains.chunks_exact_mut(tiling.bytes())) {
                        tiling.pack(diagonal, tile, out);
                    }
                    dot(simd, &c.m, tiling, &terms, &plains, operands, out);
                }
                for part in 0..2 {
                    let mut sum = vec![0; N];
                    tiling.gather(&x[0], part, 1, &mut sum);
                    for (j, sum) in sum.iter().enumerate() {
                        let stored = if mirrored { j.min(N - 1 - j) } else { j };
                        let product = |i: usize| c.m.mul(diagonals[i][stored], operands[count - 1 - i][part][j]);
                        assert_eq!((0..count).map(product).fold(0, |a, b| c.m.add(a, b)), *sum, "{tiling:?}, word {j}");
                    }
                }
            });
        }
    }
}

#[test]
fn transforms() {
    for log_n in 8..=16 {
        for bits in [log_n + 9, 40, 50, 51, 61] {
            let prime = PrimeChain::new(log_n + 1, &[bits], &[]).unwrap().q[0];
            let mut rng = ChaCha8Rng::seed_from_u64(u64::from(bits));
            let tables = |simd| NttTables::new(prime, 1 << log_n, RingType::Standard, simd);
            for largest in [false, true] {
                let x: Vec<u64> =
                    (0..1 << log_n).map(|_| if largest { prime - 1 } else { rng.random_range(0..prime) }).collect();
                same(std::slice::from_ref(&x), |simd, x| ntt_forward(simd, &tables(simd), &mut x[0]));
                same(&[x], |simd, x| ntt_inverse(simd, &tables(simd), &mut x[0]));
            }
        }
    }
}
