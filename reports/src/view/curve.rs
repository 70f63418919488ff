//! The course of a training.

use serde::{Deserialize, Serialize};

/// One epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean loss of the steps.
    pub train_loss: f64,
    /// Accuracy on the varied training images.
    pub train_accuracy: f64,
    /// Loss on the validation images.
    pub validation_loss: f64,
    /// Accuracy on the validation images.
    pub validation_accuracy: f64,
}

/// All epochs of a training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CurveView {
    /// Heading of the plot.
    pub title: String,
    /// Epochs, first to last.
    pub points: Vec<CurvePoint>,
}
