//! The networks of the zoo and of the built-in spaces, planned.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use striae_cost_model::{
    Calibration, CkksParams, CkksParamsLiteral, CostError, InputPacking, LowerOptions, Lowerer, Plan, PlanOptions,
    RingType, RotationKinds, Security, SourceOp, StepKind, StrategyChoice, estimate,
};
use striae_spaces::{Conv2d, GraphBuilder, Kernel, KernelMask, NodeId, Op, TypedGraph, space, zoo};

fn plan(graph: &TypedGraph, options: &PlanOptions) -> Result<Plan, CostError> {
    Lowerer::new(&Calibration::generic()).plan(graph, options)
}

#[test]
fn every_network_plans_and_its_rotations_add_up() {
    // Deeper ones need bootstrapping; the maps of those for ImageNet are larger than a ciphertext.
    let runs = |graph: &TypedGraph| graph.levels() <= 39 && graph.input_shape().spatial() <= (32, 32);
    let networks = zoo::names().into_iter().map(|name| (name, zoo::build(name).unwrap()));
    for (name, graph) in networks.filter(|(_, graph)| runs(graph)) {
        let plan = plan(&graph, &PlanOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(plan.program.rotation_kinds().total(), plan.program.counts().rotations(), "{name}");
        assert_eq!(plan.params.security(), Security::Bits128, "{name}");
        assert!(plan.program.depth() <= plan.params.max_level(), "{name}");
        // What the planner compares is what the estimate says of the program it returns.
        assert_eq!(plan.estimate, estimate(&plan.program, &plan.params, &Calibration::generic()), "{name}");
        assert!(plan.estimate.latency.0 > 0.0 && plan.estimate.interval.0 < plan.estimate.interval.1, "{name}");
    }
}

#[test]
fn networks_deeper_than_the_ring_say_by_how_much() {
    let graph = zoo::build("resnet20").unwrap();
    let options = PlanOptions { max_log_n: 14, ..PlanOptions::default() };
    // 438 bits: q0 of 36 bits, a special prime of 37, and 14 levels of 26 (364) make 437.
    let error = CostError::TooDeep { levels: 39, available: 14, max_log_n: 14, bits: 128, fits: Some(16) };
    assert_eq!(plan(&graph, &options), Err(error.clone()));
    assert_eq!(
        error.to_string(),
        "the network needs 39 levels, 25 more than the 14 that 128-bit parameters up to N = 2^14 offer; N = 2^16 would hold it"
    );
    let deepest = zoo::build("resnet110").unwrap();
    let error = plan(&deepest, &PlanOptions::default()).unwrap_err().to_string();
    assert!(error.ends_with("offer; no larger ring holds it, and there is no bootstrapping"), "{error}");
}

/// These StriaNets are scaled for the ring and the slots that the planner chooses, so nothing of them rotates externally.
#[test]
fn strianets_fit_their_rings_without_external_rotations() {
    for (name, log_n) in [("strianet-mnist", 13), ("strianet-cifar10-exrot-free", 15)] {
        let plan = plan(&zoo::build(name).unwrap(), &PlanOptions::default()).unwrap();
        assert_eq!((plan.params.log_n(), plan.params.ring()), (log_n, RingType::ConjugateInvariant), "{name}");
        assert_eq!(plan.params.security(), Security::Bits128);
        assert_eq!(plan.program.rotation_kinds().external, 0, "{name}");
    }
}

#[test]
fn strianet_cifar10_fits_its_ring() {
    let plan = plan(&zoo::build("strianet-cifar10").unwrap(), &PlanOptions::default()).unwrap();
    assert_eq!((plan.params.log_n(), plan.params.security()), (15, Security::Bits128));
}

#[test]
fn levels_of_spaces_and_of_the_lowering_agree() {
    let check = |graph: &TypedGraph| {
        assert_eq!(Lowerer::depth(graph, true).unwrap(), graph.levels(), "{graph}");
        assert_eq!(Lowerer::depth(graph, false).unwrap(), graph.levels_factored(), "{graph}");
    };
    zoo::names().into_iter().for_each(|name| check(&zoo::build(name).unwrap()));
    for name in space::builtin_names() {
        let space = space::builtin(name).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        (0..300).for_each(|_| check(&space.build(&space.sample(&mut rng)).unwrap()));
    }
}

/// Planning with a lowerer that has met other networks gives what a fresh one gives.
#[test]
fn memory_of_other_networks_changes_no_plan() {
    let calibration = Calibration::generic();
    let mut lowerer = Lowerer::new(&calibration);
    let space = space::builtin("strianet-mnist").unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for _ in 0..60 {
        let graph = space.build(&space.sample(&mut rng)).unwrap();
        let warm = lowerer.plan(&graph, &PlanOptions::default()).unwrap();
        assert_eq!(warm, plan(&graph, &PlanOptions::default()).unwrap(), "{graph}");
        assert_eq!(warm.program, lowerer.lower(&graph, &warm.params, &warm.options).unwrap());
    }
}

/// The planner's choice is the cheapest of all lowerings under all its chains.
#[test]
fn the_plan_is_the_cheapest_variant() {
    let calibration = Calibration::generic();
    let mut lowerer = Lowerer::new(&calibration);
    for name in ["strianet-mnist", "strianet-cifar10"] {
        let graph = zoo::build(name).unwrap();
        let plan = plan(&graph, &PlanOptions::default()).unwrap();
        for fuse in [true, false] {
            for input in [InputPacking::Replicated, InputPacking::Packed] {
                let options = LowerOptions { fuse, input, ..LowerOptions::default() };
                let Ok(program) = lowerer.lower(&graph, &plan.params, &options) else { continue };
                let other = estimate(&program, &plan.params, &calibration);
                assert!(plan.estimate.latency <= other.latency, "{name} {options:?}");
            }
        }
    }
}

/// StriaNet's published figure: 19 % of the internal rotations of plain `k` x `k` convolutions of the same widths, and none
/// external. The rotations of the blocks alone, factored, with taps on the inputs and positions on the partial sums, so that
/// internal and external rotations are apart: 8 Cross taps more than the centre on M against 24 on C.
#[test]
fn stria_blocks_need_a_fifth_of_the_rotations_of_plain_convolutions() {
    for (name, log_n, internal) in [("strianet-mnist", 13, (8, 48)), ("strianet-cifar10-exrot-free", 15, (32, 192))] {
        let graph = zoo::build(name).unwrap();
        let (plain, convs) = plain_counterpart(&graph);
        let stria = rotations(&graph, log_n, &block_convs(&graph));
        let dense = rotations(&plain, log_n, &convs);
        assert_eq!((stria.internal, dense.internal), internal, "{name}");
        assert_eq!(stria.external, 0, "{name}");
        assert!(dense.internal > 0 && dense.external > 0, "{name}: {dense:?}");
        assert!(100 * stria.internal <= 19 * dense.internal, "{name}: {} of {}", stria.internal, dense.internal);
    }
}

/// Rotations of the steps that compute `nodes`, factored.
fn rotations(graph: &TypedGraph, log_n: u32, nodes: &[NodeId]) -> RotationKinds {
    let literal = CkksParamsLiteral {
        log_n,
        log_q: vec![45; 40],
        log_p: vec![46],
        log_scale: 30,
        ring: RingType::ConjugateInvariant,
        insecure: true,
    };
    let params = CkksParams::try_from(literal).unwrap();
    let options = LowerOptions {
        fuse: false,
        strategy: StrategyChoice::Always(striae_cost_model::Strategy::OutputSide),
        ..LowerOptions::default()
    };
    let program = Lowerer::new(&Calibration::generic()).lower(graph, &params, &options).unwrap();
    let computes = |kind: &StepKind| match kind {
        StepKind::Linear(step) => step.sources.iter().any(|s| match &s.op {
            SourceOp::Conv(chain) => chain.iter().any(|id| nodes.contains(id)),
            SourceOp::Dense { .. } | SourceOp::Pool(_) | SourceOp::Identity => false,
        }),
        StepKind::Square { .. } | StepKind::WindowSum { .. } => false,
    };
    let steps = program.steps.iter().enumerate().filter(|(_, step)| computes(&step.kind));
    steps.map(|(i, _)| program.step_rotation_kinds(i)).sum()
}

/// Whether three convolutions in a row from `id` are a block's, as the zoo builds it: conv, norm, conv, norm, conv, norm, add.
fn starts_block(graph: &TypedGraph, id: usize) -> bool {
    let is_conv = |i: usize| graph.nodes().get(i).is_some_and(|n| matches!(n.op, Op::Conv2d(_)));
    let adds = graph.nodes().get(id + 6).is_some_and(|n| n.op == Op::Add);
    is_conv(id) && is_conv(id + 2) && is_conv(id + 4) && adds
}

fn block_convs(graph: &TypedGraph) -> Vec<NodeId> {
    let starts = (0..graph.nodes().len()).filter(|&i| starts_block(graph, i));
    starts.flat_map(|i| [i, i + 2, i + 4].map(|n| NodeId(n as u32))).collect()
}

/// The network with each block's convolutions replaced by one dense `k` x `k` convolution on its width, and those
/// convolutions.
fn plain_counterpart(graph: &TypedGraph) -> (TypedGraph, Vec<NodeId>) {
    let mut builder = GraphBuilder::new(graph.input_shape()).unwrap();
    let mut place = vec![NodeId(0)];
    let mut convs = Vec::new();
    let mut skip = 0;
    for (i, node) in graph.nodes().iter().enumerate().skip(1) {
        if skip > 0 {
            skip -= 1;
            place.push(builder.last());
            continue;
        }
        let inputs: Vec<NodeId> = node.inputs.iter().map(|n| place[n.index()]).collect();
        if starts_block(graph, i) {
            let Op::Conv2d(Conv2d { kernel: Kernel { size, .. }, .. }) = graph.nodes()[i + 2].op else {
                panic!("the middle of a block is a convolution");
            };
            let conv = Conv2d::dense(node_channels(graph, i), size);
            assert_eq!(conv.kernel.mask, KernelMask::Full);
            convs.push(builder.push(Op::Conv2d(conv), &inputs).unwrap());
            place.push(builder.last());
            skip = 5;
        } else {
            place.push(builder.push(node.op.clone(), &inputs).unwrap());
        }
    }
    (builder.build().unwrap(), convs)
}

/// Channels a node reads.
fn node_channels(graph: &TypedGraph, node: usize) -> usize {
    graph.shape(graph.nodes()[node].inputs[0]).channels()
}
