//! Data sets and HE-aware training of Striae networks with candle.
//!
//! A network arrives as a [`TypedGraph`](striae_spaces::TypedGraph), is trained by [`train`] on [`Splits`], folded by
//! [`fold`] into the form that encrypted evaluation lowers, and leaves as a [`WeightStore`](striae_spaces::WeightStore).
//! Everything random comes from one [`SeedTree`]; the same seed gives the same bits at any number of threads of one
//! machine (another vector width may round differently).
//!
//! The price: work is cut into chunks by the shapes alone, never by the number of threads, so a batch of 64 keeps at most 4
//! to 64 threads busy, depending on the layer, and each chunk writes its own partial sums, which are added in order.

mod augment;
mod checkpoint;
mod config;
mod data;
mod device;
mod ema;
mod epoch;
mod error;
mod evaluate;
mod fold;
mod hermite;
mod layers;
mod model;
mod optim;
mod pass;
pub mod proxies;
mod prune;
mod range;
mod reverse;
mod schedule;
mod seed;
mod settle;
mod state;
mod trainer;
mod twin;

#[cfg(test)]
mod golden;

pub use augment::Augment;
pub use config::{Quadratics, TeacherConfig, TrainConfig};
pub use data::{CLAMP, Dataset, DatasetName, GlyphConfig, Normalisation, NormalisationScope, Splits, glyphs, load};
pub use device::TrainDevice;
pub use error::{DataError, TrainError};
pub use evaluate::{Evaluation, evaluate, logits};
pub use fold::fold;
pub use layers::{Conv, ConvGrads};
pub use model::{MIN_CURVATURE, Model};
pub use prune::{Blocks, PruneConfig, PruneEvent, PruneRound, Pruned, Pruning};
pub use range::{ActivationRange, ranges};
pub use schedule::Schedule;
pub use seed::SeedTree;
pub use trainer::{EpochStats, Observer, TrainEvent, Trained, Training, train};
pub use twin::rectifier_twin;
