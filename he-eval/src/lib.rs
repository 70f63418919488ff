//! CKKS backends, encrypted circuits and their measurement.

mod error;
mod rns;

pub use error::HeError;
pub use rns::{Seed, Simd};
