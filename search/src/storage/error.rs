//! Errors of the store: the file, what is wrong with which field of it, and what to do about it.

use std::path::PathBuf;

use thiserror::Error;

use crate::{Direction, TrialId, TrialState};

/// A study that cannot be opened, read or written.
#[derive(Debug, Error)]
#[error("{}: {kind}", path.display())]
pub struct StoreError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub kind: StoreErrorKind,
}

/// What is wrong with a store.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The file cannot be read or created.
    #[error("cannot be opened: {0}")]
    Io(#[from] std::io::Error),
    /// Its first bytes are not SQLite's.
    #[error("not an SQLite file: its header is not `SQLite format 3`")]
    NotSqlite,
    /// SQLite, but not a study.
    #[error("not a study: table {table} is missing")]
    NotAStudy {
        /// The missing table.
        table: &'static str,
    },
    /// A schema of another Optuna.
    #[error("{field} is {found}, expected {expected}")]
    Schema {
        /// Table and column.
        field: &'static str,
        /// What the file says.
        found: String,
        /// What this version reads.
        expected: String,
    },
    /// Written by a later Striae.
    #[error("study {study}: {} is {found}, this version reads up to {known}", super::FORMAT_KEY)]
    NewerFormat {
        /// The study.
        study: String,
        /// Its format.
        found: u64,
        /// The newest format this version reads.
        known: u64,
    },
    /// Written by something other than Striae.
    #[error("study {study}: user attribute {} is missing, so Striae did not write it", super::FORMAT_KEY)]
    NotStriae {
        /// The study.
        study: String,
    },
    /// No study of this name.
    #[error("holds no study named {name} (it holds: {})", list(known))]
    UnknownStudy {
        /// The name.
        name: String,
        /// Studies in the file.
        known: Vec<String>,
    },
    /// The study exists with other objectives.
    #[error("study {study} has directions {stored:?}, the new one needs {wanted:?}")]
    Directions {
        /// The study.
        study: String,
        /// Its directions.
        stored: Vec<Direction>,
        /// Those asked for.
        wanted: Vec<Direction>,
    },
    /// A stored value that has no meaning.
    #[error("{field}: {found} {why}")]
    Field {
        /// Where.
        field: String,
        /// What it holds.
        found: String,
        /// What is wrong with it.
        why: String,
    },
    /// No such trial.
    #[error("holds no trial with id {0}")]
    UnknownTrial(TrialId),
    /// Only running trials can be changed.
    #[error("trial {number} is {state:?}, so it cannot be changed any more")]
    NotRunning {
        /// Number in its study.
        number: u64,
        /// Its state.
        state: TrialState,
    },
    /// Not one value per objective.
    #[error("trial {number} got {got} values for {expected} objectives")]
    ValueCount {
        /// Number in its study.
        number: u64,
        /// Number of objectives.
        expected: usize,
        /// Number of values.
        got: usize,
    },
    /// Another search works on the file.
    #[error("another search is running on this study")]
    InUse,
    /// SQLite refused, or the file is damaged.
    #[error("SQLite: {0}")]
    Sql(#[from] rusqlite::Error),
}

impl StoreError {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match &self.kind {
            StoreErrorKind::Io(_) => "check that the folder exists and that you may read and write it",
            StoreErrorKind::NotSqlite | StoreErrorKind::NotAStudy { .. } => {
                "give the .sqlite3 file that `striae search` wrote, or a name that does not exist yet"
            }
            StoreErrorKind::Schema { .. } => {
                "upgrade the file with `optuna storage upgrade`, or start a new study file"
            }
            StoreErrorKind::NewerFormat { .. } => "use the version of striae that wrote the study, or a later one",
            StoreErrorKind::NotStriae { .. } => "give the study another name or another file",
            StoreErrorKind::UnknownStudy { .. } => "give one of the names that the file holds",
            StoreErrorKind::Directions { .. } => "give the study another name, or its old objectives",
            StoreErrorKind::Field { .. } => {
                "the file was changed by something else: restore a copy, or start a new study file"
            }
            StoreErrorKind::UnknownTrial(_) | StoreErrorKind::NotRunning { .. } | StoreErrorKind::ValueCount { .. } => {
                "another process may have taken the trial over"
            }
            StoreErrorKind::InUse => "wait for it, or stop it and try again",
            StoreErrorKind::Sql(_) => {
                "the file may be damaged or locked: check it with `sqlite3 FILE 'pragma integrity_check'`"
            }
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
