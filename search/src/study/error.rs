//! Errors of study files.

use std::path::PathBuf;

use thiserror::Error;

/// A study file that cannot be used. One line: the file, the field, what is wrong.
#[derive(Debug, Error)]
#[error("{}: {kind}", path.display())]
pub struct StudyError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub kind: StudyErrorKind,
}

/// What is wrong with a study file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StudyErrorKind {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Not TOML, or not a study's.
    #[error("{}{message}", line.map(|l| format!("line {l}: ")).unwrap_or_default())]
    Toml {
        /// Line, from 1.
        line: Option<usize>,
        /// What the parser says, on one line.
        message: String,
    },
    /// A value out of range.
    #[error("{field} is {value}, {why}")]
    Field {
        /// The field, with its table.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        why: &'static str,
    },
    /// A value that means nothing under the study's protocol.
    #[error("{field} has no use under {protocol}: {why}")]
    Foreign {
        /// The field, with its table.
        field: &'static str,
        /// The protocol.
        protocol: &'static str,
        /// What it has instead.
        why: &'static str,
    },
    /// The study was begun with another value.
    #[error("{field} is {wanted}, the study was begun with {stored}")]
    Changed {
        /// The field.
        field: String,
        /// Value in the file.
        wanted: String,
        /// Value in the store.
        stored: String,
    },
}

impl StudyError {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match &self.kind {
            StudyErrorKind::Io(_) => "give the path of a study's TOML file",
            StudyErrorKind::Toml { .. } => "compare it with a study of the examples folder",
            StudyErrorKind::Field { .. } => "correct the field and run the command again",
            StudyErrorKind::Foreign { .. } => "leave the field out, or choose another `protocol`",
            StudyErrorKind::Changed { .. } => "restore the field, or give the study another name",
        }
    }
}
