//! Linear operators as one unit (double hoisting: Bossuat, Mouchet, Troncoso-Pastoriza and Hubaux, 2021).
//!
//! Every input is decomposed once; its rotations stay in QP, are multiplied by diagonals encoded in QP and accumulated
//! lazily; each giant step costs one division by P of one polynomial, each output one division by P and by the rescaling
//! prime together. Sums that read only unrotated inputs never leave Q.
//!
//! The accumulation runs limb by limb, so that the rotated inputs of one limb are all that is held at a time, and tile by
//! tile, so that they stay in cache while the diagonals stream past exactly in the order they are stored.

mod encoded;
mod giants;
mod operands;
mod run;
mod sink;
mod space;
mod stored;
mod terms;

pub use encoded::RnsLinear;
pub use space::WeightSpace;

pub(crate) use encoded::encode_linear;
pub(crate) use run::linear;
pub(crate) use terms::IndexedTerms;
