//! The client's and the server's part by file: `striae keygen`, `encrypt`, `infer` and `decrypt` on a bundle.
//!
//! The client makes the keys, encrypts and decrypts; it needs the bundle's `bundle.json` and `architecture.json`, not the
//! weights. The server needs the whole bundle, the evaluation keys and encrypted images. It refuses a file that holds a
//! secret key by its first eight bytes and reads no more of it.
//!
//! What this protects: the server learns nothing of images and results, whatever it does, as long as it never sees what
//! was decrypted. It is trusted to compute the right network: files carry checksums and key ids against accidents and
//! mix-ups, which prove nothing about what was computed. The client learns the logits, and so something of the weights.
//!
//! # What sharing decrypted results leaks
//!
//! CKKS is IND-CPA secure, but not IND-CPA^D (Li and Micciancio, Eurocrypt 2021): a decrypted result is the exact logits
//! plus a small error that depends linearly on the secret key. Whoever holds a ciphertext and all digits of its decryption
//! knows the error, and from enough of them computes the secret key and with it every image ever encrypted under it. The
//! slots that carry no logit count too, which is why `decrypt` does not print them; no noise is added that would hide the
//! error. So the client must not give decrypted values to the server or to anyone who may have seen the ciphertexts: no
//! logits at full precision, in particular no debugging aid that returns them. The class alone, or logits rounded well
//! above the error, tell far less, yet nothing is proved of them here: if logits have to be published, encrypt those images
//! under a key of their own, count them as public, and delete the key afterwards.
//!
//! Both sides lower the network as the bundle records it, whatever calibration they have, and check the program they arrive
//! at. Keys and ciphertexts carry a hash of the network and its program, by which a difference is refused.

mod decrypt;
mod encrypt;
mod files;
mod infer;
mod keygen;
mod network;
mod unfinished;

pub(crate) use decrypt::{DecryptArgs, run as decrypt};
pub(crate) use encrypt::{EncryptArgs, run as encrypt};
pub(crate) use infer::{InferArgs, run as infer};
pub(crate) use keygen::{KeygenArgs, run as keygen};
