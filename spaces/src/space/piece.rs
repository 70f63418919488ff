//! What the networks of a space are made of.

use super::StriaSpaceLiteral;
use crate::blocks::{StriaBlock, conv_bn_act, linear, pool, stria_block};
use crate::{Conv2d, GraphBuilder, GraphError, NodeId, Op};

/// A piece of a network. What it computes and what it costs depends on nothing else but the maps it reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Convolution, norm, activation.
    Conv(Conv2d),
    /// Average pooling with windows of this side.
    Pool(usize),
    /// A StriaBlock.
    Block(StriaBlock),
    /// The classifier: average pooling with windows of this side (1 for none), flatten, linear layer.
    Head(usize),
}

impl Piece {
    /// Adds the piece behind the last node; `classes` are the features of the classifier. Returns its own last node.
    pub(super) fn push(&self, builder: &mut GraphBuilder, classes: usize) -> Result<NodeId, GraphError> {
        let input = builder.last();
        match self {
            Self::Conv(conv) => conv_bn_act(builder, input, conv.clone()),
            Self::Pool(size) => pool(builder, *size),
            Self::Block(block) => stria_block(builder, input, block),
            Self::Head(window) => {
                if *window > 1 {
                    pool(builder, *window)?;
                }
                builder.then(Op::Flatten)?;
                linear(builder, classes)
            }
        }
    }
}

/// The maps between two parts of a network: all that the rest of it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Maps {
    /// Rows and columns.
    pub side: (usize, usize),
    /// Channels.
    pub channels: usize,
}

impl Maps {
    /// Before the stem, which reads the image.
    pub(super) fn of_image(space: &StriaSpaceLiteral) -> Self {
        let [channels, height, width] = space.input;
        Self { side: (height, width), channels }
    }
}
