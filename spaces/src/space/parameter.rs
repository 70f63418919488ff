//! Genotypes, and the categorical parameters they are made of.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One value of a categorical parameter; in JSON a number, a string or a boolean.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Value", try_from = "Value")]
pub enum Choice {
    /// A count.
    Int(i64),
    /// A word.
    Word(String),
    /// Yes or no.
    Flag(bool),
}

impl From<Choice> for Value {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Int(value) => value.into(),
            Choice::Word(word) => word.into(),
            Choice::Flag(flag) => flag.into(),
        }
    }
}

impl TryFrom<Value> for Choice {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::Bool(flag) => Ok(Self::Flag(flag)),
            Value::String(word) => Ok(Self::Word(word)),
            Value::Number(ref number) => {
                number.as_i64().map(Self::Int).ok_or_else(|| format!("{number} is not a whole number"))
            }
            Value::Null | Value::Array(_) | Value::Object(_) => Err(format!("{value} is no number, string or boolean")),
        }
    }
}

impl From<usize> for Choice {
    fn from(value: usize) -> Self {
        Self::Int(value as i64)
    }
}

impl From<&'static str> for Choice {
    fn from(word: &'static str) -> Self {
        Self::Word(word.to_owned())
    }
}

impl From<bool> for Choice {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            Self::Word(word) => word.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

/// A categorical parameter of a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Stable name, for example `stage1.mixing`.
    pub name: String,
    /// What it may be.
    pub choices: Vec<Choice>,
}

/// One network of a space: for each of its parameters, in order, which choice is taken. A parameter that has no effect
/// on the network, for example the kernel of a stage left out, holds its first choice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Genotype {
    pub(super) genes: Vec<u16>,
}

impl Genotype {
    /// Index of the choice of each parameter.
    pub fn indices(&self) -> &[u16] {
        &self.genes
    }
}
