//! Portable twins of the kernels; see the parent module for what each computes.

use crate::rns::modulus::{LAZY_PRODUCTS, Modulus, Shoup, below};
use crate::rns::ntt::NttTables;

use super::{LANES, Sources};

/// a b + c d + .., reduced before the 128-bit sum can overflow.
pub(super) fn sum_of_products(m: &Modulus, products: impl Iterator<Item = (u64, u64)>) -> u64 {
    let mut sum = 0;
    for (i, (a, b)) in products.enumerate() {
        if i > 0 && i % LAZY_PRODUCTS == 0 {
            sum = u128::from(m.reduce_wide(sum));
        }
        sum += u128::from(a) * u128::from(b);
    }
    m.reduce_wide(sum)
}

/// Harvey's butterfly (x, y) <- (x + w y, x - w y) on values in [0, 4p).
fn forward_butterfly(m: &Modulus, x: &mut u64, y: &mut u64, w: Shoup) {
    let twice = 2 * m.value();
    let a = below(*x, twice);
    let t = m.mul_lazy(*y, w);
    *x = a + t;
    *y = a + twice - t;
}

/// Its inverse (x, y) <- (x + y, (x - y) w) on values in [0, 2p).
fn inverse_butterfly(m: &Modulus, x: &mut u64, y: &mut u64, w: Shoup) {
    let twice = 2 * m.value();
    let sum = *x + *y;
    let difference = *x + twice - *y;
    *x = below(sum, twice);
    *y = m.mul_lazy(difference, w);
}

pub(super) fn ntt_forward(tables: &NttTables, x: &mut [u64]) {
    let m = &tables.modulus;
    let mut len = x.len();
    let mut node = 1;
    while len > 1 {
        for block in x.chunks_exact_mut(len) {
            let (low, high) = block.split_at_mut(len / 2);
            let w = tables.forward.at(node);
            low.iter_mut().zip(high).for_each(|(x, y)| forward_butterfly(m, x, y, w));
            node += 1;
        }
        len /= 2;
    }
    let twice = 2 * m.value();
    for v in x {
        *v = m.once(below(*v, twice));
    }
}

pub(super) fn ntt_inverse(tables: &NttTables, x: &mut [u64]) {
    let m = &tables.modulus;
    let mut len = 2;
    while len <= x.len() {
        let first = x.len() / len;
        for (i, block) in x.chunks_exact_mut(len).enumerate() {
            let (low, high) = block.split_at_mut(len / 2);
            let w = tables.inverse.at(first + i);
            low.iter_mut().zip(high).for_each(|(x, y)| inverse_butterfly(m, x, y, w));
        }
        len *= 2;
    }
    for v in x {
        *v = m.once(*v);
    }
}

pub(super) fn fold(m: &Modulus, root: Shoup, x: &mut [u64]) {
    let n = x.len();
    for i in 1..=n / 2 {
        (x[i], x[n - i]) = fold_pair(m, root, x[i], x[n - i]);
    }
}

pub(super) fn unfold(m: &Modulus, root: Shoup, x: &mut [u64]) {
    let n = x.len();
    x[0] = m.add(x[0], x[0]);
    for i in 1..=n / 2 {
        (x[i], x[n - i]) = unfold_pair(m, root, x[i], x[n - i]);
    }
}

/// (x - root y, y - root x).
pub(super) fn fold_pair(m: &Modulus, root: Shoup, x: u64, y: u64) -> (u64, u64) {
    (m.sub(x, m.mul_shoup(y, root)), m.sub(y, m.mul_shoup(x, root)))
}

/// (x + root y, y + root x).
pub(super) fn unfold_pair(m: &Modulus, root: Shoup, x: u64, y: u64) -> (u64, u64) {
    (m.add(x, m.mul_shoup(y, root)), m.add(y, m.mul_shoup(x, root)))
}

pub(super) fn scale_add(m: &Modulus, x: &mut [u64], factor: Shoup, add: u64) {
    for v in x {
        *v = m.add(m.mul_shoup(*v, factor), add);
    }
}

pub(super) fn overflow(ys: &[&[u64]], inverses: &[f64], out: &mut [u64]) {
    for (j, o) in out.iter_mut().enumerate() {
        let mut sum = 0.0;
        for (y, inverse) in ys.iter().zip(inverses) {
            // No fused multiply-add: the vector twin must round alike, and not every CPU has one.
            sum += y[j] as f64 * inverse;
        }
        *o = sum as u64;
    }
}

pub(super) fn convert(m: &Modulus, sources: Sources<'_>, coefficients: &[u64], subtract: u64, out: &mut [u64]) {
    for (j, o) in out.iter_mut().enumerate() {
        let sum = sum_of_products(m, sources.ys.iter().zip(coefficients).map(|(y, &c)| (y[j], c)));
        *o = m.sub(sum, subtract);
    }
}

pub(super) fn sub_scale(m: &Modulus, u: &[u64], v: &[u64], factor: Shoup, out: &mut [u64]) {
    for ((o, &u), &v) in out.iter_mut().zip(u).zip(v) {
        *o = m.mul_shoup(u + m.value() - v, factor);
    }
}

pub(super) fn add_assign(m: &Modulus, x: &mut [u64], y: &[u64]) {
    x.iter_mut().zip(y).for_each(|(x, &y)| *x = m.add(*x, y));
}

pub(super) fn add_scaled(m: &Modulus, x: &mut [u64], y: &[u64], factor: Shoup) {
    x.iter_mut().zip(y).for_each(|(x, &y)| *x = m.add(*x, m.mul_shoup(y, factor)));
}

pub(super) fn square(m: &Modulus, a0: &mut [u64], a1: &mut [u64], out2: &mut [u64]) {
    for ((x, y), z) in a0.iter_mut().zip(a1).zip(out2) {
        let cross = m.mul(*x, *y);
        *z = m.mul(*y, *y);
        *y = m.add(cross, cross);
        *x = m.mul(*x, *x);
    }
}

pub(super) fn lift(m: &Modulus, coefficients: &[i64], out: &mut [u64]) {
    out.iter_mut().zip(coefficients).for_each(|(o, &c)| *o = m.residue(c));
}

/// The source vector and the lane permutation of one output vector.
fn source<'a>(entry: u32, lanes: &'a [[u64; LANES]; LANES], x: &'a [u64]) -> (&'a [u64], &'a [u64; LANES]) {
    let block = entry as usize / LANES;
    (&x[block * LANES..][..LANES], &lanes[entry as usize % LANES])
}

pub(super) fn permute(map: &[u32], lanes: &[[u64; LANES]; LANES], x: &[u64], out: &mut [u64]) {
    for (&entry, o) in map.iter().zip(out.as_chunks_mut::<LANES>().0) {
        let (block, order) = source(entry, lanes, x);
        *o = order.map(|lane| block[lane as usize]);
    }
}

pub(super) fn permute_add(m: &Modulus, map: &[u32], lanes: &[[u64; LANES]; LANES], x: &[u64], out: &mut [u64]) {
    for (&entry, o) in map.iter().zip(out.as_chunks_mut::<LANES>().0) {
        let (block, order) = source(entry, lanes, x);
        for (o, &lane) in o.iter_mut().zip(order) {
            *o = m.add(*o, block[lane as usize]);
        }
    }
}
