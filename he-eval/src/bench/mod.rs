//! Measurements of the encrypted backend: canonical steps for calibration, and the reference rows with their lower bounds.
//!
//! Each round times everything once, in random order, so that a machine that slows down or speeds up touches all of it
//! alike; the figures are medians over rounds with their 10th and 90th percentiles.

mod bound;
mod chain;
mod rounds;
mod rows;
mod steps;
mod sweep;

pub use bound::{Bound, OperandBytes, UnitCosts, Work, last_level_cache};
pub use chain::Chain;
pub use rounds::{MeasureEvent, Spread};

pub use rows::{ChainReport, RowOp, RowReport, RowTime, measure_rows};
pub use steps::measure_steps;
pub use sweep::Sweep;

pub(crate) use rows::HOISTED;
