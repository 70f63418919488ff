//! Names of the packings.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How the maps of a network are packed; text form and JSON are its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Packing {
    /// Row-major blocks, one channel in each; the gaps that strides leave stay empty (SpENCNN, CHET, HEAR).
    RowMajor,
    /// The same, with the channels of a contiguous group at one position over the ciphertexts, so that contiguous groups
    /// need no external rotation either. Networks of interleaved groups are packed row-major.
    GroupInterleaved,
    /// Channels are multiplexed into the gaps that strides leave, where that saves ciphertexts.
    #[default]
    Multiplexed,
    /// The same, and every layer one matrix whose diagonals are split into baby and giant steps over their whole index; a
    /// layer whose result fits one ciphertext wraps them at its size and sums the copies (Orion, ASPLOS 2025).
    MultiplexedBsgs,
    /// Every channel split into so many times so many planes, by the phase of its pixels (FEnc2, ISCA 2026): a larger kernel
    /// reads fewer taps of more planes, a stride joins planes, and a map may be larger than a ciphertext.
    Block(usize),
}

impl Packing {
    /// Packings without a parameter.
    pub const PLAIN: [Self; 4] = [Self::RowMajor, Self::GroupInterleaved, Self::Multiplexed, Self::MultiplexedBsgs];

    /// Those that are compared where the cheapest is asked for; of equals the first is taken.
    pub const COMPARED: [Self; 7] = [
        Self::Multiplexed,
        Self::RowMajor,
        Self::GroupInterleaved,
        Self::MultiplexedBsgs,
        Self::Block(2),
        Self::Block(4),
        Self::Block(8),
    ];

    /// Side of the square of planes a channel is split into.
    pub const fn phases(self) -> usize {
        match self {
            Self::Block(side) => side,
            Self::RowMajor | Self::GroupInterleaved | Self::Multiplexed | Self::MultiplexedBsgs => 1,
        }
    }

    /// Whether channels are multiplexed into the gaps that strides leave.
    pub(crate) const fn multiplexes(self) -> bool {
        match self {
            Self::Multiplexed | Self::MultiplexedBsgs | Self::Block(_) => true,
            Self::RowMajor | Self::GroupInterleaved => false,
        }
    }
}

/// Largest side of block packing.
const MAX_SIDE: usize = 64;

/// Text that names no packing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown packing `{text}`, expected {}", expected())]
pub struct UnknownPacking {
    /// The text, shortened.
    pub text: String,
}

fn expected() -> String {
    let names = Packing::PLAIN.map(|p| p.to_string());
    format!("{} or block:S with S from 2 to {MAX_SIDE}", names.join(", "))
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RowMajor => f.write_str("row-major"),
            Self::GroupInterleaved => f.write_str("group-interleaved"),
            Self::Multiplexed => f.write_str("multiplexed"),
            Self::MultiplexedBsgs => f.write_str("multiplexed-bsgs"),
            Self::Block(side) => write!(f, "block:{side}"),
        }
    }
}

impl FromStr for Packing {
    type Err = UnknownPacking;

    fn from_str(text: &str) -> Result<Self, UnknownPacking> {
        let plain = Self::PLAIN.into_iter().find(|p| p.to_string() == text);
        // Other ways to write a number, such as +2 and 02, would not come back the same.
        let side =
            text.strip_prefix("block:").and_then(|side| side.parse().ok()).filter(|s| (2..=MAX_SIDE).contains(s));
        let block = side.map(Self::Block).filter(|packing| packing.to_string() == text);
        plain.or(block).ok_or_else(|| UnknownPacking { text: text.escape_debug().take(40).collect() })
    }
}

impl From<Packing> for String {
    fn from(packing: Packing) -> Self {
        packing.to_string()
    }
}

impl TryFrom<String> for Packing {
    type Error = UnknownPacking;

    fn try_from(text: String) -> Result<Self, UnknownPacking> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_packing_are_inverse() {
        for packing in Packing::PLAIN.into_iter().chain([2, 3, 64].map(Packing::Block)) {
            assert_eq!(packing.to_string().parse(), Ok(packing));
            let json = serde_json::to_string(&packing).unwrap();
            assert_eq!(json, format!("\"{packing}\""));
            assert_eq!(serde_json::from_str::<Packing>(&json).unwrap(), packing);
        }
    }

    #[test]
    fn other_text_is_answered_with_the_list() {
        for text in ["rowmajor", "block:", "block:1", "block:65", "block:+2", "block:02", "Block:2", ""] {
            let error = text.parse::<Packing>().unwrap_err().to_string();
            let list = "row-major, group-interleaved, multiplexed, multiplexed-bsgs or block:S with S from 2 to 64";
            assert_eq!(error, format!("unknown packing `{text}`, expected {list}"));
        }
    }
}
