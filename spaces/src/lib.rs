//! What can be searched: the architecture IR of Striae, its text notation, the zoo of reference networks and the search
//! spaces, and the store in which trained weights travel between crates.
//!
//! A network is a [`TypedGraph`]: a list of operations in topological order whose shapes were inferred when each was
//! added, so an ill-typed graph cannot be built. Nothing here knows about ciphertexts or training.

mod arch_id;
pub mod blocks;
mod count;
mod error;
mod graph;
mod json;
mod levels;
mod mask;
mod notation;
mod op;
mod shape;
pub mod space;
mod suggest;
mod weights;
pub mod zoo;

pub use arch_id::{ArchId, ArchIdError};
pub use error::{GraphError, WeightError};
pub use graph::{GraphBuilder, GraphLiteral, Node, NodeId, NodeLiteral, TypedGraph};
pub use json::{JSON_FORMAT, JsonError};
pub use mask::WeightMask;
pub use notation::NotationError;
pub use op::{Activation, AvgPool, Conv2d, Grouping, Kernel, KernelMask, Linear, Op, Padding, Tap};
pub use shape::Shape;
pub use suggest::nearest;
pub use weights::{ParamSpec, Tensor, WeightStore, param_specs};
