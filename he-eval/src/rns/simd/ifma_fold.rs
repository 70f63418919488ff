//! The first level of conjugate-invariant transforms with AVX-512 IFMA: element i meets element n - i, so vectors from the
//! low half meet reversed, unaligned vectors from the high half. The first and last few words run as the portable twin.

use std::arch::x86_64::{_mm512_add_epi64, _mm512_permutexvar_epi64, _mm512_set_epi64, _mm512_sub_epi64};

use crate::rns::modulus::{Modulus, Shoup};

use super::LANES;
use super::portable::{fold_pair, unfold_pair};
use super::vector::{Prime, V, load, once, store};

/// Applies `scalar` to the pairs that fill no vector and `vector` to the others.
macro_rules! pairs {
    ($x:ident, $scalar:expr, $vector:expr) => {{
        let n = $x.len();
        for i in (1..LANES).chain([n / 2]) {
            ($x[i], $x[n - i]) = $scalar($x[i], $x[n - i]);
        }
        let reversed = _mm512_set_epi64(0, 1, 2, 3, 4, 5, 6, 7);
        let (low, high) = $x.split_at_mut(n / 2);
        // Elements n/2 + 1 .. n - 7 of the whole.
        let high = high[1..n / 2 - LANES + 1].rchunks_exact_mut(LANES);
        for (low, high) in low[LANES..].chunks_exact_mut(LANES).zip(high) {
            let (Some(low), Some(high)) = (low.first_chunk_mut::<LANES>(), high.first_chunk_mut::<LANES>()) else {
                continue;
            };
            let (a, b) = $vector(load(low), _mm512_permutexvar_epi64(reversed, load(high)));
            store(low, a);
            store(high, _mm512_permutexvar_epi64(reversed, b));
        }
    }};
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn fold<const WIDE: bool>(m: &Modulus, root: Shoup, x: &mut [u64]) {
    let (prime, w) = (Prime::<WIDE>::new(m), Prime::<WIDE>::shoup(root));
    let minus = |x: V, y: V| once(_mm512_sub_epi64(_mm512_add_epi64(x, prime.p), prime.mul(y, w)), prime.p);
    pairs!(x, |a, b| fold_pair(m, root, a, b), |a, b| (minus(a, b), minus(b, a)));
}

#[target_feature(enable = "avx512f,avx512ifma,avx512dq")]
pub(super) fn unfold<const WIDE: bool>(m: &Modulus, root: Shoup, x: &mut [u64]) {
    let (prime, w) = (Prime::<WIDE>::new(m), Prime::<WIDE>::shoup(root));
    let plus = |x: V, y: V| prime.add(x, prime.mul(y, w));
    x[0] = m.add(x[0], x[0]);
    pairs!(x, |a, b| unfold_pair(m, root, a, b), |a, b| (plus(a, b), plus(b, a)));
}
