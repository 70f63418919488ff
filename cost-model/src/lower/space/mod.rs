//! The planner's answer for every network of a space, at a hundred thousand networks a second and more.
//!
//! A network of a space is a row of pieces ([`Piece`](striae_spaces::space::Piece)), and a piece becomes the same steps
//! wherever it reads the same layout. So [`SpaceEstimator`] lowers a network only where a piece of it has not been met
//! behind that layout before, and keeps which steps the [`Lowerer`] made of it; their seconds under some parameters depend on
//! the level alone. Every other network is a walk over tables, which adds the same seconds in the same order as its
//! [`Estimate`](crate::Estimate) would: the result is that of [`Lowerer::plan`], bit for bit. Of the variants that the planner
//! compares, the one that won last is walked first, and the others no further than until they exceed it.
//!
//! The walk waits for memory more than it computes, and threads share the last cache: tables are small and in few pages.

mod agenda;
mod estimator;
mod frame;
mod pieces;
mod prices;
mod rounds;
mod sweep;

use crate::{InputPacking, Plan, RingType, Seconds};

pub use agenda::Agenda;
pub use estimator::SpaceEstimator;
pub use sweep::{Sweep, Visited};

/// What the planner chooses for a network, and the latency of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpaceCost {
    /// Predicted time of one image on one thread.
    pub latency: Seconds,
    /// Levels the network takes.
    pub levels: usize,
    /// The ring.
    pub ring: RingType,
    /// log2 of the ring degree.
    pub log_n: u32,
    /// Special primes.
    pub special: usize,
    /// log2 of the scale: the precision.
    pub log_scale: u32,
    /// Whether convolutions with nothing between them are one.
    pub fuse: bool,
    /// How the client packs the image.
    pub input: InputPacking,
}

impl SpaceCost {
    /// That of a plan.
    pub fn of(plan: &Plan) -> Self {
        Self {
            latency: plan.estimate.latency,
            levels: plan.program.depth(),
            ring: plan.params.ring(),
            log_n: plan.params.log_n(),
            special: plan.params.log_p().len(),
            log_scale: plan.params.log_scale(),
            fuse: plan.options.fuse,
            input: plan.options.input,
        }
    }
}
