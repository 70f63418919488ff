//! The kernels as candle operations.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Device, Error, Layout, Result, Shape, Storage, Tensor};

use super::{
    blend::blend,
    elementwise::{self, Curve, Dims},
    linear,
    norm::Moments,
    pool::Pool,
    stock::{ConvPlan, elsewhere},
};

/// The values of a contiguous f32 tensor on the CPU.
pub(super) fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let values = storage.as_slice::<f32>()?;
    let (start, end) =
        layout.contiguous_offsets().ok_or_else(|| Error::Msg("expected a contiguous tensor".to_owned()))?;
    Ok(&values[start..end])
}

/// Calls `f` with the values of a tensor, copied from where it is if that is not the CPU.
pub(crate) fn with<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let tensor = tensor.to_device(&Device::Cpu)?.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(f(slice(storage, layout)?)),
        Storage::Cuda(_) | Storage::Metal(_) => Err(Error::Msg("expected a tensor on the CPU".to_owned())),
    }
}

/// A tensor in the shape of another and beside it.
pub(super) fn from_vec(values: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, like.shape(), like.device())
}

pub(super) fn dims(shape: &[usize]) -> Dims {
    Dims { channels: shape[1], pixels: shape[2..].iter().product() }
}

/// The sum of two tensors of one shape; candle's own waits at spinning barriers when cores are busy.
pub(crate) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    blend(1.0, a, 1.0, b)
}

fn narrow(values: impl Iterator<Item = f64>) -> Vec<f32> {
    values.map(|v| v as f32).collect()
}

/// Convolution of `[batch, channels, height, width]` with `[outputs, channels / groups, taps]`.
pub(crate) struct ConvOp {
    pub(crate) conv: Arc<ConvPlan>,
    /// Height and width of the output.
    pub(crate) output: (usize, usize),
    /// Whether the input's gradient is wanted; the image's is not.
    pub(crate) need_input: bool,
}

impl CustomOp2 for ConvOp {
    fn name(&self) -> &'static str {
        "conv"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = self.conv.kernels.forward(slice(x, lx)?, slice(w, lw)?);
        let shape = Shape::from((lx.dims()[0], lw.dims()[0], self.output.0, self.output.1));
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        if let Some([dx, dw]) = elsewhere(self, [x, w], grad)? {
            return Ok((dx, dw));
        }
        let backward =
            |x: &[f32]| with(w, |w| with(grad, |grad| self.conv.kernels.backward(x, w, grad, self.need_input)));
        let grads = with(x, backward)???;
        let dx = grads.input.map(|dx| from_vec(dx, x)).transpose()?;
        Ok((dx, Some(from_vec(grads.weight, w)?)))
    }
}

/// Product of `[batch, features]` with the transpose of `[outputs, features]`.
pub(crate) struct LinearOp {
    /// Whether the input's gradient is wanted.
    pub(crate) need_input: bool,
}

impl CustomOp2 for LinearOp {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = linear::forward(slice(x, lx)?, slice(w, lw)?, lx.dims()[1]);
        Ok((CpuStorage::F32(y), Shape::from((lx.dims()[0], lw.dims()[0]))))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        if let Some([dx, dw]) = elsewhere(self, [x, w], grad)? {
            return Ok((dx, dw));
        }
        let features = x.dim(1)?;
        let dw = with(x, |x| with(grad, |g| linear::weight_grad(x, g, features)))??;
        let input_grad = || from_vec(with(grad, |g| with(w, |w| linear::input_grad(g, w, features)))??, x);
        let dx = self.need_input.then(input_grad).transpose()?;
        Ok((dx, Some(from_vec(dw, w)?)))
    }
}

/// Adds `[channels]` to `[batch, channels, ..]`.
pub(crate) struct BiasOp;

