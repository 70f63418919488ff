//! Networks that a hybrid protocol cannot run.

use striae_spaces::{NodeId, Shape};
use thiserror::Error;

use super::Protocol;

/// A layer that a protocol has no packing for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HybridError {
    /// The rows under a kernel do not fit half a ciphertext.
    #[error("node {node}: {rows} rows of a {shape} map do not fit the {slots} slots of a row under {protocol}")]
    MapTooWide {
        /// The layer.
        node: NodeId,
        /// Its input.
        shape: Shape,
        /// Rows that one row of output pixels reads.
        rows: usize,
        /// Slots there are.
        slots: usize,
        /// The protocol.
        protocol: Protocol,
    },
    /// A kernel larger than a polynomial.
    #[error(
        "node {node}: a kernel of {height}x{width} does not fit the {slots} coefficients of a polynomial under {protocol}"
    )]
    KernelTooLarge {
        /// The layer.
        node: NodeId,
        /// Rows of the kernel.
        height: usize,
        /// Columns of the kernel.
        width: usize,
        /// Coefficients there are.
        slots: usize,
        /// The protocol.
        protocol: Protocol,
    },
}
