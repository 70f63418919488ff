//! What a network costs under homomorphic encryption: packings, lowering to a [`HeProgram`], operation counts, levels,
//! memory, parameters and their security, and latency estimates. No cryptography and no weights are needed here.
//!
//! There is one truth: the program that is counted is the program that `striae-he-eval` executes.

mod counts;
mod error;
mod params;
mod program;

pub use counts::{OpCounts, RotationKinds};
pub use error::{CostError, ParamsError};
pub use params::{CkksParams, CkksParamsLiteral, Security, max_log_qp};
pub use program::{LinearPlan, PartialSum, Term, ValueId};
