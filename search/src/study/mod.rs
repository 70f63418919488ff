//! What a search is asked to do: [`StudyConfig`] as the TOML file holds it, [`Study`] once it is checked.

mod check;
mod costing;
mod error;
mod literal;

#[cfg(test)]
mod tests;

pub use check::{SpaceRef, Study};
pub use costing::{Costing, LinkName, ProtocolName};
pub use error::{StudyError, StudyErrorKind};
pub use literal::{
    Limits, Objective, SamplerConfig, SamplerKind, Screen, StudyConfig, TrainingConfig, TrainingStage, VerifyConfig,
};
