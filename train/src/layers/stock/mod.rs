//! The same operations composed of candle's own, for devices that the kernels do not run on.
//!
//! Gradients come from candle's tape over one operation, which runs its forward pass again. Nothing here depends on the
//! device, so the golden tests prove these forms on the CPU, against PyTorch.

mod conv;

use candle_core::{CustomOp1, CustomOp2, CustomOp3, Result, Tensor, Var};

use super::{
    basis::{BasisMoments, BasisOp},
    bounds::Bounds,
    norm::{EPSILON, Moments},
    ops::{ActivationOp, BiasOp, LinearOp, NormOp, PoolOp},
};

pub(crate) use conv::ConvPlan;

/// An operation made of candle's own.
pub(crate) trait Stock {
    /// The result.
    fn compute(&self, inputs: &[&Tensor]) -> Result<Tensor>;

    /// Gradients of the inputs, given that of the result; none where it is not wanted.
    fn gradients(&self, inputs: &[&Tensor], grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let vars = inputs.iter().map(|input| Var::from_tensor(input)).collect::<Result<Vec<_>>>()?;
        let result = self.compute(&vars.iter().map(|var| &**var).collect::<Vec<_>>())?;
        let grads = (result * grad)?.sum_all()?.backward()?;
        Ok(vars.iter().map(|var| grads.get(var).map(Tensor::detach)).collect())
    }
}

