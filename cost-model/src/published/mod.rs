//! Formulas of others for packings that we do not lower as they do, to set our counts beside.

pub mod fenc2;
pub mod lee;
