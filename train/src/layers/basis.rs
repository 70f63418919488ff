//! Quadratic activations in Hermite form with a normalisation of each basis (AESPA, Park et al. 2022, arXiv 2201.06699).
//!
//! `y = a (u^2 - E u^2) / sqrt(Var u^2 + eps) + b p + c` per channel, with `p = u` after a batch norm and
//! `p = (u - E u) / sqrt(Var u + eps)` elsewhere. Constants of the Hermite polynomials `u` and `(u^2 - 1) / sqrt 2` cancel
//! in their normalisation. Both bases have unit variance, so that squares of squares cannot grow.
//!
//! With `z` the normalised square, `s` its deviation, `t` that of `u`, and means over the batch, the backward pass is
//! `du = (2 a u / s) (g - mean g - z mean(g z)) + (b / t) (g - mean g - p mean(g p))`, or `b g` for the second part.
#![expect(clippy::inline_always, reason = "the loops must be compiled with the instructions that dispatch enables")]

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{
    buffers,
    elementwise::{self, Curve, Dims, IMAGES},
    norm::{EPSILON, Moments},
    ops::{dims, from_vec, slice, with},
    stock::elsewhere,
};

const LANES: usize = 16;

/// Mean and variance per channel of `u` and of `u^2`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BasisMoments {
    /// Of `u`: zero and about one where it is not normalised.
    pub(crate) first: Moments,
    /// Of `u^2`.
    pub(crate) second: Moments,
}

impl BasisMoments {
    /// Of a batch; `normalise_first` says whether `u` itself is normalised.
    pub(crate) fn of(x: &[f32], dims: Dims, normalise_first: bool) -> Self {
        let jobs = x.par_chunks(IMAGES * dims.image());
        let partials: Vec<Vec<[f64; 3]>> = jobs.map(|x| Arch::new().dispatch(PowerSums { x, dims })).collect();
        let n = (x.len() / dims.channels) as f64;
        let mut moments = Self::default();
        for c in 0..dims.channels {
            let [mean, square, fourth] = [0, 1, 2].map(|i| partials.iter().map(|p| p[c][i]).sum::<f64>() / n);
            let first = if normalise_first { (mean, (square - mean * mean).max(0.0)) } else { Self::IDENTITY };
            moments.first.mean.push(first.0 as f32);
            moments.first.var.push(first.1 as f32);
            moments.second.mean.push(square as f32);
            moments.second.var.push((fourth - square * square).max(0.0) as f32);
        }
        moments
    }

    /// Mean and variance that change nothing.
    pub(crate) const IDENTITY: (f64, f64) = (0.0, 1.0 - EPSILON as f64);

    /// Of a basis that is not normalised.
    pub(crate) fn unchanged(channels: usize) -> Moments {
        let (mean, var) = Self::IDENTITY;
        Moments { mean: vec![mean as f32; channels], var: vec![var as f32; channels] }
    }

    /// The folded `[a, b, c]` of a channel.
    pub(crate) fn fold(&self, c: usize, [a, b, offset]: [f32; 3]) -> [f32; 3] {
        let (a, b) = (a * self.second.inverse_std(c), b * self.first.inverse_std(c));
        [a, b, offset - a * self.second.mean[c] - b * self.first.mean[c]]
    }

    /// The `[a, b, c]` that fold to the given ones.
    pub(crate) fn unfold(&self, c: usize, [a, b, offset]: [f32; 3]) -> [f32; 3] {
        let (s, t) = (self.second.inverse_std(c), self.first.inverse_std(c));
        [a / s, b / t, offset + a * self.second.mean[c] + b * self.first.mean[c]]
    }
}

/// Sums of `u`, `u^2` and `u^4` per channel.
struct PowerSums<'a> {
    x: &'a [f32],
    dims: Dims,
}

impl WithSimd for PowerSums<'_> {
    type Output = Vec<[f64; 3]>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<[f64; 3]> {
        let channels = self.dims.channels;
        let mut sums = vec![[0.0; 3]; channels];
        for (i, map) in self.x.chunks_exact(self.dims.pixels).enumerate() {
            for (sum, map) in sums[i % channels].iter_mut().zip(map_powers(map)) {
                *sum += f64::from(map);
            }
        }
        sums
    }
}

