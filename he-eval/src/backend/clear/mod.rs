//! The cleartext simulator: plain vectors with the levels, scales, refusals and operation counts of CKKS.
//!
//! It uses the primes of the encrypted backend, so scales drift alike, and its values are the exact ones of the circuit.
//! Values that would not fit the modulus of their level are refused here, where they can be seen. Where it is asked to
//! ([`ClearBackend::with_errors`]), it carries beside every value the error that encryption would give it (see `noise`).

mod chain;
mod ciphertext;
mod diagonal;
mod evaluator;
mod linear;

pub use ciphertext::{ClearCiphertext, ClearClient, ClearPlain};
pub use evaluator::ClearBackend;
pub use linear::ClearLinear;
