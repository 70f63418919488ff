//! What a network costs under homomorphic encryption: packings, lowering to a [`HeProgram`], operation counts, levels,
//! memory, parameters and their security, and latency estimates. No cryptography and no weights are needed here.
//!
//! There is one truth: the program that is counted is the program that `striae-he-eval` executes.

pub mod calibration;
mod counts;
mod error;
mod estimate;
mod linear_plan;
pub mod lower;
pub mod packing;
mod params;
mod planner;
mod program;
mod units;

pub use calibration::Calibration;
pub use counts::{OpCounts, RotationKinds};
pub use error::{CostError, ParamsError};
pub use estimate::{Estimate, MemoryEstimate, StepEstimate, estimate, estimate_with};
pub use linear_plan::{LinearPlan, PartialSum, Term};
pub use lower::{InputPacking, LowerOptions, Lowerer, StrategyChoice};
pub use params::{CkksParams, CkksParamsLiteral, Security, max_log_qp};
pub use planner::{Plan, PlanOptions, chains};
pub use program::{HeProgram, LinearStep, Source, SourceOp, Step, StepKind, Strategy, Value, ValueId};
pub use units::{Bytes, Seconds};
