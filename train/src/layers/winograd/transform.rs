//! The three transforms of `F(4x4, 3x3)` on vectors of channels.
//!
//! A convolution with tiles of `m` outputs and kernels of `r` taps is a product of polynomials, taken at `m + r - 2` points
//! and infinity. The points 0, ±2/3 and ±3/2 lose a third of the bits that the usual 0, ±1 and ±2 lose, and cost nothing more:
//! in pairs of opposite sign all even and all odd terms are shared. With `x` ranging over the points,
//!
//! - `B'` takes windows `d` to the coefficients of `M(X) / (X - x)`, where `M(X) = X (X^2 - A) (X^2 - B)`,
//! - `G` takes kernels to their values at `x` over `M'(x)`,
//! - `A'` takes products `m` to sums of `x^i m`.
//!
//! The weight gradient is the transpose: `G' [(A g A') * (B' d B)] G` summed over tiles.
#![expect(clippy::inline_always, reason = "the loops must be compiled with the instructions that dispatch enables")]

use pulp::Simd;

/// Outputs of a tile in one direction.
pub(super) const TILE: usize = 4;
/// Inputs of a tile in one direction, and points.
pub(super) const WINDOW: usize = TILE + 2;
/// Elements of a transformed tile.
pub(super) const PARTS: usize = WINDOW * WINDOW;

/// The points are 0, plus and minus these, and infinity. Their product is 1, which saves multiplications.
const P: f32 = 2.0 / 3.0;
const Q: f32 = 3.0 / 2.0;
const P2: f32 = P * P;
const Q2: f32 = Q * Q;
/// `M'(x)` at both signs of either point; 1 at 0 and infinity.
const SLOPE_P: f32 = 2.0 * P2 * (P2 - Q2);
const SLOPE_Q: f32 = 2.0 * Q2 * (Q2 - P2);

/// One direction of a transform, of `N` vectors to `M`.
pub(super) trait Line<const N: usize, const M: usize> {
    fn line<S: Simd>(simd: S, values: [S::f32s; N]) -> [S::f32s; M];
}

/// Applies a transform to the columns and then to the rows of a square.
#[inline(always)]
pub(super) fn square<S: Simd, L: Line<N, M>, const N: usize, const M: usize>(
    simd: S,
    values: [[S::f32s; N]; N],
) -> [[S::f32s; M]; M] {
    let mut rows = [[simd.splat_f32s(0.0); N]; M];
    for x in 0..N {
        let mut column = [simd.splat_f32s(0.0); N];
        for y in 0..N {
            column[y] = values[y][x];
        }
        let column = L::line(simd, column);
        for y in 0..M {
            rows[y][x] = column[y];
        }
    }
    let mut out = [[simd.splat_f32s(0.0); M]; M];
    for y in 0..M {
        out[y] = L::line(simd, rows[y]);
    }
    out
}

#[inline(always)]
fn times<S: Simd>(simd: S, factor: f32, x: S::f32s) -> S::f32s {
    simd.mul_f32s(simd.splat_f32s(factor), x)
}

/// `factor x + y`.
#[inline(always)]
fn fma<S: Simd>(simd: S, factor: f32, x: S::f32s, y: S::f32s) -> S::f32s {
    simd.mul_add_f32s(simd.splat_f32s(factor), x, y)
}

/// `even + x odd` and `even - x odd`.
#[inline(always)]
fn both<S: Simd>(simd: S, x: f32, odd: S::f32s, even: S::f32s) -> [S::f32s; 2] {
    [fma(simd, x, odd, even), fma(simd, -x, odd, even)]
}

/// `B'`.
pub(super) struct Window;

impl Line<WINDOW, WINDOW> for Window {
    #[inline(always)]
    fn line<S: Simd>(simd: S, [a, b, c, d, e, f]: [S::f32s; WINDOW]) -> [S::f32s; WINDOW] {
        let [p, minus_p] = both(simd, P, fma(simd, -Q2, b, d), fma(simd, -Q2, c, e));
        let [q, minus_q] = both(simd, Q, fma(simd, -P2, b, d), fma(simd, -P2, c, e));
        let zero = fma(simd, -(P2 + Q2), c, simd.add_f32s(a, e));
        let infinity = fma(simd, -(P2 + Q2), d, simd.add_f32s(b, f));
        [zero, p, minus_p, q, minus_q, infinity]
    }
}

/// `A'`.
pub(super) struct Outputs;

impl Line<WINDOW, TILE> for Outputs {
    #[inline(always)]
    fn line<S: Simd>(simd: S, m: [S::f32s; WINDOW]) -> [S::f32s; TILE] {
        let (p, q) = (simd.add_f32s(m[1], m[2]), simd.add_f32s(m[3], m[4]));
        let (dp, dq) = (simd.sub_f32s(m[1], m[2]), simd.sub_f32s(m[3], m[4]));
        [
            simd.add_f32s(m[0], simd.add_f32s(p, q)),
            fma(simd, P, dp, times(simd, Q, dq)),
            fma(simd, P2, p, times(simd, Q2, q)),
            fma(simd, P * P2, dp, fma(simd, Q * Q2, dq, m[5])),
        ]
    }
}

/// `A`.
pub(super) struct Spread;

impl Line<TILE, WINDOW> for Spread {
    #[inline(always)]
    fn line<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; TILE]) -> [S::f32s; WINDOW] {
        let [p, minus_p] = both(simd, P, fma(simd, P2, d, b), fma(simd, P2, c, a));
        let [q, minus_q] = both(simd, Q, fma(simd, Q2, d, b), fma(simd, Q2, c, a));
        [a, p, minus_p, q, minus_q, d]
    }
}

/// `G`.
pub(super) struct Kernel;

impl Line<3, WINDOW> for Kernel {
    #[inline(always)]
    fn line<S: Simd>(simd: S, [a, b, c]: [S::f32s; 3]) -> [S::f32s; WINDOW] {
        let even_p = fma(simd, P2 / SLOPE_P, c, times(simd, 1.0 / SLOPE_P, a));
        let even_q = fma(simd, Q2 / SLOPE_Q, c, times(simd, 1.0 / SLOPE_Q, a));
        let [p, minus_p] = both(simd, P / SLOPE_P, b, even_p);
        let [q, minus_q] = both(simd, Q / SLOPE_Q, b, even_q);
        [a, p, minus_p, q, minus_q, c]
    }
}

/// `G'`.
pub(super) struct Taps;

impl Line<WINDOW, 3> for Taps {
    #[inline(always)]
    fn line<S: Simd>(simd: S, s: [S::f32s; WINDOW]) -> [S::f32s; 3] {
        let (p, q) = (simd.add_f32s(s[1], s[2]), simd.add_f32s(s[3], s[4]));
        let (dp, dq) = (simd.sub_f32s(s[1], s[2]), simd.sub_f32s(s[3], s[4]));
        [
            fma(simd, 1.0 / SLOPE_P, p, fma(simd, 1.0 / SLOPE_Q, q, s[0])),
            fma(simd, P / SLOPE_P, dp, times(simd, Q / SLOPE_Q, dq)),
            fma(simd, P2 / SLOPE_P, p, fma(simd, Q2 / SLOPE_Q, q, s[5])),
        ]
    }
}
