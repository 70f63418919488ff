//! Published counts, each test named after its source. A module for every section of counts: packings whose programs we lower
//! are counted from those programs; what others do differently is counted by their formulas.

mod batched;
mod block;
mod bsgs;
mod gazelle;
mod multiplexed;
mod row_major;

use striae_cost_model::{
    Calibration, CkksParams, CkksParamsLiteral, HeProgram, InputPacking, LowerOptions, Lowerer, Packing, RingType,
    Strategy, StrategyChoice,
};
use striae_spaces::{Conv2d, GraphBuilder, Op, Shape, TypedGraph};

/// Parameters with enough levels for any test; the counts do not depend on the primes.
fn params(log_n: u32) -> CkksParams {
    let literal = CkksParamsLiteral {
        log_n,
        log_q: vec![45; 12],
        log_p: vec![46],
        log_scale: 30,
        ring: RingType::Standard,
        insecure: true,
    };
    CkksParams::try_from(literal).unwrap()
}

/// Row-major, the image packed like every other map.
fn options(strategy: Strategy) -> LowerOptions {
    LowerOptions {
        strategy: StrategyChoice::Always(strategy),
        packing: Packing::RowMajor,
        input: InputPacking::Packed,
        ..LowerOptions::default()
    }
}

fn lower(graph: &TypedGraph, log_n: u32, options: &LowerOptions) -> HeProgram {
    Lowerer::new(&Calibration::generic()).lower(graph, &params(log_n), options).unwrap()
}

fn count(graph: &TypedGraph, slots: usize, options: &LowerOptions) -> HeProgram {
    Lowerer::new(&Calibration::generic()).count(graph, slots, options).unwrap()
}

fn conv_graph(input: Shape, conv: Conv2d) -> TypedGraph {
    let mut builder = GraphBuilder::new(input).unwrap();
    builder.then(Op::Conv2d(conv)).unwrap();
    builder.build().unwrap()
}
