//! Names of the data sets.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::DataError;

/// A data set by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetName {
    /// Generated digits; needs no files.
    Glyphs,
    /// Handwritten digits.
    Mnist,
    /// Clothing articles.
    FashionMnist,
    /// Colour photographs of ten classes.
    #[serde(rename = "cifar10")]
    Cifar10,
}

impl DatasetName {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Glyphs, Self::Mnist, Self::FashionMnist, Self::Cifar10];

    /// The name in commands and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Glyphs => "glyphs",
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Cifar10 => "cifar10",
        }
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DatasetName {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        let known = Self::ALL.into_iter().find(|n| n.as_str() == name);
        known.ok_or_else(|| DataError::UnknownName { name: name.to_owned() })
    }
}
