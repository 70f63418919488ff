//! From plans, checks and studies to the plain values that `striae-reports` shows.

mod hybrid;
mod machine;
mod network;
mod study;
mod verification;

pub use hybrid::hybrid_network;
pub use machine::{machine, versions};
pub use network::{counted, description, network, op_text, packing, parameters, strategy};
pub use study::{pick_view, study};
pub use verification::{add_verification, prediction};
