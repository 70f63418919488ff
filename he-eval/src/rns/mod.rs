//! RNS-CKKS.
mod automorphism;
mod basis;
mod context;
mod encoder;
mod modulus;
mod ntt;
mod parallel;
mod pool;
mod primes;
mod sampling;
mod simd;

pub use sampling::Seed;
pub use simd::Simd;
