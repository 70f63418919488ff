//! CKKS in residue number systems (Cheon, Han, Kim, Kim and Song, 2018) with hybrid key switching.
//!
//! From the bottom up: arithmetic modulo one prime (`modulus`, `primes`, `ntt`, kernels in `simd`), conversions between
//! bases (`basis`), slots (`encoder`, `automorphism`), randomness and keys (`sampling`, `keys`), key switching
//! (`keyswitch`), the two roles (`client` with `recover`, `evaluator`), linear operators (`linear`) and files (`serial`).
//! Polynomials are kept transformed, limb after limb, in words below their prime.

mod automorphism;
mod basis;
mod ciphertext;
mod client;
mod context;
mod encoder;
mod evaluator;
mod keys;
mod keyswitch;
mod linear;
mod mapped;
mod modulus;
mod ntt;
pub(crate) mod parallel;
mod pool;
mod primes;
mod probe;
mod recover;
mod sampling;
pub(crate) mod serial;
mod simd;
mod square;

pub use ciphertext::{FreshCiphertext, RnsCiphertext, RnsPlain};
pub use client::{RnsClient, RnsEncryptor};
pub use evaluator::RnsBackend;
pub use linear::{RnsLinear, WeightSpace};
pub use sampling::Seed;
pub use simd::Simd;

pub(crate) use primes::PrimeChain;
pub(crate) use probe::{RowProbe, StepProbe, Unit};
pub(crate) use sampling::{ERROR_VARIANCE, SECRET_VARIANCE};
