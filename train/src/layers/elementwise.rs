//! Per-channel curves: an affine map followed by a quadratic or a rectifier, forward and backward.
//!
//! With `u = k x + d` the value is `a u^2 + b u + c`, or `max(u, 0)`. Batch norm is `k` and `d`, a quadratic activation is
//! `a`, `b` and `c`, so one pass over memory does both.
#![expect(clippy::inline_always, reason = "the loops must be compiled with the instructions that dispatch enables")]

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::buffers;

/// Images per partial sum and per job.
pub(super) const IMAGES: usize = 4;
/// Independent partial sums of a loop, one per vector lane.
const LANES: usize = 16;

/// Batch, channels and pixels of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dims {
    pub(crate) channels: usize,
    pub(crate) pixels: usize,
}

impl Dims {
    pub(crate) fn image(self) -> usize {
        self.channels * self.pixels
    }
}

/// The curve of one channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Curve {
    /// Factor before the activation.
    pub(crate) k: f32,
    /// Offset before the activation.
    pub(crate) d: f32,
    /// Mean of `x` that batch norm subtracted; gradients are taken around it.
    pub(crate) centre: f32,
    /// Coefficients `a`, `b`, `c`.
    pub(crate) abc: [f32; 3],
}

impl Curve {
    /// `u = x`.
    pub(crate) const fn quadratic(a: f32, b: f32, c: f32) -> Self {
        Self { k: 1.0, d: 0.0, centre: 0.0, abc: [a, b, c] }
    }

    #[inline(always)]
    fn value<const RELU: bool>(self, x: f32) -> f32 {
        let u = x.mul_add(self.k, self.d);
        if RELU { u.max(0.0) } else { self.abc[0].mul_add(u, self.abc[1]).mul_add(u, self.abc[2]) }
    }

    /// `u` and the gradient of `u`.
    #[inline(always)]
    fn inner<const RELU: bool>(self, x: f32, grad: f32) -> (f32, f32) {
        let u = x.mul_add(self.k, self.d);
        let du =
            if RELU { if u > 0.0 { grad } else { 0.0 } } else { grad * (2.0 * self.abc[0]).mul_add(u, self.abc[1]) };
        (u, du)
    }
}

/// Sums that the parameter gradients of one channel are made of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CurveSums {
    /// Sum of the gradient of `u`.
    pub(crate) du: f64,
    /// Sum of that gradient times `x - centre`.
    pub(crate) du_x: f64,
    /// Gradients of `a`, `b`, `c`.
    pub(crate) abc: [f64; 3],
}

/// Applies a curve per channel.
pub(crate) fn forward(x: &[f32], dims: Dims, curves: &[Curve], relu: bool) -> Vec<f32> {
    let mut y = buffers::take(x.len());
    let job = IMAGES * dims.image();
    let jobs = x.par_chunks(job).zip(y.par_chunks_mut(job));
    jobs.for_each(|(x, y)| Arch::new().dispatch(Forward { x, y, dims, curves, relu }));
    y
}

struct Forward<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    dims: Dims,
    curves: &'a [Curve],
    relu: bool,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let p = self.dims.pixels;
        for (i, y) in self.y.chunks_exact_mut(p).enumerate() {
            let (x, curve) = (&self.x[i * p..][..p], self.curves[i % self.dims.channels]);
            if self.relu {
                map_forward::<true>(x, y, curve);
            } else {
                map_forward::<false>(x, y, curve);
            }
        }
    }
}

#[inline(always)]
fn map_forward<const RELU: bool>(x: &[f32], y: &mut [f32], curve: Curve) {
    for (x, y) in x.iter().zip(y) {
        *y = curve.value::<RELU>(*x);
    }
}

/// The sums per channel over the whole batch.
pub(crate) fn sums(x: &[f32], grad: &[f32], dims: Dims, curves: &[Curve], relu: bool) -> Vec<CurveSums> {
    let job = IMAGES * dims.image();
    let jobs = x.par_chunks(job).zip(grad.par_chunks(job));
    let partials: Vec<Vec<[f64; 5]>> =
        jobs.map(|(x, grad)| Arch::new().dispatch(Sums { x, grad, dims, curves, relu })).collect();
    (0..dims.channels)
        .map(|c| {
            let sum = |i: usize| partials.iter().map(|p| p[c][i]).sum();
            CurveSums { du: sum(0), du_x: sum(1), abc: [sum(2), sum(3), sum(4)] }
        })
        .collect()
}

