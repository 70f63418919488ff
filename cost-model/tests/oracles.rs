//! Published rotation counts, reproduced by lowering. Each test names its source.

use striae_cost_model::{
    Calibration, CkksParams, CkksParamsLiteral, HeProgram, InputPacking, LowerOptions, Lowerer, RingType, StepKind,
    Strategy, StrategyChoice,
};
use striae_spaces::{Conv2d, GraphBuilder, Grouping, Linear, Op, Shape, TypedGraph};

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

fn options(strategy: Strategy) -> LowerOptions {
    LowerOptions {
        strategy: StrategyChoice::Always(strategy),
        merge: false,
        input: InputPacking::Packed,
        ..LowerOptions::default()
    }
}

fn lower(graph: &TypedGraph, log_n: u32, options: &LowerOptions) -> HeProgram {
    Lowerer::new(&Calibration::generic()).lower(graph, &params(log_n), options).unwrap()
}

fn conv_graph(input: Shape, conv: Conv2d) -> TypedGraph {
    let mut builder = GraphBuilder::new(input).unwrap();
    builder.then(Op::Conv2d(conv)).unwrap();
    builder.build().unwrap()
}

/// Gazelle (Juvekar et al., USENIX Security 2018; conv2d.cpp of its public code): 64 -> 64 channels on 32 x 32, 3 x 3, 2048
/// slots: 544 rotations in one stage, 288 in two; `c_n K^2 in_ct out_ct` multiplications.
#[test]
fn gazelle_one_and_two_stages() {
    let graph = conv_graph(Shape::map(64, 32, 32), Conv2d::dense(64, 3));
    let one = lower(&graph, 12, &options(Strategy::InputSide)).counts();
    let two = lower(&graph, 12, &options(Strategy::OutputSide)).counts();
    assert_eq!((one.rotations(), one.giant_steps), (544, 0));
    assert_eq!((two.rotations_hoisted, two.giant_steps), (32 * 8, 32));
    assert_eq!((one.plain_mults, two.plain_mults), (32 * 32 * 2 * 9, 32 * 32 * 2 * 9));
}

/// SpENCNN (Ran et al., ICML 2023), section 4: rotations of a convolution are `ceil(Ci / alpha) (alpha_g |T| - 1)` with
/// `alpha_g = max(alpha / G, 1)`. The LeNet-like network's second convolution: 32 channels, 5 x 5, N = 8192, alpha = 4.
#[test]
fn spencnn_grouped_convolutions() {
    for (groups, rotations) in [(1, 8 * 99), (2, 8 * 49), (4, 8 * 24), (8, 8 * 24)] {
        let conv = Conv2d { groups, grouping: Grouping::Interleaved, ..Conv2d::dense(64, 5) };
        let graph = conv_graph(Shape::map(32, 28, 28), conv);
        let program = lower(&graph, 13, &options(Strategy::InputSide));
        assert_eq!(program.counts().rotations(), rotations, "G = {groups}");
        if groups >= 4 {
            let kinds = program.rotation_kinds();
            assert_eq!((kinds.internal, kinds.external), (rotations, 0));
        }
    }
}

/// SpENCNN, section 4.2: sub-blocks of a convolution, the diagonals of its inputs: `ceil(Ci / alpha) alpha K^2`; the first
/// layer, whose input is replicated, has `Ci K^2`. LeNet-like: 25 and 8 * 4 * 25.
#[test]
fn spencnn_sub_blocks() {
    let sub_blocks = |graph: &TypedGraph, input| {
        let options = LowerOptions { input, ..options(Strategy::InputSide) };
        let program = lower(graph, 13, &options);
        let StepKind::Linear(step) = &program.steps[0].kind else { panic!("a convolution is a linear step") };
        step.plan.babies.iter().map(Vec::len).sum::<usize>()
    };
    let first = conv_graph(Shape::map(1, 28, 28), Conv2d::dense(32, 5));
    assert_eq!(sub_blocks(&first, InputPacking::Replicated), 25);
    let second = conv_graph(Shape::map(32, 28, 28), Conv2d::dense(64, 5));
    assert_eq!(sub_blocks(&second, InputPacking::Packed), 8 * 4 * 25);
}

/// Dense `n` x `n` products by baby-step giant-step (Halevi and Shoup; the published counts are of the diagonal method with
/// the number of baby steps doubled until it balances the giants).
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
