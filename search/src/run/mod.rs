//! Running a study: trials, random baseline, reference networks, full training of the picks, encrypted check. Under a hybrid
//! protocol, which Striae estimates and does not run, the check falls away.
//!
//! Everything a phase finds is in the store or in the study's folder before the next begins, so a run that is stopped at any
//! point goes on where it was. What is random depends on the study's seed and on proposal numbers or architectures alone, so
//! the outcome does not depend on threads or interruptions.

mod context;
mod error;
mod picks;
mod references;
mod screen;
mod trials;

pub(crate) use context::CONFIG_KEY;
pub use context::{StudyRun, StudyRunOptions, load_data};
pub use error::RunError;
pub use picks::{Pick, picks_of, record_verification};
pub use references::{ReferenceResult, references_of};
pub use trials::{ACCURACY_KEY, ARCH_KEY, NETWORK_KEY, PLAN_KEY, baseline_name};
