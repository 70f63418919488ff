//! Why a file is refused.

use thiserror::Error;

use crate::HeError;

use super::header::{FileKind, Fingerprint, KeyId, VERSION};

/// A file that cannot be read or written. Every message but that of [`Self::Io`] begins with the field it is about.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SerialError {
    /// The operating system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Something else than one of these files.
    #[error("magic: the file does not begin with \"STRIAE\"")]
    Magic,
    /// A kind that this version does not know.
    #[error("kind: {found} is unknown")]
    UnknownKind {
        /// What stands there.
        found: u8,
    },
    /// Another kind of file.
    #[error("kind: the file holds {found}, expected {expected}")]
    Kind {
        /// What it is.
        found: FileKind,
        /// What it should be.
        expected: FileKind,
    },
    /// Another version of the format.
    #[error("version: is {found}, this version of Striae reads {VERSION}")]
    Version {
        /// What stands there.
        found: u8,
    },
    /// Made for other parameters.
    #[error("fingerprint: {found} is of other parameters, expected {expected}")]
    Parameters {
        /// What stands there.
        found: Fingerprint,
        /// That of the reader's parameters.
        expected: Fingerprint,
    },
    /// Made under another key.
    #[error("key id: {found} is of another key, expected {expected}")]
    Key {
        /// What stands there.
        found: KeyId,
        /// That of the reader's key.
        expected: KeyId,
    },
    /// The file, or what it claims to hold, ends too early.
    #[error("{field}: truncated, {needed} bytes are needed and {left} are left")]
    Truncated {
        /// Where it ends.
        field: &'static str,
        /// Bytes the field needs.
        needed: u64,
        /// Bytes there are.
        left: u64,
    },
    /// More than the file should hold.
    #[error("{field}: has {extra} bytes too many")]
    TooLong {
        /// What is too long.
        field: &'static str,
        /// How much.
        extra: u64,
    },
    /// Weights of another network, other weights, or lowered otherwise.
    #[error("network: the weights are of another network, or encoded for another program")]
    Network,
    /// Damaged.
    #[error("checksum: does not match, the file is damaged")]
    Checksum,
    /// A residue that is not below its prime.
    #[error("{field}: residue {index} is {value}, not below its prime {prime}")]
    Residue {
        /// Polynomial.
        field: &'static str,
        /// Place among those of its prime.
        index: usize,
        /// Value.
        value: u64,
        /// Prime.
        prime: u64,
    },
    /// A number outside what it may be.
    #[error("{field}: is {value}, expected {expected}")]
    Value {
        /// Field.
        field: &'static str,
        /// What stands there.
        value: String,
        /// What may stand there.
        expected: String,
    },
    /// Made for something else: another network, or a result where an image is expected.
    #[error("{field}: the {what} are of {found}, expected {expected}")]
    Label {
        /// Evaluation keys or ciphertexts.
        what: &'static str,
        /// Field.
        field: &'static str,
        /// What they are of.
        found: String,
        /// What they should be of.
        expected: String,
    },
    /// Parameters or randomness.
    #[error(transparent)]
    He(#[from] HeError),
}

impl SerialError {
    /// A number outside what it may be.
    pub(super) fn value(field: &'static str, value: &dyn ToString, expected: impl Into<String>) -> Self {
        Self::Value { field, value: value.to_string(), expected: expected.into() }
    }
}
