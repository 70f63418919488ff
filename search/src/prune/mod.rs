//! What pruning takes from encrypted evaluation: the weights that share a diagonal, or a rotation of an input, are one block,
//! so that a block less is a multiplication or a rotation less.

mod blocks;
mod pattern;

pub use blocks::{BlockMap, Unit};
pub use pattern::pattern;

use striae_spaces::{GraphError, Grouping, Op, TypedGraph};

/// The network with all its convolutions dense: what shares of rotations left are counted against (SpENCNN, Table 3).
///
/// # Errors
///
/// [`GraphError`]: none for the networks of this program, whose channels are what they were.
pub fn ungrouped(graph: &TypedGraph) -> Result<TypedGraph, GraphError> {
    let mut literal = graph.to_literal();
    for node in &mut literal.nodes {
        if let Op::Conv2d(conv) = &mut node.op {
            (conv.groups, conv.grouping) = (1, Grouping::Contiguous);
        }
    }
    TypedGraph::try_from(literal)
}
