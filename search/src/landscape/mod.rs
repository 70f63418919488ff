//! What a space holds, as the cost model sees it: how many networks, what they cost, and what that depends on.

mod count;

pub use count::{BOUNDS, BoundCounts};
