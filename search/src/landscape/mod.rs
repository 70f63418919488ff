//! What a space holds, as the cost model sees it: how many networks, what they cost, and what that depends on.

mod count;
mod distribution;
mod front;
mod sensitivity;
mod survey;

pub use count::{BOUNDS, BoundCounts};
pub use distribution::Distribution;
pub use front::{Front, FrontPoint};
pub use sensitivity::{Measured, Sensitivity, sensitivities};
pub use survey::Survey;
