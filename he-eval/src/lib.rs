
mod backend;
mod error;
mod rns;

pub use backend::{ClearBackend, ClearCiphertext, ClearClient, ClearLinear, ClearPlain, HeBackend, HeClient};
pub use error::HeError;
pub use rns::{RnsBackend, RnsCiphertext, RnsClient, RnsEncryptor, RnsLinear, RnsPlain, Seed, Simd};
