//! Kernels of the layers on plain slices, and the candle operations that wrap them.
//!
//! Values are f32, batch first, then channel, row, column. Every kernel splits its work independently of the number of
//! threads and adds partial sums in a fixed order.

mod basis;
mod blend;
mod bounds;
mod buffers;
mod canvas;
mod conv;
mod elementwise;
mod flat;
mod kernel;
mod linear;
mod loss;
mod norm;
mod ops;
mod planes;
mod pool;
mod stock;
mod winograd;

#[cfg(test)]
mod tests;

pub use conv::{Conv, ConvGrads};

pub(crate) use basis::{BasisMoments, BasisOp};
pub(crate) use blend::blend;
pub(crate) use bounds::Bounds;
pub(crate) use buffers::{Value, release};
pub(crate) use elementwise::Dims;
pub(crate) use loss::{Loss, Teacher, targets};
pub(crate) use norm::Moments;
pub(crate) use ops::{ActivationOp, BiasOp, ConvOp, LinearOp, NormOp, PoolOp, add, with};
pub(crate) use pool::Pool;
#[cfg(test)]
pub(crate) use stock::{AVOID_KERNELS, Stock};
pub(crate) use stock::{ConvPlan, apply1, apply2, apply3};