impl CustomOp2 for BiasOp {
    fn name(&self) -> &'static str {
        "bias"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, b: &CpuStorage, lb: &Layout) -> Result<(CpuStorage, Shape)> {
        let curves: Vec<Curve> = slice(b, lb)?.iter().map(|&b| Curve::quadratic(0.0, 1.0, b)).collect();
        let y = elementwise::forward(slice(x, lx)?, dims(lx.dims()), &curves, false);
        Ok((CpuStorage::F32(y), lx.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, b: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        if let Some([dx, db]) = elsewhere(self, [x, b], grad)? {
            return Ok((dx, db));
        }
        let dims = dims(x.dims());
        let curves = vec![Curve::quadratic(0.0, 1.0, 0.0); dims.channels];
        let sums = with(grad, |g| elementwise::sums(g, g, dims, &curves, false))?;
        Ok((Some(grad.clone()), Some(from_vec(narrow(sums.iter().map(|s| s.abc[2])), b)?)))
    }
}

/// Batch norm in training and the activation after it. Inputs: `x`, `[gamma, beta]`, and `[a, b, c]` of the activation,
/// which is `[0, 1, 0]` where there is none.
pub(crate) struct NormOp {
    pub(crate) relu: bool,
    /// Receives the batch's moments.
    pub(crate) moments: Arc<OnceLock<Moments>>,
}

impl NormOp {
    fn curves(moments: &Moments, norm: &[f32], act: &[f32]) -> Vec<Curve> {
        let n = norm.len() / 2;
        (0..n).map(|c| moments.curve(c, norm[c], norm[n + c], [act[c], act[n + c], act[2 * n + c]])).collect()
    }

    fn grads(&self, x: &[f32], norm: &[f32], act: &[f32], grad: &[f32], dims: Dims) -> [Vec<f32>; 3] {
        let moments = self.moments.get().expect("the forward pass ran");
        let (n, count) = (dims.channels, (x.len() / dims.channels) as f64);
        let curves = Self::curves(moments, norm, act);
        let sums = elementwise::sums(x, grad, dims, &curves, self.relu);
        let du_xhat = |c: usize| sums[c].du_x * f64::from(moments.inverse_std(c));
        let corrections: Vec<[f32; 3]> = (0..n)
            .map(|c| {
                let inverse_std = moments.inverse_std(c);
                let slope = du_xhat(c) / count * f64::from(inverse_std);
                [norm[c] * inverse_std, (sums[c].du / count) as f32, slope as f32]
            })
            .collect();
        let dx = elementwise::backward(x, grad, dims, &curves, self.relu, &corrections);
        let d_norm = narrow((0..n).map(du_xhat).chain(sums.iter().map(|s| s.du)));
        let d_act = narrow((0..3).flat_map(|i| sums.iter().map(move |s| s.abc[i])));
        [dx, d_norm, d_act]
    }
}

impl CustomOp3 for NormOp {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        norm: &CpuStorage,
        ln: &Layout,
        act: &CpuStorage,
        la: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, dims) = (slice(x, lx)?, dims(lx.dims()));
        let moments = self.moments.get_or_init(|| Moments::of(x, dims));
        let curves = Self::curves(moments, slice(norm, ln)?, slice(act, la)?);
        Ok((CpuStorage::F32(elementwise::forward(x, dims, &curves, self.relu)), lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        norm: &Tensor,
        act: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        if let Some([dx, d_norm, d_act]) = elsewhere(self, [x, norm, act], grad)? {
            return Ok((dx, d_norm, d_act));
        }
        let dims = dims(x.dims());
        let grads = |x: &[f32]| with(norm, |n| with(act, |a| with(grad, |g| self.grads(x, n, a, g, dims))));
        let [dx, d_norm, d_act] = with(x, grads)????;
        Ok((Some(from_vec(dx, x)?), Some(from_vec(d_norm, norm)?), Some(from_vec(d_act, act)?)))
    }
}

/// An activation alone. Inputs: `x` and `[a, b, c]`.
pub(crate) struct ActivationOp {
    pub(crate) relu: bool,
}

impl ActivationOp {
    fn curves(act: &[f32]) -> Vec<Curve> {
        let n = act.len() / 3;
        (0..n).map(|c| Curve::quadratic(act[c], act[n + c], act[2 * n + c])).collect()
    }
}

impl CustomOp2 for ActivationOp {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, act: &CpuStorage, la: &Layout) -> Result<(CpuStorage, Shape)> {
        let curves = Self::curves(slice(act, la)?);
        let y = elementwise::forward(slice(x, lx)?, dims(lx.dims()), &curves, self.relu);
        Ok((CpuStorage::F32(y), lx.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, act: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        if let Some([dx, d_act]) = elsewhere(self, [x, act], grad)? {
            return Ok((dx, d_act));
        }
        let dims = dims(x.dims());
        let curves = with(act, Self::curves)?;
        let identity = vec![[1.0, 0.0, 0.0]; dims.channels];
        let both = |x: &[f32], g: &[f32]| {
            let sums = elementwise::sums(x, g, dims, &curves, self.relu);
            let d_act = narrow((0..3).flat_map(|i| sums.iter().map(move |s| s.abc[i])));
            (elementwise::backward(x, g, dims, &curves, self.relu, &identity), d_act)
        };
        let (dx, d_act) = with(x, |x| with(grad, |g| both(x, g)))??;
        Ok((Some(from_vec(dx, x)?), Some(from_vec(d_act, act)?)))
    }
}

/// Average pooling.
pub(crate) struct PoolOp(pub(crate) Pool);

impl CustomOp1 for PoolOp {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let shape = Shape::from((lx.dims()[0], lx.dims()[1], self.0.output.0, self.0.output.1));
        Ok((CpuStorage::F32(self.0.forward(slice(x, lx)?)), shape))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        if let Some([dx]) = elsewhere(self, [x], grad)? {
            return Ok(dx);
        }
        from_vec(with(grad, |g| self.0.backward(g))?, x).map(Some)
    }
}
