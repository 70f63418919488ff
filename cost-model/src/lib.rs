//! What a network costs under homomorphic encryption: packings, lowering to a [`HeProgram`], operation counts, levels,
//! memory, parameters and their security, and latency estimates. No cryptography and no weights are needed here.
//!
//! There is one truth: the program that is counted is the program that `striae-he-eval` executes.
//!
//! ```text
//! TypedGraph ── stages ──> what becomes one step: folding, fusing, residual additions      lower::stages
//!                 │
//!                 ├─ packing ──> slots of every value, from the strides alone              packing
//!                 ├─ diagonals ─> rotations that carry a non-zero weight                   lower::diagonals
//!                 └─ strategy ──> which of them rotate inputs, which partial sums
//!                        │
//!                    HeProgram ── counts ──> OpCounts, RotationKinds
//!                        │
//! Calibration ── times ──┴─────── estimate ─> Estimate: seconds, bytes
//! ```
//!
//! [`Lowerer::plan`] does all of it, and chooses parameters: the smallest ring degree whose 128-bit bound ([`max_log_qp`])
//! holds a modulus chain of the network's depth, then the cheapest of fused or factored blocks, packings of the image and
//! numbers of special primes. It remembers the layers it has laid out, which no level or prime changes, so a search plans
//! tens of thousands of networks per second (`benches/estimate.rs`).
//!
//! [`hybrid`] counts and estimates the protocols that we do not run: homomorphic linear layers, two-party activations.
//!
//! ```
//! use striae_cost_model::{Calibration, Lowerer, PlanOptions};
//!
//! let network = striae_spaces::zoo::build("strianet-mnist")?;
//! let calibration = Calibration::generic();
//! let plan = Lowerer::new(&calibration).plan(&network, &PlanOptions::default())?;
//! assert_eq!((plan.params.log_n(), plan.program.depth()), (13, 5));
//!
//! let (counts, kinds) = (plan.program.counts(), plan.program.rotation_kinds());
//! assert_eq!(counts.rotations(), kinds.total());
//! assert_eq!(kinds.external, 0);
//! println!("{} of {} rotations internal, {}", kinds.internal, kinds.total(), plan.estimate.latency);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
pub mod calibration;
mod counts;
mod error;
mod estimate;
mod fingerprint;
pub mod hybrid;
mod key_plan;
mod linear_plan;
pub mod lower;
mod memory;
pub mod packing;
mod params;
mod plan_options;
mod planner;
mod program;
pub mod published;
mod security;
mod step_work;
mod units;

pub use batch::{BatchEstimate, BatchStage};
pub use calibration::Calibration;
pub use counts::{OpCounts, RotationKinds};
pub use error::{CostError, ParamsError};
pub use estimate::{Estimate, StepEstimate, estimate};
pub use key_plan::KeyPlan;
pub use linear_plan::{LinearPlan, PartialSum, Term};
pub use lower::{
    Agenda, DiagonalId, Diagonals, InputPacking, LowerOptions, Lowerer, Recipe, SpaceCost, SpaceEstimator,
    StrategyChoice, Sweep, Visited, WeightId,
};
pub use memory::{MemoryEstimate, diagonal_memory};
pub use packing::Packing;
pub use params::{CkksParams, CkksParamsLiteral, RingType, Security, max_log_qp};
pub use plan_options::{DegreeChoice, PlanOptions};
pub use planner::{MAX_LOG_N, MAX_SPECIAL, Plan, chains, max_levels};
pub use program::{HeProgram, LinearStep, Source, SourceOp, Step, StepKind, Strategy, Value, ValueId};
pub use security::{SecurityLevel, guideline_log_qp};
pub use step_work::{FEATURES, Feature, StepWork};
pub use units::{Bytes, BytesError, Seconds};
