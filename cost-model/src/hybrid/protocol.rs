//! Which protocol, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A hybrid protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// SCI's homomorphic convolutions with CrypTFlow2's two-party protocols (Rathee et al., CCS 2020).
    CrypTFlow2,
    /// Cheetah (Huang et al., USENIX Security 2022).
    Cheetah,
}

impl Protocol {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::CrypTFlow2, Self::Cheetah];

    /// Name on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CrypTFlow2 => "cryptflow2",
            Self::Cheetah => "cheetah",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name of no hybrid protocol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown protocol `{name}`{}; hybrid protocols are {}", hint(name), Protocol::ALL.map(Protocol::name).join(" and "))]
pub struct UnknownProtocol {
    name: String,
}

fn hint(name: &str) -> String {
    let near = striae_spaces::nearest(name, Protocol::ALL.map(Protocol::name));
    near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"))
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(name: &str) -> Result<Self, UnknownProtocol> {
        let known = Self::ALL.into_iter().find(|p| p.name() == name);
        known.ok_or_else(|| UnknownProtocol { name: name.escape_debug().take(40).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_answered_with_the_nearest() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
        let message = "cryptflow".parse::<Protocol>().unwrap_err().to_string();
        assert_eq!(
            message,
            "unknown protocol `cryptflow`, did you mean `cryptflow2`?; hybrid protocols are cryptflow2 and cheetah"
        );
    }
}
