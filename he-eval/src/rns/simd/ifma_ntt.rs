//! Negacyclic transform with AVX-512 IFMA.
//!
//! Harvey's lazy butterflies with Shoup twiddles: forward values stay below 4p, inverse values below 2p, and for wide
//! primes below 8p and 4p (see `vector`). The upper levels run as radix-4 passes with broadcast twiddles, depth first so
//! that blocks stay in the first-level cache.
//! The last six levels work on 64 words in eight registers: three levels across registers, an 8 x 8 transpose, three
//! more across registers with one twiddle per lane, and the transpose back, which keeps the plain bit-reversed order
//! that cheap automorphisms need (see `automorphism`).

use std::arch::x86_64::{_mm512_shuffle_i64x2, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64};

use crate::rns::modulus::{Modulus, Shoup};
use crate::rns::ntt::{NttTables, Twiddles};

use super::vector::{Factor, Prime, Row, V, load, once, rows_mut, splat, store};

/// Rows of a block for the last six levels.
const BLOCK: usize = 8;
/// Rows of table per block: seven twiddle vectors, each factors and quotients.
const LANE_ROWS: usize = 14;
/// Rows (512 of them are 32 KiB) below which a subtree is finished level by level.
const CACHED: usize = 512;

/// The factors of the last three levels regrouped by vector: for each block of 64 words 7 rows of 8 factors and 8
/// quotients, for sub-blocks of length 8, 4, 4, 2, 2, 2, 2.
pub(super) fn lane_rows(m: &Modulus, factors: &[Shoup]) -> Vec<Row> {
    let n = factors.len();
    let mut rows = Vec::with_capacity(n / 64 * 14);
    for block in 0..n / 64 {
        for (children, j) in [(1, 0), (2, 0), (2, 1), (4, 0), (4, 1), (4, 2), (4, 3)] {
            let factor = |lane: usize| factors[children * (n / 8 + 8 * block + lane) + j];
            rows.push(std::array::from_fn(|lane| factor(lane).w));
            rows.push(std::array::from_fn(|lane| m.lane_quotient(factor(lane))));
        }
    }
    rows
}

#[target_feature(enable = "avx512f")]
#[inline]
fn broadcast<const WIDE: bool>(t: &Twiddles, node: usize) -> Factor {
    Prime::<WIDE>::factor(t.w[node], t.ws[node])
}

#[target_feature(enable = "avx512f")]
#[inline]
fn per_lane(rows: &[Row; LANE_ROWS], i: usize) -> Factor {
    [load(&rows[2 * i]), load(&rows[2 * i + 1])]
}

/// Transposes eight rows of eight lanes.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose(x: &mut [V; BLOCK]) {
    let pair = |i: usize| (_mm512_unpacklo_epi64(x[i], x[i + 1]), _mm512_unpackhi_epi64(x[i], x[i + 1]));
    let ((a0, a1), (a2, a3), (a4, a5), (a6, a7)) = (pair(0), pair(2), pair(4), pair(6));
    // 0x88 takes the even 128-bit quarters of both operands, 0xDD the odd ones.
    let quad = |p, q| (_mm512_shuffle_i64x2::<0x88>(p, q), _mm512_shuffle_i64x2::<0xDD>(p, q));
    let ((b0, b2), (b1, b3)) = (quad(a0, a2), quad(a1, a3));
    let ((b4, b6), (b5, b7)) = (quad(a4, a6), quad(a5, a7));
    (x[0], x[4]) = quad(b0, b4);
    (x[1], x[5]) = quad(b1, b5);
    (x[2], x[6]) = quad(b2, b6);
    (x[3], x[7]) = quad(b3, b7);
}

/// Butterflies on registers $i and $j.
macro_rules! butterfly {
    ($prime:ident.$dir:ident, $x:ident, $w:expr, $(($i:literal, $j:literal)),+) => {{
        let w = $w;
        $({
            let (low, high) = $x.split_at_mut($j);
            $prime.$dir(&mut low[$i], &mut high[0], w);
        })+
    }};
}

/// Three forward levels across registers; `$w(i)` is the twiddle of node i of the small tree in level order.
macro_rules! three_levels_down {
    ($prime:ident, $x:ident, $w:expr) => {{
        butterfly!($prime.forward, $x, $w(0), (0, 4), (1, 5), (2, 6), (3, 7));
        butterfly!($prime.forward, $x, $w(1), (0, 2), (1, 3));
        butterfly!($prime.forward, $x, $w(2), (4, 6), (5, 7));
        butterfly!($prime.forward, $x, $w(3), (0, 1));
        butterfly!($prime.forward, $x, $w(4), (2, 3));
        butterfly!($prime.forward, $x, $w(5), (4, 5));
        butterfly!($prime.forward, $x, $w(6), (6, 7));
    }};
}