#[cfg(test)]
thread_local! {
    /// Lets tests run whole networks in the stock form on the CPU.
    pub(crate) static AVOID_KERNELS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Whether our kernels run where a tensor is.
pub(super) fn has_kernels(x: &Tensor) -> bool {
    #[cfg(test)]
    if AVOID_KERNELS.get() {
        return false;
    }
    x.device().is_cpu()
}

/// The kernel of an operation where it runs, its stock form elsewhere.
pub(crate) fn apply1(x: &Tensor, op: &(impl CustomOp1 + Stock)) -> Result<Tensor> {
    if has_kernels(x) { x.apply_op1_no_bwd(op) } else { op.compute(&[x]) }
}

/// As [`apply1`].
pub(crate) fn apply2(x: &Tensor, a: &Tensor, op: &(impl CustomOp2 + Stock)) -> Result<Tensor> {
    if has_kernels(x) { x.apply_op2_no_bwd(a, op) } else { op.compute(&[x, a]) }
}

/// As [`apply1`].
pub(crate) fn apply3(x: &Tensor, a: &Tensor, b: &Tensor, op: &(impl CustomOp3 + Stock)) -> Result<Tensor> {
    if has_kernels(x) { x.apply_op3_no_bwd(a, b, op) } else { op.compute(&[x, a, b]) }
}

/// The gradients as [`CustomOp1::bwd`] and its like return them; none where our kernels run.
pub(super) fn elsewhere<const N: usize>(
    op: &impl Stock,
    inputs: [&Tensor; N],
    grad: &Tensor,
) -> Result<Option<[Option<Tensor>; N]>> {
    if has_kernels(inputs[0]) {
        return Ok(None);
    }
    let grads = op.gradients(&inputs, grad)?;
    Ok(Some(grads.try_into().unwrap_or_else(|_| unreachable!("one gradient per input"))))
}

/// `[batch, channels, ..]` as `[batch, channels, pixels]`.
fn maps(x: &Tensor) -> Result<Tensor> {
    x.reshape((x.dim(0)?, x.dim(1)?, ()))
}

/// A row of a stack of parameters, to be broadcast over maps.
fn row(stack: &Tensor, index: usize) -> Result<Tensor> {
    stack.narrow(0, index, 1)?.reshape((1, (), 1))
}

/// The activation with the curve `[a, b, c]`.
fn activate(u: &Tensor, curve: &Tensor, relu: bool) -> Result<Tensor> {
    if relu {
        // Candle's own has slope 1 at zero.
        return u * u.gt(0.0)?.to_dtype(u.dtype())?;
    }
    let slope = u.broadcast_mul(&row(curve, 0)?)?.broadcast_add(&row(curve, 1)?)?;
    (slope * u)?.broadcast_add(&row(curve, 2)?)
}

impl Stock for LinearOp {
    fn compute(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        inputs[0].matmul(&inputs[1].t()?)
    }
}

impl Stock for BiasOp {
    fn compute(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        maps(inputs[0])?.broadcast_add(&inputs[1].reshape((1, (), 1))?)?.reshape(inputs[0].shape())
    }
}

impl Stock for ActivationOp {
    fn compute(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        activate(&maps(inputs[0])?, inputs[1], self.relu)?.reshape(inputs[0].shape())
    }
}

/// Mean and variance of each channel, `[1, channels, 1]`.
struct Statistics {
    mean: Tensor,
    var: Tensor,
}

impl Statistics {
    /// Of maps `[batch, channels, pixels]`.
    fn of(x: &Tensor) -> Result<Self> {
        let mean = x.mean_keepdim((0, 2))?;
        let var = x.broadcast_sub(&mean)?.sqr()?.mean_keepdim((0, 2))?;
        Ok(Self { mean, var })
    }

    /// `x` with mean zero and variance one.
    fn normalise(&self, x: &Tensor) -> Result<Tensor> {
        x.broadcast_sub(&self.mean)?.broadcast_div(&(&self.var + f64::from(EPSILON))?.sqrt()?)
    }

    fn moments(&self) -> Result<Moments> {
        let host = |t: &Tensor| t.flatten_all()?.to_vec1();
        Ok(Moments { mean: host(&self.mean)?, var: host(&self.var)? })
    }
}

impl Stock for NormOp {
    fn compute(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let x = maps(inputs[0])?;
        let statistics = Statistics::of(&x)?;
        if self.moments.get().is_none() {
            // A second run, for the gradients, finds the same numbers.
            let _ = self.moments.set(statistics.moments()?);
        }
        let scaled = statistics.normalise(&x)?.broadcast_mul(&row(inputs[1], 0)?)?;
        let u = scaled.broadcast_add(&row(inputs[1], 1)?)?;
        activate(&u, inputs[2], self.relu)?.reshape(inputs[0].shape())
    }
}

impl Stock for BasisOp {
    fn compute(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let u = maps(inputs[0])?;
        let square = u.sqr()?;
        let (of_u, of_square) = (Statistics::of(&u)?, Statistics::of(&square)?);
        if self.moments.get().is_none() {
            let first = if self.normalise_first { of_u.moments()? } else { BasisMoments::unchanged(u.dim(1)?) };
            // As above.
            let _ = self.moments.set(BasisMoments { first, second: of_square.moments()? });
        }
        let linear = if self.normalise_first { of_u.normalise(&u)? } else { u };
        let a = of_square.normalise(&square)?.broadcast_mul(&row(inputs[1], 0)?)?;
        let b = linear.broadcast_mul(&row(inputs[1], 1)?)?;
        (a + b)?.broadcast_add(&row(inputs[1], 2)?)?.reshape(inputs[0].shape())
    }
}

impl Stock for PoolOp {
    /// A product with one averaging matrix per direction.
    fn compute(&self, inputs: &[&Tensor]) -> Result<Tensor> {
        let (x, pool) = (inputs[0], self.0);
        let (batch, channels, height, width) = x.dims4()?;
        let averages = |from: usize, to: usize| {
            let inside = |(i, o): (usize, usize)| (o * pool.stride..o * pool.stride + pool.size).contains(&i);
            let share = |at| if inside(at) { 1.0 / pool.size as f32 } else { 0.0 };
            let values = (0..from).flat_map(|i| (0..to).map(move |o| (i, o))).map(share).collect();
            Tensor::from_vec(values, (from, to), x.device())
        };
        let (ho, wo) = pool.output;
        let maps = batch * channels;
        let rows = x.reshape((maps * height, width))?.matmul(&averages(width, wo)?)?;
        let columns = rows.reshape((maps, height, wo))?.transpose(1, 2)?.reshape((maps * wo, height))?;
        let y = columns.matmul(&averages(height, ho)?)?.reshape((maps, wo, ho))?.transpose(1, 2)?;
        y.reshape((batch, channels, ho, wo))
    }
}

impl Bounds {
    /// The magnitudes beyond the limit.
    fn excess(self, x: &Tensor) -> Result<Tensor> {
        (x.abs()? - f64::from(self.limit))?.relu()
    }

    /// The mean of their squares.
    pub(super) fn stock_mean_excess(self, x: &Tensor) -> Result<f32> {
        self.excess(x)?.sqr()?.mean_all()?.to_scalar()
    }

    /// The gradient of `x`, given that of what enters the activation.
    pub(super) fn stock_gradient(self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let scale = 2.0 * f64::from(self.weight) / x.elem_count() as f64;
        let slope = ((self.excess(x)? * x.sign()?)? * scale)?;
        (grad * x.abs()?.le(self.clamp)?.to_dtype(x.dtype())?)? + slope
    }
}
