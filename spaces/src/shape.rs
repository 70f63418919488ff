//! Shapes of the values that flow through a network, without the batch dimension.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The shape of one value for one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `channels` feature maps of `height` x `width` pixels, stored channel by channel, row by row.
    Map {
        /// Number of feature maps.
        channels: usize,
        /// Rows of a map.
        height: usize,
        /// Columns of a map.
        width: usize,
    },
    /// A flat vector.
    Vector {
        /// Its length.
        features: usize,
    },
}

impl Shape {
    /// A map shape.
    pub const fn map(channels: usize, height: usize, width: usize) -> Self {
        Self::Map { channels, height, width }
    }

    /// A vector shape.
    pub const fn vector(features: usize) -> Self {
        Self::Vector { features }
    }

    /// Number of values.
    pub const fn len(self) -> usize {
        match self {
            Self::Map { channels, height, width } => channels * height * width,
            Self::Vector { features } => features,
        }
    }

    /// Number of values, or `None` if it overflows.
    pub const fn checked_len(self) -> Option<usize> {
        match self {
            Self::Map { channels, height, width } => match channels.checked_mul(height) {
                Some(rows) => rows.checked_mul(width),
                None => None,
            },
            Self::Vector { features } => Some(features),
        }
    }

    /// Whether the shape holds no value at all.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Channels of a map, features of a vector: the dimension that per-channel parameters follow.
    pub const fn channels(self) -> usize {
        match self {
            Self::Map { channels, .. } => channels,
            Self::Vector { features } => features,
        }
    }

    /// Height and width; a vector counts as 1 x 1.
    pub const fn spatial(self) -> (usize, usize) {
        match self {
            Self::Map { height, width, .. } => (height, width),
            Self::Vector { .. } => (1, 1),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map { channels, height, width } => write!(f, "{channels}x{height}x{width}"),
            Self::Vector { features } => write!(f, "{features}"),
        }
    }
}
