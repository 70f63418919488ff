//! Circuits: an HE program with the weights of a trained network, encoded for a backend.
//!
//! [`Circuit::compile`] works the weights into the diagonals and biases of the program once; [`Circuit::run`] then evaluates
//! any number of encrypted images. Both are generic over [`HeBackend`], so the clear simulator and CKKS execute the same
//! steps. [`reference`] evaluates the network directly, without any of this, as the referee.

mod affine;
mod compile;
mod dense;
mod error;
mod operator;
mod pack;
mod precision;
pub mod reference;
mod run;
mod weights;

pub use compile::Circuit;
pub use error::CircuitError;
pub use pack::{pack, pack_batch, unpack, unpack_batch};
pub use precision::ActivationBounds;
pub use run::StepTime;

pub(crate) use precision::TrackedRun;
pub(crate) use run::{linear_step, window_step};
