//! Networks as JSON: a [`GraphLiteral`] with the version of the format.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{GraphError, GraphLiteral, NodeLiteral, Shape, TypedGraph};

/// Version of the JSON form that this build writes, and the newest it reads.
pub const JSON_FORMAT: u32 = 1;

/// JSON that is not a network.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Not JSON, or not the fields of a network.
    #[error("architecture JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// Written by a newer program.
    #[error("architecture JSON: field `format` is {found}, this build reads at most {JSON_FORMAT}: update striae")]
    Newer {
        /// Version in the file.
        found: u32,
    },
    /// A version that never existed.
    #[error("architecture JSON: field `format` is {found}, the first version is 1")]
    Version {
        /// Version in the file.
        found: u32,
    },
    /// Well-formed but ill-typed.
    #[error("architecture JSON: {0}")]
    Graph(#[from] GraphError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    input: Shape,
    nodes: Vec<NodeLiteral>,
}

/// The version alone, so that a newer file is named as such before its new fields are met.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl TypedGraph {
    /// The network as indented JSON.
    pub fn to_json(&self) -> String {
        let GraphLiteral { input, nodes } = self.to_literal();
        let document = Document { format: JSON_FORMAT, input, nodes };
        serde_json::to_string_pretty(&document).expect("a graph has only string keys and finite numbers")
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    pub fn from_json(text: &str) -> Result<Self, JsonError> {
        match serde_json::from_str::<Version>(text)?.format {
            JSON_FORMAT => {}
            0 => return Err(JsonError::Version { found: 0 }),
            found => return Err(JsonError::Newer { found }),
        }
        let Document { input, nodes, .. } = serde_json::from_str(text)?;
        Ok(Self::try_from(GraphLiteral { input, nodes })?)
    }
}
