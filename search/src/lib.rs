//! Search, evaluation and the striae command line.

pub mod advice;
pub mod assess;
pub mod bundle;
pub mod candidate;
pub mod coster;
pub mod counterpart;
pub mod explain;
pub mod headroom;
pub mod hybrid;
pub mod pareto;
pub mod prediction;
pub mod proxies;
pub mod prune;
pub mod rank;
pub mod recipe;
pub mod resize;
pub mod run;
pub mod sampler;
pub mod storage;
pub mod summary;
pub mod verify;
pub mod view;

mod budget;
mod event;
mod history;
pub mod landscape;
mod seed;
mod study;
mod trial;

pub use budget::{Budget, Progress, StopReason};
pub use event::{SearchEvent, Stage};
pub use history::History;
pub use seed::Seed;
pub use study::{
    Costing, Limits, LinkName, Objective, ProtocolName, SamplerConfig, SamplerKind, Screen, SpaceRef, Study,
    StudyConfig, StudyError, StudyErrorKind, TrainingConfig, TrainingStage, VerifyConfig,
};
pub use trial::{Direction, Outcome, Param, ParamError, Trial, TrialId, TrialState};
