//! What each primitive of the backend takes on a machine: measured samples, a fit over the work they do, and the times the
//! estimates use.

mod fit;
mod samples;
mod times;
mod work;

pub use fit::{Fit, FitError};
pub use samples::{Calibration, CalibrationError, FORMAT_VERSION, Provenance, Sample};
pub use times::OpTimes;
pub use work::{Primitive, Ring, Work};
