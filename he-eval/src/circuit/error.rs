//! Errors of circuits.

use striae_cost_model::DiagonalId;
use striae_spaces::{NodeId, WeightError};
use thiserror::Error;

use crate::HeError;

/// A circuit that cannot be compiled or run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CircuitError {
    /// The backend refused an operation.
    #[error("step {step} ({node}): {source}")]
    Backend {
        /// Index of the step.
        step: usize,
        /// Node it computes.
        node: NodeId,
        /// Cause.
        source: HeError,
    },
    /// The file of encoded weights cannot be completed.
    #[error(transparent)]
    Space(HeError),
    /// Weights do not fit the network.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// A batch norm is left.
    #[error("node {node} is a batch norm; fold the network before compiling it")]
    NotFolded {
        /// The node.
        node: NodeId,
    },
    /// A quadratic that is (nearly) a line cannot be written as a completed square.
    #[error("activation {node}: a = {a:e} of channel {channel} is too small to complete the square")]
    FlatActivation {
        /// The activation.
        node: NodeId,
        /// Channel.
        channel: usize,
        /// The coefficient.
        a: f64,
    },
    /// A weight for which the plan has no diagonal.
    #[error(
        "node {node}: no diagonal links input {} and output {} at rotation {}",
        diagonal.input,
        diagonal.output,
        diagonal.rotation
    )]
    NoDiagonal {
        /// The node.
        node: NodeId,
        /// The diagonal that the weight needs.
        diagonal: DiagonalId,
    },
    /// An image of another size.
    #[error("the image has {got} values, the network takes {expected}")]
    Image {
        /// Values given.
        got: usize,
        /// Values expected.
        expected: usize,
    },
    /// More images than the program was lowered for.
    #[error("{got} images, the program takes {expected} at once")]
    Batch {
        /// Images given.
        got: usize,
        /// Most images of one run.
        expected: usize,
    },
    /// Errors were asked of a backend that does not track them.
    #[error("the clear backend was made without error tracking; make it with `with_errors`")]
    ErrorsNotTracked,
    /// No range was given for the input of an activation.
    #[error("no range is known for the input of activation {node}")]
    NoRange {
        /// The activation.
        node: NodeId,
    },
    /// Another number of ciphertexts than the input takes.
    #[error("the input has {got} ciphertexts, the program takes {expected}")]
    Ciphertexts {
        /// Ciphertexts given.
        got: usize,
        /// Ciphertexts expected.
        expected: usize,
    },
}
