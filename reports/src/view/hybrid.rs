//! Views of networks under a hybrid protocol: estimates, for none of them is run.

use serde::{Deserialize, Serialize};

use super::Seconds;

/// What one image takes under a hybrid protocol.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HybridView {
    /// The protocol and its network, such as "cheetah over lan (384 MB/s, 0.3 ms)".
    pub protocol: String,
    /// Homomorphic time of the server.
    pub server: Seconds,
    /// Time of the client to encrypt and decrypt.
    pub client: Seconds,
    /// Time on the network.
    pub network: Seconds,
    /// Bytes of two-party computation, both directions.
    pub two_party_bytes: u64,
    /// Messages with their answers.
    pub rounds: u64,
}

/// What a layer sends under a hybrid protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficView {
    /// Bytes of ciphertexts and of two-party computation, both directions.
    pub bytes: u64,
    /// Messages with their answers.
    pub rounds: u64,
}
