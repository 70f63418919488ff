//! Measurements of the encrypted backend: its primitives for calibration, and the reference rows with their lower bounds.
//!
//! Each round times everything once, in random order, so that a machine that slows down or speeds up touches all of it
//! alike; the figures are medians over rounds with their 10th and 90th percentiles.

mod bound;
mod chain;
mod primitives;
mod rounds;
mod rows;

pub use bound::{Bound, OperandBytes, UnitCosts, Work, last_level_cache};
pub use chain::Chain;
pub use primitives::measure;
pub use rounds::{MeasureEvent, Spread};
pub use rows::{ChainReport, RowOp, RowReport, RowTime, measure_rows};

pub(crate) use rows::HOISTED;