#[inline(always)]
fn map_powers(map: &[f32]) -> [f32; 3] {
    let mut sums = [[0f32; LANES]; 3];
    let (chunks, rest) = map.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            let square = chunk[lane] * chunk[lane];
            sums[0][lane] += chunk[lane];
            sums[1][lane] += square;
            sums[2][lane] = square.mul_add(square, sums[2][lane]);
        }
    }
    for (lane, u) in rest.iter().enumerate() {
        let square = u * u;
        sums[0][lane] += u;
        sums[1][lane] += square;
        sums[2][lane] = square.mul_add(square, sums[2][lane]);
    }
    sums.map(|lanes| lanes.iter().sum())
}

/// The activation. Inputs: `u` and `[a, b, c]` in Hermite form.
pub(crate) struct BasisOp {
    /// Whether `u` is normalised, too: where no batch norm has done it.
    pub(crate) normalise_first: bool,
    /// Receives the batch's moments.
    pub(crate) moments: Arc<OnceLock<BasisMoments>>,
}

impl CustomOp2 for BasisOp {
    fn name(&self) -> &'static str {
        "basis"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, act: &CpuStorage, la: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, act, dims) = (slice(x, lx)?, slice(act, la)?, dims(lx.dims()));
        let moments = self.moments.get_or_init(|| BasisMoments::of(x, dims, self.normalise_first));
        let n = dims.channels;
        let curve = |c: usize| {
            let [a, b, c] = moments.fold(c, [act[c], act[n + c], act[2 * n + c]]);
            Curve::quadratic(a, b, c)
        };
        let curves: Vec<Curve> = (0..n).map(curve).collect();
        Ok((CpuStorage::F32(elementwise::forward(x, dims, &curves, false)), lx.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, act: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        if let Some([dx, d_act]) = elsewhere(self, [x, act], grad)? {
            return Ok((dx, d_act));
        }
        let dims = dims(x.dims());
        let grads = |x: &[f32]| with(act, |act| with(grad, |g| self.grads(x, act, g, dims)));
        let (dx, d_act) = with(x, grads)???;
        Ok((Some(from_vec(dx, x)?), Some(from_vec(d_act, act)?)))
    }
}

impl BasisOp {
    fn grads(&self, x: &[f32], act: &[f32], grad: &[f32], dims: Dims) -> (Vec<f32>, Vec<f32>) {
        let moments = self.moments.get().expect("the forward pass ran");
        let (n, count) = (dims.channels, (x.len() / dims.channels) as f64);
        // With this curve the sums are those of g u^2, g u and g.
        let plain = vec![Curve::quadratic(0.0, 1.0, 0.0); n];
        let sums = elementwise::sums(x, grad, dims, &plain, false);
        let mut d_act = vec![0.0; 3 * n];
        let cubics: Vec<[f32; 5]> = (0..n)
            .map(|c| {
                let [square, linear, g] = sums[c].abc.map(|sum| sum / count);
                let (first, second) = (&moments.first, &moments.second);
                let scale = |m: &Moments| (f64::from(m.mean[c]), f64::from(m.inverse_std(c)));
                let ((m1, t), (m2, s)) = (scale(first), scale(second));
                let (gz, gp) = ((square - m2 * g) * s, (linear - m1 * g) * t);
                for (i, d) in [gz, gp, g].into_iter().enumerate() {
                    d_act[i * n + c] = (d * count) as f32;
                }
                let (a, b) = (2.0 * f64::from(act[c]) * s, f64::from(act[n + c]) * t);
                let (of_mean, of_slope) =
                    if self.normalise_first { (-b * (g - m1 * gp * t), -b * gp * t) } else { (0.0, 0.0) };
                // g (b + a u) + e0 + e1 u + e3 u^3
                [b, a, of_mean, of_slope - a * (g - m2 * gz * s), -a * gz * s].map(|v| v as f32)
            })
            .collect();
        let mut dx = buffers::take(x.len());
        let job = IMAGES * dims.image();
        let jobs = x.par_chunks(job).zip(grad.par_chunks(job)).zip(dx.par_chunks_mut(job));
        jobs.for_each(|((x, grad), dx)| Arch::new().dispatch(Backward { x, grad, dx, dims, cubics: &cubics }));
        (dx, d_act)
    }
}

