//! Lowering: typed graph -> stages -> HE program.
//!
//! `stages` decides which nodes become one step (what is folded, fused and added together), [`diagonals`] finds the
//! block-sparse diagonals of a linear step from the layouts alone, and `strategy` splits their rotations between hoisted
//! rotations of the inputs and rotations of partial sums, by cost. [`Lowerer`] runs all three and keeps the layers it has
//! seen, since the networks of a search share most of them.

pub(crate) mod bit_set;
pub mod convs;
pub mod dense;
pub mod diagonals;
mod draft;
mod drafter;
mod hash;
mod input;
mod kept;
mod layers;
mod lowerer;
pub mod places;
mod recipe;
mod space;
mod staged;
pub(crate) mod stages;
mod step_links;
mod strategy;
mod times;

pub(crate) use draft::Draft;
pub use kept::Diagonals;
pub use lowerer::{InputPacking, LowerOptions, Lowerer};
pub use places::{DiagonalId, WeightId};
pub use recipe::Recipe;
pub use space::{Agenda, SpaceCost, SpaceEstimator, Sweep, Visited};
pub(crate) use staged::Staged;
pub use strategy::StrategyChoice;