struct Sums<'a> {
    x: &'a [f32],
    grad: &'a [f32],
    dims: Dims,
    curves: &'a [Curve],
    relu: bool,
}

impl WithSimd for Sums<'_> {
    type Output = Vec<[f64; 5]>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<[f64; 5]> {
        let Dims { channels, pixels: p } = self.dims;
        let mut sums = vec![[0.0; 5]; channels];
        for (i, x) in self.x.chunks_exact(p).enumerate() {
            let (g, curve) = (&self.grad[i * p..][..p], self.curves[i % channels]);
            let map = if self.relu { map_sums::<true>(x, g, curve) } else { map_sums::<false>(x, g, curve) };
            for (sum, map) in sums[i % channels].iter_mut().zip(map) {
                *sum += f64::from(map);
            }
        }
        sums
    }
}

#[inline(always)]
fn map_sums<const RELU: bool>(x: &[f32], grad: &[f32], curve: Curve) -> [f32; 5] {
    let mut sums = [[0f32; LANES]; 5];
    let ((xs, x_rest), (gs, g_rest)) = (x.as_chunks::<LANES>(), grad.as_chunks::<LANES>());
    for (x, g) in xs.iter().zip(gs) {
        for lane in 0..LANES {
            accumulate::<RELU>(&mut sums, lane, curve, x[lane], g[lane]);
        }
    }
    for (x, g) in x_rest.iter().zip(g_rest) {
        accumulate::<RELU>(&mut sums, 0, curve, *x, *g);
    }
    let mut totals = [0.0; 5];
    for (total, lanes) in totals.iter_mut().zip(sums) {
        *total = lanes.iter().sum();
    }
    totals
}

#[inline(always)]
fn accumulate<const RELU: bool>(sums: &mut [[f32; LANES]; 5], lane: usize, curve: Curve, x: f32, g: f32) {
    let (u, du) = curve.inner::<RELU>(x, g);
    sums[0][lane] += du;
    sums[1][lane] = du.mul_add(x - curve.centre, sums[1][lane]);
    if !RELU {
        let gu = g * u;
        sums[2][lane] = gu.mul_add(u, sums[2][lane]);
        sums[3][lane] += gu;
        sums[4][lane] += g;
    }
}

/// The input gradient `scale (du - mean - slope (x - centre))`, per channel `[scale, mean, slope]`.
pub(crate) fn backward(
    x: &[f32],
    grad: &[f32],
    dims: Dims,
    curves: &[Curve],
    relu: bool,
    corrections: &[[f32; 3]],
) -> Vec<f32> {
    let mut dx = buffers::take(x.len());
    let job = IMAGES * dims.image();
    let jobs = x.par_chunks(job).zip(grad.par_chunks(job)).zip(dx.par_chunks_mut(job));
    jobs.for_each(|((x, grad), dx)| Arch::new().dispatch(Backward { x, grad, dx, dims, curves, relu, corrections }));
    dx
}

struct Backward<'a> {
    x: &'a [f32],
    grad: &'a [f32],
    dx: &'a mut [f32],
    dims: Dims,
    curves: &'a [Curve],
    relu: bool,
    corrections: &'a [[f32; 3]],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let p = self.dims.pixels;
        for (i, dx) in self.dx.chunks_exact_mut(p).enumerate() {
            let (x, g, c) = (&self.x[i * p..][..p], &self.grad[i * p..][..p], i % self.dims.channels);
            if self.relu {
                map_backward::<true>(x, g, dx, self.curves[c], self.corrections[c]);
            } else {
                map_backward::<false>(x, g, dx, self.curves[c], self.corrections[c]);
            }
        }
    }
}

#[inline(always)]
fn map_backward<const RELU: bool>(x: &[f32], g: &[f32], dx: &mut [f32], curve: Curve, correction: [f32; 3]) {
    let [scale, mean, slope] = correction;
    for ((x, g), dx) in x.iter().zip(g).zip(dx) {
        let (_, du) = curve.inner::<RELU>(*x, *g);
        *dx = scale * (du - mean - slope * (x - curve.centre));
    }
}
