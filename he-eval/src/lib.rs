//! CKKS backends, encrypted circuits and their measurement.

mod backend;
pub mod bench;
mod circuit;
mod error;
mod noise;
mod rns;
mod session;

pub use backend::{ClearBackend, ClearCiphertext, ClearClient, ClearLinear, ClearPlain, HeBackend, HeClient};
pub use circuit::{
    ActivationBounds, Circuit, CircuitError, StepTime, pack, pack_batch, reference, unpack, unpack_batch,
};
pub use error::HeError;
pub use noise::ErrorEstimate;
pub use rns::serial::{
    CiphertextGroup, CircuitHash, Content, FileKind, Fingerprint, GroupLabel, KeyId, SerialError, WeightIdentity,
    read_params, write_params,
};
pub use rns::{
    FreshCiphertext, RnsBackend, RnsCiphertext, RnsClient, RnsEncryptor, RnsLinear, RnsPlain, Seed, Simd, WeightSpace,
};
pub use session::{Expected, Inference, Session, SessionError, SetupTime};
