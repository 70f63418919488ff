//! Section 6: the diagonal method with baby-step giant-step (Halevi and Shoup; its double-hoisted form is Bossuat et al. 2021).

use striae_cost_model::Strategy;
use striae_spaces::{GraphBuilder, Linear, Op, Shape};

use super::{lower, options};

/// Dense `n` x `n` products, the number of baby steps doubled until it balances the giants.
#[test]
fn dense_products() {
    for (n, rotations) in [(16, 6), (64, 14), (128, 22), (256, 30), (512, 46), (1024, 62), (4096, 126)] {
        let mut builder = GraphBuilder::new(Shape::vector(n)).unwrap();
        builder.then(Op::Linear(Linear { out_features: n, bias: false })).unwrap();
        let graph = builder.build().unwrap();
        let balanced = 1usize << (n.ilog2().div_ceil(2));
        let options = options(Strategy::BabyGiant { babies: balanced });
        let program = lower(&graph, 14, &options);
        assert_eq!(program.counts().rotations(), rotations, "n = {n}");
        assert_eq!(program.counts().plain_mults, n as u64);
    }
}
