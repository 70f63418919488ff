//! Work spread over limbs by the rayon pool in scope; with one thread these are plain loops.

use rayon::prelude::*;

fn alone() -> bool {
    rayon::current_num_threads() == 1
}

/// Calls `f(t, limb t)` for every limb of `n` words.
pub(crate) fn each_limb(n: usize, x: &mut [u64], f: impl Fn(usize, &mut [u64]) + Sync + Send) {
    if alone() || x.len() == n {
        x.chunks_exact_mut(n).enumerate().for_each(|(t, x)| f(t, x));
    } else {
        x.par_chunks_exact_mut(n).enumerate().for_each(|(t, x)| f(t, x));
    }
}

/// Calls `f(t, limb t of x, limb t of y)` for every limb of `n` words.
pub(crate) fn each_limb_pair(
    n: usize,
    x: &mut [u64],
    y: &mut [u64],
    f: impl Fn(usize, &mut [u64], &mut [u64]) + Sync + Send,
) {
    if alone() || x.len() == n {
        x.chunks_exact_mut(n).zip(y.chunks_exact_mut(n)).enumerate().for_each(|(t, (x, y))| f(t, x, y));
    } else {
        let pairs = x.par_chunks_exact_mut(n).zip(y.par_chunks_exact_mut(n));
        pairs.enumerate().for_each(|(t, (x, y))| f(t, x, y));
    }
}

/// Calls `f(i, item i)` for every item.
pub(crate) fn each<T: Send>(items: &mut [T], f: impl Fn(usize, &mut T) + Sync + Send) {
    if alone() || items.len() == 1 {
        items.iter_mut().enumerate().for_each(|(i, x)| f(i, x));
    } else {
        items.par_iter_mut().enumerate().for_each(|(i, x)| f(i, x));
    }
}

/// The results of `f(0), f(1), .. f(count - 1)`, in order; the first error wins.
pub(crate) fn collect<T: Send, E: Send>(
    count: usize,
    f: impl Fn(usize) -> Result<T, E> + Sync + Send,
) -> Result<Vec<T>, E> {
    if alone() || count == 1 { (0..count).map(f).collect() } else { (0..count).into_par_iter().map(f).collect() }
}
