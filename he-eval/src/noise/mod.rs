//! The error of CKKS values: how large it will be, before anything is encrypted.
//!
//! `model` gives the variance that every operation adds to a slot, by average-case analysis in the canonical embedding
//! (Costache, Curtis, Hales, Murphy, Ogilvie and Player, "On the precision loss in approximate homomorphic encryption",
//! 2023; key switching as in Iliashenko and Zucca, 2021). What becomes of an error afterwards is linear algebra on vectors
//! whose entries are far from independent: a convolution spreads one slot's error over its neighbours, a pooling adds them
//! up again. Assuming independence would be too small there, the triangle inequality too large by orders of magnitude. So
//! the clear simulator carries a handful of `probes` through the circuit: error vectors with random signs and the model's
//! variance, whose mean square is an unbiased estimate with every correlation in it (Hutchinson, 1989). `estimate` turns
//! them into a bound with a stated probability of failure.

mod estimate;
mod model;
mod probes;

pub use estimate::ErrorEstimate;

pub(crate) use model::NoiseModel;
pub(crate) use probes::{NoiseSource, Probes, Signs};
