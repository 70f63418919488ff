//! Files of parameters, keys, ciphertexts and encoded weights, for roles that do not share a process.
//!
//! Every file is, in little-endian order:
//!
//! ```text
//! magic "STRIAE" | kind u8 | version u8 | fingerprint [32] | key id [16] | payload length u64 | payload | checksum [32]
//! ```
//!
//! - The fingerprint is the BLAKE3 hash of the parameters in their notation and of the primes chosen for them, so files
//!   of other parameters are refused before anything is read.
//! - The key id is drawn with the secret key and goes into everything made under it (zeros in a file of parameters), so
//!   that mixing keys is refused instead of decrypting to noise.
//! - The checksum is the BLAKE3 hash of all that stands before it. It finds accidents; it is no signature, and whoever can
//!   change a file on purpose can change its checksum too.
//! - A residue takes as many whole bytes as its prime needs. The uniform half of an evaluation key, and of a ciphertext as
//!   its encryption left it, is not stored but drawn again from its seed.
//! - Evaluation keys and ciphertexts carry the hash of the circuit that they are made for.
//!
//! Readers check every length against what is left before they allocate, so a file cannot make them take more than a few
//! times its own size, and they never panic. Which readers accept which kind is fixed: one of evaluation keys reads no
//! byte of the payload of a secret key.

mod ciphertexts;
mod error;
mod header;
mod keys;
mod params;
mod stream;
mod weights;

pub use ciphertexts::{CiphertextGroup, CircuitHash, Content, GroupLabel};
pub use error::SerialError;
pub use header::{FileKind, Fingerprint, KeyId};
pub use params::{read_params, write_params};

pub use weights::WeightIdentity;

pub(super) use header::Identity;
pub(super) use weights::{Section, read_sections, sections_start, write_sections};
