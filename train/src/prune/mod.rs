//! Sub-block pruning with retraining: Algorithm 1 of SpENCNN (Ran et al., *SpENCNN: Orchestrating Encoding and Sparsity for
//! Fast Homomorphically Encrypted Neural Network Inference*, ICML 2023), in batches.
//!
//! The paper removes the block of the smallest mean L2 norm, retrains, and goes on while the accuracy stays above a bound: a
//! retraining for every block. Here a round removes a share of the blocks left; where the accuracy falls below the bound the
//! round is undone and the share halved, so that a network of thousands of blocks takes some dozens of rounds. Which weights
//! make a block is for the caller to say: the diagonals of encrypted evaluation are not known here.

mod blocks;
mod rounds;
mod state;

pub use blocks::Blocks;
pub use rounds::{PruneConfig, PruneEvent, PruneRound, Pruned, Pruning};