/// Three inverse levels across registers.
macro_rules! three_levels_up {
    ($prime:ident, $x:ident, $w:expr) => {{
        butterfly!($prime.inverse, $x, $w(3), (0, 1));
        butterfly!($prime.inverse, $x, $w(4), (2, 3));
        butterfly!($prime.inverse, $x, $w(5), (4, 5));
        butterfly!($prime.inverse, $x, $w(6), (6, 7));
        butterfly!($prime.inverse, $x, $w(1), (0, 2), (1, 3));
        butterfly!($prime.inverse, $x, $w(2), (4, 6), (5, 7));
        butterfly!($prime.inverse, $x, $w(0), (0, 4), (1, 5), (2, 6), (3, 7));
    }};
}

/// Node of the butterfly tree for entry i of the small tree of three levels rooted at k.
#[inline]
const fn node(k: usize, i: usize) -> usize {
    match i {
        0 => k,
        1 | 2 => 2 * k + i - 1,
        _ => 4 * k + i - 3,
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
#[inline]
fn block_forward<const WIDE: bool>(
    t: &Twiddles,
    lanes: &[Row; LANE_ROWS],
    k: usize,
    block: &mut [Row; BLOCK],
    c: &Prime<WIDE>,
) {
    let mut x = [splat(0); BLOCK];
    x.iter_mut().zip(&*block).for_each(|(x, row)| *x = load(row));
    three_levels_down!(c, x, |i| broadcast::<WIDE>(t, node(k, i)));
    transpose(&mut x);
    three_levels_down!(c, x, |i| per_lane(lanes, i));
    transpose(&mut x);
    block.iter_mut().zip(x).for_each(|(row, x)| store(row, c.reduce(once(x, c.bound))));
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
#[inline]
fn block_inverse<const WIDE: bool>(
    t: &Twiddles,
    lanes: &[Row; LANE_ROWS],
    k: usize,
    block: &mut [Row; BLOCK],
    c: &Prime<WIDE>,
) {
    let mut x = [splat(0); BLOCK];
    x.iter_mut().zip(&*block).for_each(|(x, row)| *x = load(row));
    transpose(&mut x);
    three_levels_up!(c, x, |i| per_lane(lanes, i));
    transpose(&mut x);
    three_levels_up!(c, x, |i| broadcast::<WIDE>(t, node(k, i)));
    block.iter_mut().zip(x).for_each(|(row, x)| store(row, x));
}

/// The four quarters of a block of rows.
fn quarters(rows: &mut [Row]) -> [&mut [Row]; 4] {
    let quarter = rows.len() / 4;
    let (a, rest) = rows.split_at_mut(quarter);
    let (b, rest) = rest.split_at_mut(quarter);
    let (c, d) = rest.split_at_mut(quarter);
    [a, b, c, d]
}

/// Two forward levels of the subtree at node k.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
#[inline]
fn radix4_forward<const WIDE: bool>(t: &Twiddles, k: usize, rows: &mut [Row], c: &Prime<WIDE>) {
    let (w1, w2, w3) = (broadcast::<WIDE>(t, k), broadcast::<WIDE>(t, 2 * k), broadcast::<WIDE>(t, 2 * k + 1));
    let [r0, r1, r2, r3] = quarters(rows);
    for (((r0, r1), r2), r3) in r0.iter_mut().zip(r1).zip(r2).zip(r3) {
        let (mut x0, mut x1, mut x2, mut x3) = (load(r0), load(r1), load(r2), load(r3));
        c.forward(&mut x0, &mut x2, w1);
        c.forward(&mut x1, &mut x3, w1);
        c.forward(&mut x0, &mut x1, w2);
        c.forward(&mut x2, &mut x3, w3);
        store(r0, x0);
        store(r1, x1);
        store(r2, x2);
        store(r3, x3);
    }
}

/// Two inverse levels of the subtree at node k.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
#[inline]
fn radix4_inverse<const WIDE: bool>(t: &Twiddles, k: usize, rows: &mut [Row], c: &Prime<WIDE>) {
    let (w1, w2, w3) = (broadcast::<WIDE>(t, k), broadcast::<WIDE>(t, 2 * k), broadcast::<WIDE>(t, 2 * k + 1));
    let [r0, r1, r2, r3] = quarters(rows);
    for (((r0, r1), r2), r3) in r0.iter_mut().zip(r1).zip(r2).zip(r3) {
        let (mut x0, mut x1, mut x2, mut x3) = (load(r0), load(r1), load(r2), load(r3));
        c.inverse(&mut x0, &mut x1, w2);
        c.inverse(&mut x2, &mut x3, w3);
        c.inverse(&mut x0, &mut x2, w1);
        c.inverse(&mut x1, &mut x3, w1);
        store(r0, x0);
        store(r1, x1);
        store(r2, x2);
        store(r3, x3);
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
#[inline]
fn radix2_forward<const WIDE: bool>(t: &Twiddles, k: usize, rows: &mut [Row], c: &Prime<WIDE>) {
    let w = broadcast::<WIDE>(t, k);
    let (low, high) = rows.split_at_mut(rows.len() / 2);
    for (low, high) in low.iter_mut().zip(high) {
        let (mut x, mut y) = (load(low), load(high));
        c.forward(&mut x, &mut y, w);
        store(low, x);
        store(high, y);
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
#[inline]
fn radix2_inverse<const WIDE: bool>(t: &Twiddles, k: usize, rows: &mut [Row], c: &Prime<WIDE>) {
    let w = broadcast::<WIDE>(t, k);
    let (low, high) = rows.split_at_mut(rows.len() / 2);
    for (low, high) in low.iter_mut().zip(high) {
        let (mut x, mut y) = (load(low), load(high));
        c.inverse(&mut x, &mut y, w);
        store(low, x);
        store(high, y);
    }
}

/// The lane table of the first 64-word block below node k, and those after it.
fn lane_tables(t: &Twiddles, first_block: usize) -> &[[Row; LANE_ROWS]] {
    &t.lanes.as_chunks::<LANE_ROWS>().0[first_block..]
}

/// Finishes the subtree at node k.
#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
fn descend<const WIDE: bool>(t: &Twiddles, k: usize, rows: &mut [Row], c: &Prime<WIDE>) {
    if rows.len() > CACHED {
        radix4_forward(t, k, rows, c);
        let quarter = rows.len() / 4;
        for (i, rows) in rows.chunks_exact_mut(quarter).enumerate() {
            descend(t, 4 * k + i, rows, c);
        }
        return;
    }
    let (mut len, mut first) = (rows.len(), k);
    if (len / BLOCK).trailing_zeros() % 2 == 1 {
        radix2_forward(t, k, rows, c);
        len /= 2;
        first *= 2;
    }
    while len > BLOCK {
        for (i, rows) in rows.chunks_exact_mut(len).enumerate() {
            radix4_forward(t, first + i, rows, c);
        }
        len /= 4;
        first *= 4;
    }
    let tables = lane_tables(t, first - t.w.len() / 64);
    for (i, (block, lanes)) in rows.as_chunks_mut::<BLOCK>().0.iter_mut().zip(tables).enumerate() {
        block_forward(t, lanes, first + i, block, c);
    }
}

/// Undoes [`descend`].
#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
fn ascend<const WIDE: bool>(t: &Twiddles, k: usize, rows: &mut [Row], c: &Prime<WIDE>) {
    if rows.len() > CACHED {
        let quarter = rows.len() / 4;
        for (i, rows) in rows.chunks_exact_mut(quarter).enumerate() {
            ascend(t, 4 * k + i, rows, c);
        }
        radix4_inverse(t, k, rows, c);
        return;
    }
    let blocks = rows.len() / BLOCK;
    let first = k * blocks;
    let tables = lane_tables(t, first - t.w.len() / 64);
    for (i, (block, lanes)) in rows.as_chunks_mut::<BLOCK>().0.iter_mut().zip(tables).enumerate() {
        block_inverse(t, lanes, first + i, block, c);
    }
    let odd = blocks.trailing_zeros() % 2 == 1;
    let top = if odd { rows.len() / 2 } else { rows.len() };
    let mut len = 4 * BLOCK;
    while len <= top {
        let first = k * (rows.len() / len);
        for (i, rows) in rows.chunks_exact_mut(len).enumerate() {
            radix4_inverse(t, first + i, rows, c);
        }
        len *= 4;
    }
    if odd {
        radix2_inverse(t, k, rows, c);
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn forward<const WIDE: bool>(tables: &NttTables, x: &mut [u64]) {
    descend(&tables.forward, 1, rows_mut(x), &Prime::<WIDE>::new(&tables.modulus));
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn inverse<const WIDE: bool>(tables: &NttTables, factor: Shoup, add: u64, x: &mut [u64]) {
    let c = Prime::<WIDE>::new(&tables.modulus);
    let rows = rows_mut(x);
    ascend(&tables.inverse, 1, rows, &c);
    let (factor, add) = (Prime::<WIDE>::shoup(factor), splat(add));
    for row in rows {
        let sum = c.add(c.mul(load(row), factor), add);
        store(row, sum);
    }
}
