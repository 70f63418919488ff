//! Units that must not mix, with their formatting.

use std::{fmt, iter::Sum, ops::Add, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A duration in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub f64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0;
        match s {
            s if s < 1e-3 => write!(f, "{:.1} µs", s * 1e6),
            s if s < 1.0 => write!(f, "{:.1} ms", s * 1e3),
            s => write!(f, "{s:.2} s"),
        }
    }
}

impl Add for Seconds {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sum for Seconds {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        Self(iter.map(|s| s.0).sum())
    }
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let b = self.0 as f64;
        match self.0 {
            0..1024 => write!(f, "{} B", self.0),
            1024..1_048_576 => write!(f, "{:.1} KiB", b / 1024.0),
            1_048_576..1_073_741_824 => write!(f, "{:.1} MiB", b / 1_048_576.0),
            _ => write!(f, "{:.2} GiB", b / 1_073_741_824.0),
        }
    }
}

impl FromStr for Bytes {
    type Err = BytesError;

    /// `8GiB`, `1.5 GB`, `4096`.
    fn from_str(text: &str) -> Result<Self, BytesError> {
        let error = || BytesError { text: text.to_owned() };
        let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = (text[..split].trim(), text[split..].to_ascii_lowercase());
        let (k, kib) = (1e3f64, 1024f64);
        let factor = match unit.as_str() {
            "" | "b" => 1.0,
            "kb" => k,
            "mb" => k.powi(2),
            "gb" => k.powi(3),
            "tb" => k.powi(4),
            "kib" => kib,
            "mib" => kib.powi(2),
            "gib" => kib.powi(3),
            "tib" => kib.powi(4),
            _ => return Err(error()),
        };
        // Only digits and a point: no sign, exponent or word for infinity.
        if !number.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return Err(error());
        }
        let bytes = number.parse::<f64>().map_err(|_| error())? * factor;
        if bytes < u64::MAX as f64 { Ok(Self(bytes as u64)) } else { Err(error()) }
    }
}

/// A text that is no size.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is no size: give a number and a unit, such as 8GiB, 512MiB or 1.5GB")]
pub struct BytesError {
    text: String,
}

impl Add for Bytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        Self(iter.map(|b| b.0).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        for (text, bytes) in
            [("8GiB", 8 << 30), ("512 MiB", 512 << 20), ("1.5gb", 1_500_000_000), ("4096", 4096), ("0.5kib", 512)]
        {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "GiB", "-1GiB", "8 G", "1e3", "inf", "nan", "8GiB8", "1.2.3", "99999999999TiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}
