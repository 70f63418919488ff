//! Errors of the IR and of the weight store.

use std::path::PathBuf;

use thiserror::Error;

use crate::{NodeId, Shape};

/// A graph that cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A node refers to one that does not come before it.
    #[error("node {node} reads node {input}, which does not come before it")]
    UnknownInput {
        /// The new node.
        node: NodeId,
        /// The missing input.
        input: NodeId,
    },
    /// Wrong number of inputs.
    #[error("{op} takes {expected} input(s), got {got}")]
    Arity {
        /// Operation.
        op: &'static str,
        /// Inputs it takes.
        expected: usize,
        /// Inputs it was given.
        got: usize,
    },
    /// The operation does not accept a value of this shape.
    #[error("{op} cannot take a value of shape {shape}: {why}")]
    BadInput {
        /// Operation.
        op: &'static str,
        /// Shape it was given.
        shape: Shape,
        /// What it needs.
        why: String,
    },
    /// The two operands of an addition differ.
    #[error("add needs two values of one shape, got {left} and {right}")]
    AddShapes {
        /// First operand.
        left: Shape,
        /// Second operand.
        right: Shape,
    },
    /// A field of an operation is out of range.
    #[error("{op}: {field} = {value} {why}")]
    BadField {
        /// Operation.
        op: &'static str,
        /// Field.
        field: &'static str,
        /// Its value.
        value: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A node whose value nobody reads, other than the last.
    #[error("node {node} is read by no other node and is not the output")]
    Unused {
        /// The node.
        node: NodeId,
    },
    /// Only an input.
    #[error("the network has no operation")]
    Empty,
    /// A value too large for any machine this runs on.
    #[error("a value of shape {shape} is too large: at most {limit} numbers")]
    TooLarge {
        /// The shape.
        shape: Shape,
        /// Most numbers a value may hold.
        limit: usize,
    },
    /// A dimension of the input is zero.
    #[error("input shape {shape} holds no value")]
    EmptyInput {
        /// The shape.
        shape: Shape,
    },
}

/// Weights that cannot be read, written or used with a network.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// Not a safetensors file.
    #[error("{path}: not a valid safetensors file: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: safetensors::SafeTensorError,
    },
    /// A tensor of another element type.
    #[error("{path}: tensor {name} has type {dtype}, expected F32")]
    Type {
        /// The file.
        path: PathBuf,
        /// Tensor.
        name: String,
        /// Its element type.
        dtype: String,
    },
    /// A tensor the network needs is missing.
    #[error("tensor {name} is missing")]
    Missing {
        /// Tensor.
        name: String,
    },
    /// A tensor the network has no use for.
    #[error("tensor {name} belongs to no parameter of the network")]
    Unknown {
        /// Tensor.
        name: String,
    },
    /// A tensor of another shape.
    #[error("tensor {name} has shape {got:?}, the network needs {expected:?}")]
    Shape {
        /// Tensor.
        name: String,
        /// Shape in the store.
        got: Vec<usize>,
        /// Shape the network needs.
        expected: Vec<usize>,
    },
    /// A value that is NaN or infinite.
    #[error("tensor {name} holds {value} at index {index}")]
    NotFinite {
        /// Tensor.
        name: String,
        /// Flat index.
        index: usize,
        /// The value.
        value: f32,
    },
}
