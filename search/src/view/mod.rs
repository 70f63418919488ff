//! From plans, checks and studies to the plain values that `striae-reports` shows.

mod machine;
mod network;
mod study;
mod verification;

pub use machine::{machine, versions};
pub use network::{counted, description, network, packing, parameters, strategy};
pub use study::{pick_view, study};
pub use verification::{add_verification, prediction};
