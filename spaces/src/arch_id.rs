//! Stable names of networks.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::TypedGraph;

/// A network's name: the first 64 bits of the BLAKE3 hash of its notation, shown as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ArchId(u64);

/// Text that is not an [`ArchId`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not an architecture id: expected 16 hexadecimal digits")]
pub struct ArchIdError {
    text: String,
}

impl TypedGraph {
    /// The network's stable name.
    pub fn arch_id(&self) -> ArchId {
        let hash = blake3::hash(self.to_string().as_bytes());
        ArchId(hash.as_bytes()[..8].iter().fold(0, |id, &byte| id << 8 | u64::from(byte)))
    }
}

impl fmt::Display for ArchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for ArchId {
    type Err = ArchIdError;

    fn from_str(text: &str) -> Result<Self, ArchIdError> {
        let error = || ArchIdError { text: text.escape_debug().take(40).collect() };
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(error());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| error())
    }
}

impl From<ArchId> for String {
    fn from(id: ArchId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ArchId {
    type Error = ArchIdError;

    fn try_from(text: String) -> Result<Self, ArchIdError> {
        text.parse()
    }
}