struct Backward<'a> {
    x: &'a [f32],
    grad: &'a [f32],
    dx: &'a mut [f32],
    dims: Dims,
    /// Per channel `[b, a, e0, e1, e3]`.
    cubics: &'a [[f32; 5]],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let p = self.dims.pixels;
        for (i, dx) in self.dx.chunks_exact_mut(p).enumerate() {
            let (x, g) = (&self.x[i * p..][..p], &self.grad[i * p..][..p]);
            let [b, a, e0, e1, e3] = self.cubics[i % self.dims.channels];
            for ((u, g), dx) in x.iter().zip(g).zip(dx) {
                let cubic = (u * u).mul_add(e3, e1).mul_add(*u, e0);
                *dx = a.mul_add(*u, b).mul_add(*g, cubic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use rand::RngExt;

    use super::*;
    use crate::{
        SeedTree,
        layers::stock::{AVOID_KERNELS, apply2},
    };

    /// The definition, in f64.
    fn reference(x: &[f32], act: &[f32], dims: Dims, normalise_first: bool) -> Vec<f64> {
        let n = dims.channels;
        let mut y = vec![0.0; x.len()];
        for c in 0..n {
            let places: Vec<usize> = (0..x.len()).filter(|i| i / dims.pixels % n == c).collect();
            let count = places.len() as f64;
            let moments = |f: &dyn Fn(f64) -> f64| {
                let values: Vec<f64> = places.iter().map(|&i| f(f64::from(x[i]))).collect();
                let mean = values.iter().sum::<f64>() / count;
                let var = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
                (mean, (var + f64::from(EPSILON)).sqrt())
            };
            let (m1, t) = if normalise_first { moments(&|u| u) } else { (0.0, 1.0) };
            let (m2, s) = moments(&|u| u * u);
            let [a, b, offset] = [act[c], act[n + c], act[2 * n + c]].map(f64::from);
            for i in places {
                let u = f64::from(x[i]);
                y[i] = a * (u * u - m2) / s + b * (u - m1) / t + offset;
            }
        }
        y
    }

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        let dims = Dims { channels: 3, pixels: 20 };
        let mut rng = SeedTree::new(3).rng();
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-1.5..2.0)).collect() };
        let (x, act, g) = (draw(5 * dims.image()), draw(9), draw(5 * dims.image()));
        for (normalise_first, avoid) in [(true, false), (false, false), (true, true), (false, true)] {
            AVOID_KERNELS.set(avoid);
            let op = BasisOp { normalise_first, moments: Arc::default() };
            let tensor = |v: &[f32]| Tensor::from_vec(v.to_vec(), (5, 3, 20), &Device::Cpu).unwrap();
            let (tx, tg) = (tensor(&x), tensor(&g));
            let ta = Tensor::from_vec(act.clone(), (3, 3), &Device::Cpu).unwrap();
            let y = apply2(&tx, &ta, &op).unwrap();
            let expected = reference(&x, &act, dims, normalise_first);
            for (got, expected) in y.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().zip(&expected) {
                assert!((f64::from(*got) - expected).abs() < 1e-5, "{got}, expected {expected}");
            }
            let (dx, d_act) = op.bwd(&tx, &ta, &y, &tg).unwrap();
            let loss = |x: &[f32], act: &[f32]| -> f64 {
                let y = reference(x, act, dims, normalise_first);
                y.iter().zip(&g).map(|(y, g)| y * f64::from(*g)).sum()
            };
            let slope = |at: &[f32], i: usize, loss: &dyn Fn(&[f32]) -> f64| {
                let step = 1e-3;
                let moved = |by: f32| {
                    let mut at = at.to_vec();
                    at[i] += by;
                    loss(&at)
                };
                (moved(step) - moved(-step)) / f64::from(2.0 * step)
            };
            let dx = dx.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for i in (0..x.len()).step_by(7) {
                let expected = slope(&x, i, &|x| loss(x, &act));
                assert!((f64::from(dx[i]) - expected).abs() < 2e-3, "{}, expected {expected}", dx[i]);
            }
            let d_act = d_act.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for i in 0..act.len() {
                let expected = slope(&act, i, &|act| loss(&x, act));
                assert!((f64::from(d_act[i]) - expected).abs() < 1e-2, "{}, expected {expected}", d_act[i]);
            }
            // Folding and unfolding are inverse.
            let moments = op.moments.get().unwrap();
            let there = moments.unfold(1, moments.fold(1, [0.3, 0.4, 0.5]));
            assert!(there.iter().zip([0.3, 0.4, 0.5]).all(|(a, b)| (a - b).abs() < 1e-5));
        }
        AVOID_KERNELS.set(false);
    }
}
