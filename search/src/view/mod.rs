//! From plans and studies to the plain values that `striae-reports` shows.

mod network;

pub use network::{description, network, packing, parameters, strategy};
