//! How large a modulus each level of security allows.
//!
//! For 128 bits the bounds are those of [`max_log_qp`](crate::max_log_qp), the Homomorphic Encryption Standard's (2018). For 192 and 256
//! bits that standard stops at N = 2^15 (152, 305, 611 and 118, 237, 476 bits from 2^13 on), and later attacks allow less:
//! the bounds here are the stricter ones of Bossuat et al., *Security Guidelines for Implementing Homomorphic Encryption*
//! (IACR Communications in Cryptology, 2024), for uniform ternary secrets and classical attacks, as its script gives them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{CkksParams, max_log_qp};

/// By log2 N from 11 to 16, for 192 and 256 bits.
const BITS_192: [u32; 6] = [36, 73, 147, 297, 597, 1199];
const BITS_256: [u32; 6] = [27, 56, 114, 230, 462, 929];
/// The same guidelines for 128 bits.
const GUIDELINE_128: [u32; 6] = [53, 106, 214, 430, 868, 1747];

/// Security against classical attacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecurityLevel {
    /// 128 bits.
    #[default]
    Bits128,
    /// 192 bits.
    Bits192,
    /// 256 bits.
    Bits256,
}

impl SecurityLevel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bits128, Self::Bits192, Self::Bits256];

    /// Its bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Bits128 => 128,
            Self::Bits192 => 192,
            Self::Bits256 => 256,
        }
    }

    /// The highest that `params` have; `None` where they are insecure.
    pub fn of(params: &CkksParams) -> Option<Self> {
        let has = |level: &Self| level.max_log_qp(params.log_n()).is_some_and(|bound| params.log_qp() <= bound);
        Self::ALL.into_iter().rev().find(has)
    }

    /// Largest log2 of the whole modulus QP at ring degree `2^log_n`; `None` outside the table.
    pub fn max_log_qp(self, log_n: u32) -> Option<u32> {
        match self {
            Self::Bits128 => max_log_qp(log_n),
            Self::Bits192 => at(&BITS_192, log_n),
            Self::Bits256 => at(&BITS_256, log_n),
        }
    }
}

/// What the guidelines of 2024 allow for 128 bits: up to 2 % less than the standard of 2018.
pub fn guideline_log_qp(log_n: u32) -> Option<u32> {
    at(&GUIDELINE_128, log_n)
}

fn at(table: &[u32; 6], log_n: u32) -> Option<u32> {
    table.get(log_n.checked_sub(11)? as usize).copied()
}

impl fmt::Display for SecurityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bits().fmt(f)
    }
}

impl FromStr for SecurityLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = Self::ALL.into_iter().find(|level| level.to_string() == text);
        level.ok_or_else(|| "expected 128, 192 or 256".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_security_allows_less() {
        for log_n in 11..=16 {
            let bounds = SecurityLevel::ALL.map(|level| level.max_log_qp(log_n).unwrap());
            assert!(bounds.is_sorted_by(|a, b| a > b), "2^{log_n}: {bounds:?}");
            let guideline = guideline_log_qp(log_n).unwrap();
            assert!(guideline < bounds[0] && f64::from(guideline) > 0.97 * f64::from(bounds[0]), "2^{log_n}");
        }
        assert_eq!(SecurityLevel::Bits192.max_log_qp(17), None);
        let level = |text: &str| SecurityLevel::of(&text.parse().unwrap());
        assert_eq!(level("N=2^13 Q=38,30,30 P=49 scale=2^30"), Some(SecurityLevel::Bits192));
        assert_eq!(level("N=2^13 Q=38,30,30 P=50 scale=2^30"), Some(SecurityLevel::Bits128));
        assert_eq!(level("N=2^13 Q=49,49,49,49 P=50 scale=2^30 insecure"), None);
        assert_eq!("256".parse(), Ok(SecurityLevel::Bits256));
        assert!("129".parse::<SecurityLevel>().is_err());
    }
}
