//! What a program needs from a homomorphic encryption scheme, and the cleartext simulator of it.
//!
//! [`HeBackend`] is the server's side, [`HeClient`] the owner's of the secret key. `clear` computes on plain vectors but
//! tracks levels and scales and refuses what CKKS would refuse; the encrypted implementation is in `rns`. One
//! conformance suite runs on both.

mod clear;
mod interface;
mod plan;

pub use clear::{ClearBackend, ClearCiphertext, ClearClient, ClearLinear, ClearPlain};
pub use interface::{HeBackend, HeClient};
pub(crate) use plan::{CheckedPlan, Tally, check_key_plan, check_scales, check_square_key};
