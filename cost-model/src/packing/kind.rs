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
}

impl Packing {
    /// Packings without a parameter.
    const PLAIN: [Self; 3] = [Self::RowMajor, Self::GroupInterleaved, Self::Multiplexed];
}

/// Text that names no packing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown packing `{text}`, expected {}", expected())]
pub struct UnknownPacking {
    /// The text, shortened.
    pub text: String,
}

fn expected() -> String {
    let names = Packing::PLAIN.map(|p| p.to_string());
    format!("{} or {}", names[..names.len() - 1].join(", "), names[names.len() - 1])
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RowMajor => f.write_str("row-major"),
            Self::GroupInterleaved => f.write_str("group-interleaved"),
            Self::Multiplexed => f.write_str("multiplexed"),
        }
    }
}

impl FromStr for Packing {
    type Err = UnknownPacking;

    fn from_str(text: &str) -> Result<Self, UnknownPacking> {
        let plain = Self::PLAIN.into_iter().find(|p| p.to_string() == text);
        plain.ok_or_else(|| UnknownPacking { text: text.escape_debug().take(40).collect() })
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
        for packing in Packing::PLAIN {
            assert_eq!(packing.to_string().parse(), Ok(packing));
            let json = serde_json::to_string(&packing).unwrap();
            assert_eq!(json, format!("\"{packing}\""));
            assert_eq!(serde_json::from_str::<Packing>(&json).unwrap(), packing);
        }
    }

    #[test]
    fn other_text_is_answered_with_the_list() {
        let error = "rowmajor".parse::<Packing>().unwrap_err().to_string();
        assert_eq!(error, "unknown packing `rowmajor`, expected row-major, group-interleaved or multiplexed");
    }
}
