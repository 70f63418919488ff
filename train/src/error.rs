//! Errors of data sets and of training.

use std::path::PathBuf;

use striae_spaces::{GraphError, NodeId, Shape, WeightError};
use thiserror::Error;

use crate::TrainDevice;

/// A data set that cannot be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// Not a data set we know.
    #[error("unknown data set \"{name}\", expected one of glyphs, mnist, fashion-mnist, cifar10")]
    UnknownName {
        /// What was asked for.
        name: String,
    },
    /// No folder was given.
    #[error("data set {name} is read from files: pass their folder or set STRIAE_DATA")]
    NoFolder {
        /// The data set.
        name: &'static str,
    },
    /// A file is in none of the places it may be.
    #[error("{}: {file} not found, nor in {}", .folders[0].display(), .folders[1].display())]
    NotFound {
        /// The file.
        file: &'static str,
        /// Where it was looked for.
        folders: [PathBuf; 2],
    },
    /// A file cannot be read or decompressed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A field of a file is wrong.
    #[error("{path}: {field} is {got}, expected {expected}")]
    Field {
        /// The file, with the member of an archive.
        path: PathBuf,
        /// The field.
        field: String,
        /// What it holds.
        got: String,
        /// What it must hold.
        expected: String,
    },
    /// A number of images or a fraction is out of range.
    #[error("{field} = {value}, expected {expected}")]
    Config {
        /// The field.
        field: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed.
        expected: &'static str,
    },
}

/// Training, evaluation or folding that cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The weights.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// A graph that folding built; a bug.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A tensor operation.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A value of the configuration is out of range.
    #[error("training configuration: {field} = {value}, expected {expected}")]
    Config {
        /// The field.
        field: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed.
        expected: &'static str,
    },
    /// A network that is to be pruned is not good enough as it is.
    #[error("the network's validation accuracy is {:.2} %, below the bound of {:.2} %", 100.0 * accuracy, 100.0 * bound)]
    BelowBound {
        /// Its accuracy.
        accuracy: f64,
        /// The least that is accepted.
        bound: f64,
    },
    /// The network does not take the data set's images.
    #[error("the network takes {network} and gives {outputs} values; the images are {images} of {classes} classes")]
    Mismatch {
        /// Input shape of the network.
        network: Shape,
        /// Number of its outputs.
        outputs: usize,
        /// Shape of the images.
        images: Shape,
        /// Number of classes.
        classes: usize,
    },
    /// Not a device we know.
    #[error("unknown device \"{name}\", expected cpu, auto or cuda:N")]
    UnknownDevice {
        /// What was asked for.
        name: String,
    },
    /// A GPU is asked of a program that cannot use one.
    #[error("device {device}: this program was built without CUDA")]
    NoCuda {
        /// What was asked for.
        device: TrainDevice,
    },
    /// A GPU that cannot be used.
    #[error("device {device}: {source}")]
    Device {
        /// What was asked for.
        device: TrainDevice,
        /// Cause.
        source: candle_core::Error,
    },
    /// The loss is no longer a number.
    #[error("training diverged in epoch {epoch}, step {step}: loss is {loss}, first bad value in {place}")]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// Step of the epoch, from 1.
        step: usize,
        /// The loss.
        loss: f32,
        /// The node whose value is not finite, or the loss.
        place: String,
    },
    /// A checkpoint cannot be used.
    #[error("{path}: {field}: {why}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A batch norm that cannot be folded.
    #[error("cannot fold batch norm {node}: channel {channel} has variance {var}")]
    Fold {
        /// The node.
        node: NodeId,
        /// The channel.
        channel: usize,
        /// Its variance.
        var: f32,
    },
}
