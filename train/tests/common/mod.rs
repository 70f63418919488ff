//! Networks and data that several tests use.
#![expect(dead_code, reason = "each test program uses a part")]

use std::{ops::ControlFlow, path::PathBuf};

use striae_spaces::{Activation, Conv2d, GraphBuilder, Grouping, Linear, Op, Shape, TypedGraph};
use striae_train::TrainEvent;

/// Builds a chain of operations.
pub(crate) fn chain(input: Shape, ops: impl IntoIterator<Item = Op>) -> TypedGraph {
    let mut builder = GraphBuilder::new(input).unwrap();
    for op in ops {
        builder.then(op).unwrap();
    }
    builder.build().unwrap()
}

pub(crate) fn linear(out_features: usize) -> Op {
    Op::Linear(Linear { out_features, bias: true })
}

pub(crate) fn quadratic() -> Op {
    Op::Activation(Activation::Quadratic)
}

/// Logistic regression.
pub(crate) fn linear_classifier(input: Shape) -> TypedGraph {
    chain(input, [Op::Flatten, linear(10)])
}

/// Two strided convolutions with quadratic activations, the second with interleaved groups.
pub(crate) fn small_network(input: Shape, width: usize, groups: usize) -> TypedGraph {
    let first = Conv2d { stride: 2, ..Conv2d::dense(width, 5) };
    let grouping = Grouping::Interleaved;
    let second = Conv2d { stride: 2, groups, grouping, ..Conv2d::dense(2 * width, 3) };
    let convs = [first, second].into_iter().flat_map(|c| [Op::Conv2d(c), Op::BatchNorm, quadratic()]);
    chain(input, convs.chain([Op::Flatten, linear(10)]))
}

/// An observer that lets training run.
pub(crate) fn quiet(_: &TrainEvent) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The folder of the real data sets, if this machine has it.
pub(crate) fn data_folder() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("STRIAE_DATA").map_or(beside, PathBuf::from);
    if folder.join("mnist").is_dir() { Some(folder) } else { None }
}
