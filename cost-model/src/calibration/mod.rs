//! What steps take on a machine: measured steps, a fit of what they do to what they took, and the times the estimates use.
//!
//! A step's [features](crate::Feature), such as hoisted rotations or diagonals, amount to units of work on one limb, such as
//! transforms, multiply-adds, and bytes that come from memory. What a unit takes is fitted by non-negative least squares to
//! the times of a few canonical steps, which run through the very evaluator that runs programs, for each ring type, degree and
//! number of threads on its own. On several threads a unit's count is that of the busiest thread.

mod file;
mod fit;
mod predict;
mod primitive;
mod probes;
mod samples;
mod times;
mod units;

pub use file::{Calibration, CalibrationError, FORMAT_VERSION};
pub use fit::{Fit, FitError};
pub use primitive::{Place, Primitive, Ring, WordBytes};
pub use probes::{PROBE_ROTATIONS, Probe};
pub use samples::{Provenance, Sample};
pub use times::OpTimes;
pub use units::{UNITS, Unit, Units, step_units, units};
