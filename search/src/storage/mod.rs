//! Studies and trials on disk, in the relational schema of Optuna 4, so that `optuna.load_study` and `optuna-dashboard`
//! open them as they are.
//!
//! One SQLite file in WAL mode holds any number of studies. Every change is one transaction that takes the write lock
//! first, so any number of threads and processes may share a file, and `kill -9` loses at most the trials in hand:
//! [`Store::requeue_stale`] marks them failed and queues their parameters again.
//!
//! | value | `trial_values` | `trial_intermediate_values` |
//! |---|---|---|
//! | finite | `FINITE` | `FINITE` |
//! | +inf, -inf | `INF_POS`, `INF_NEG` | `INF_POS`, `INF_NEG` |
//! | NaN | never stored: the trial fails, as in Optuna | `NAN` |
//!
//! Times are UTC without a zone. Optuna 5 reads them so; Optuna 4 writes local time and shows ours as if they were.
//!
//! Striae's own notes are attributes: the study's format version under [`FORMAT_KEY`], a trial's proposal under
//! [`PROPOSAL_KEY`]. There is no trait: tests use [`Store::in_memory`], which is the same code.

mod error;
mod lock;
mod open;
mod read;
mod store;
mod write;

#[cfg(test)]
mod tests;

pub use error::{StoreError, StoreErrorKind};
pub use lock::StoreLock;
pub use store::{NewTrial, Requeued, Store, StoredStudy, StudyId};

/// Version of what Striae stores beyond Optuna's schema.
pub const FORMAT_VERSION: u64 = 1;
/// User attribute of a study: the [`FORMAT_VERSION`] it was written with.
pub const FORMAT_KEY: &str = "striae:format_version";
/// User attribute of a trial: why it failed or was pruned.
pub const REASON_KEY: &str = "striae:reason";
/// System attribute of a trial: which question of the sampler it answers.
pub const PROPOSAL_KEY: &str = "striae:proposal";
/// System attribute of a trial, Optuna's: constraint values, feasible if none is positive.
pub const CONSTRAINTS_KEY: &str = "constraints";
/// System attribute of a trial, Optuna's: numbers of the trials it repeats.
pub const RETRY_HISTORY_KEY: &str = "retry_history";
/// System attribute of a trial, Optuna's: number of the first trial it repeats.
pub const FAILED_TRIAL_KEY: &str = "failed_trial";
