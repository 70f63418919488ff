//! Errors of a running study.

use std::path::PathBuf;

use striae_spaces::{WeightError, space::SpaceError, zoo::ZooError};
use striae_train::{DataError, TrainError};
use thiserror::Error;

use crate::{
    ParamError, StudyError, coster::CosterError, sampler::SamplerError, storage::StoreError, verify::VerifyError,
};

/// A study that cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The study's file.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// The space.
    #[error("{}: {source}", path.display())]
    Space {
        /// The file, or the study that names the space.
        path: PathBuf,
        /// Cause.
        source: SpaceError,
    },
    /// File access.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A proposal.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// A parameter.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// A trial of the store whose parameters are not the space's.
    #[error("trial {number}: {reason}")]
    ForeignTrial {
        /// The trial.
        number: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// An attribute that Striae wrote in another form.
    #[error("study attribute {key}: {reason}")]
    Attribute {
        /// Its key.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A reference network.
    #[error(transparent)]
    Zoo(#[from] ZooError),
    /// Training of a pick or a reference.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Weights of a pick.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// A pick or reference that cannot be estimated.
    #[error(transparent)]
    Coster(#[from] CosterError),
    /// The encrypted check.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// No trial came to a result.
    #[error("study {study}: none of its {trials} trials kept the limits, so there is nothing to train fully")]
    NothingFound {
        /// The study.
        study: String,
        /// Its trials.
        trials: usize,
    },
    /// Threads could not be started.
    #[error("cannot start {threads} thread(s): {cause}")]
    Threads {
        /// Wanted.
        threads: usize,
        /// Cause.
        cause: String,
    },
}
