//! Hybrid protocols: homomorphic encryption for linear layers, two-party computation for everything else. They are counted
//! and estimated here, not run.
//!
//! Client and server hold additive shares of every value. For a linear layer the client encrypts its share, the server adds
//! its own, computes, masks the result and sends it back; for an activation they run an oblivious-transfer protocol on their
//! shares. So every layer starts from a fresh encryption, and the client packs each anew: channels lie in any order the layer
//! likes, slot-shift mixing and strides cost nothing, gaps do not exist, and the channel capacity follows each map's own size.
//!
//! | protocol | linear layers | everything else |
//! |---|---|---|
//! | [`Protocol::CrypTFlow2`] | SCI: BFV in slots, N = 8192, rotations under taps (internal), of channels in a row (external), and of the two rows | oblivious transfer by the extension of Kolesnikov and Kumaresan, values in Z_n |
//! | [`Protocol::Cheetah`] | BFV in coefficients, N = 4096, no rotations | oblivious transfer by correlated randomness, values in Z_2^l |
//!
//! Rathee et al., *CrypTFlow2: Practical 2-Party Secure Inference*, CCS 2020, and its public code; Huang et al., *Cheetah: Lean and
//! Fast Secure Two-Party Deep Neural Network Inference*, USENIX Security 2022, and its public code.
//!
//! What the published code has no case for is counted as a plain continuation of it; each file says what. Three things hold for both:
//! - Every activation counts as a ReLU, which is what these protocols run: a quadratic of the same network is for CKKS.
//! - Sums of shares are local, so additions and average pools are free; a pool's factor folds into the next layer's weights, as
//!   lowering does it.
//! - Every linear layer but the last leaves twice the fractional bits and is truncated.
//!
//! ```
//! use striae_cost_model::Calibration;
//! use striae_cost_model::hybrid::{Fusion, HybridEstimate, NetworkLink, Protocol};
//!
//! let network = striae_spaces::zoo::build("resnet20")?;
//! let estimate = HybridEstimate::of(&network, Protocol::CrypTFlow2, Fusion::Cheapest, &Calibration::generic())?;
//! let all = estimate.total();
//! println!("{} rotations, {} by {}", all.counts.rotations(), all.bytes(), NetworkLink::WAN.name);
//! assert!(estimate.latency(&NetworkLink::WAN) > estimate.latency(&NetworkLink::LAN));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chains;
mod cheetah;
mod counts;
mod cryptflow2;
mod error;
mod estimate;
mod layer;
mod network;
mod protocol;
mod sums;
mod tiles;
mod two_party;

pub use chains::Fusion;
pub use counts::LinearCounts;
pub use error::HybridError;
pub use estimate::{HybridEstimate, HybridLayer, HybridStep};
pub use layer::LinearLayer;
pub use network::NetworkLink;
pub use protocol::{Protocol, UnknownProtocol};
pub use two_party::{FRACTION_BITS, VALUE_BITS};
