//! The planner: the smallest ring, chains within the security bound, given parameters, errors with numbers.

use striae_cost_model::{
    Calibration, CkksParams, CostError, DegreeChoice, Lowerer, Packing, Plan, PlanOptions, RingType, Security, chains,
    max_log_qp,
};
use striae_spaces::{Activation, AvgPool, Conv2d, GraphBuilder, Linear, Op, Shape, TypedGraph, zoo};

fn plan(graph: &TypedGraph, options: &PlanOptions) -> Result<Plan, CostError> {
    Lowerer::new(&Calibration::generic()).plan(graph, options)
}

fn network(input: Shape, ops: impl IntoIterator<Item = Op>) -> TypedGraph {
    let mut builder = GraphBuilder::new(input).unwrap();
    for op in ops {
        builder.then(op).unwrap();
    }
    builder.build().unwrap()
}

fn conv(channels: usize, k: usize, stride: usize) -> Op {
    Op::Conv2d(Conv2d { stride, ..Conv2d::dense(channels, k) })
}

/// Convolutions with activations between them: 2 `depth` - 1 levels.
fn deep(depth: usize) -> TypedGraph {
    let pair = [conv(1, 3, 1), Op::Activation(Activation::Quadratic)];
    network(Shape::map(1, 8, 8), pair.into_iter().cycle().take(2 * depth - 1))
}

#[test]
fn chains_keep_the_security_bound_and_the_depth() {
    let options = PlanOptions::default();
    for (log_n, depth) in (10..=17).flat_map(|log_n| (0..70).map(move |depth| (log_n, depth))) {
        let of_rings = RingType::ALL.map(|ring| chains(ring, log_n, depth, &options));
        assert_eq!(of_rings[0].len(), of_rings[1].len(), "the rings share one security table");
        for params in of_rings.into_iter().flatten() {
            assert!(params.log_qp() <= max_log_qp(log_n).unwrap(), "{params}");
            assert_eq!((params.max_level(), params.security()), (depth, Security::Bits128), "{params}");
            assert!((options.min_log_scale..=options.max_log_scale).contains(&params.log_scale()), "{params}");
            assert!(params.log_q()[0] > params.log_scale() && !params.has_wide_primes(), "{params}");
        }
    }
    assert!(chains(RingType::Standard, 17, 1, &options).is_empty(), "the security table ends at 2^16");
}

#[test]
fn the_smallest_ring_that_fits_is_chosen() {
    for depth in [1, 2, 3, 5, 7, 12, 20] {
        let graph = deep(depth);
        let plan = plan(&graph, &PlanOptions::default()).unwrap();
        let smaller = PlanOptions { max_log_n: plan.params.log_n() - 1, ..PlanOptions::default() };
        let first = PlanOptions::default().min_log_n;
        if plan.params.log_n() > first {
            let error = self::plan(&graph, &smaller).unwrap_err();
            assert!(matches!(error, CostError::TooDeep { levels, available, .. } if available < levels), "{error}");
        }
        assert_eq!(plan.params.max_level(), 2 * depth - 1);
    }
}

/// Of all degrees on their own, the cheapest is that of the cheapest plan.
#[test]
fn the_cheapest_ring_is_chosen_where_that_is_asked_for() {
    let cheapest = PlanOptions { degree: DegreeChoice::Cheapest, ..PlanOptions::default() };
    for name in ["strianet-mnist", "strianet-cifar10", "lenet-like", "hefnet-g8"] {
        let graph = zoo::build(name).unwrap();
        let [best, smallest] = [&cheapest, &PlanOptions::default()].map(|options| plan(&graph, options).unwrap());
        let one = |log_n| PlanOptions { min_log_n: log_n, max_log_n: log_n, ..PlanOptions::default() };
        let least = (12..=16).filter_map(|log_n| plan(&graph, &one(log_n)).ok()).map(|p| p.estimate.latency.0);
        assert_eq!(best.estimate.latency.0, least.fold(f64::INFINITY, f64::min), "{name}");
        assert!(best.params.log_n() >= smallest.params.log_n(), "{name}");
    }
}

#[test]
fn the_packing_that_takes_least_is_chosen_of_several() {
    let graph: TypedGraph = "8x16x16: conv(32,k3) quad conv(32,k3) quad flatten linear(4)".parse().unwrap();
    let (calibration, options) = (Calibration::generic(), PlanOptions::default());
    let mut lowerer = Lowerer::new(&calibration);
    let packings = [Packing::RowMajor, Packing::Multiplexed, Packing::MultiplexedBsgs];
    let of = packings.map(|packing| lowerer.plan(&graph, &PlanOptions { packing: Some(packing), ..options.clone() }));
    let least = of.into_iter().flatten().map(|p| p.estimate.latency.0).fold(f64::INFINITY, f64::min);
    assert_eq!(lowerer.plan_in(&graph, &options, &packings).unwrap().estimate.latency.0, least);
    let shallow = PlanOptions { max_log_n: 12, ..options };
    let error = lowerer.plan_in(&graph, &shallow, &packings).unwrap_err();
    assert!(matches!(error, CostError::TooDeep { .. }), "{error}");
}

#[test]
fn rings_too_small_for_a_map_are_passed_over() {
    let graph = network(Shape::map(1, 64, 64), [conv(1, 3, 1)]);
    for (ring, log_n) in [(None, 12), (Some(RingType::ConjugateInvariant), 12), (Some(RingType::Standard), 13)] {
        let plan = plan(&graph, &PlanOptions { ring, ..PlanOptions::default() }).unwrap();
        assert_eq!((plan.params.log_n(), plan.params.slots()), (log_n, 4096));
    }
    let ring = Some(RingType::Standard);
    let error = plan(&graph, &PlanOptions { ring, max_log_n: 12, ..PlanOptions::default() }).unwrap_err();
    assert_eq!(error.to_string(), "a 1x64x64 map needs blocks of 4096 slots, a ciphertext has 2048");
}

#[test]
fn given_parameters_are_used_as_they_are() {
    let graph = zoo::build("strianet-mnist").unwrap();
    let params: CkksParams = "N=2^14 Q=45,35,35,35,35,35,35,35 P=46 scale=2^35".parse().unwrap();
    let given = PlanOptions { params: Some(params.clone()), ..PlanOptions::default() };
    let plan = plan(&graph, &given).unwrap();
    assert_eq!(plan.params, params);
    assert!(plan.program.depth() <= 7);
    let shallow: CkksParams = "N=2^13 Q=45,35,35 P=46 scale=2^35".parse().unwrap();
    let error = self::plan(&graph, &PlanOptions { params: Some(shallow), ..PlanOptions::default() }).unwrap_err();
    assert_eq!(error.to_string(), "the network needs 5 levels, the parameters offer 2");
}

#[test]
fn a_choice_of_fusing_is_kept() {
    let graph = zoo::build("strianet-mnist").unwrap();
    for (fuse, depth) in [(true, 5), (false, 7)] {
        let plan = plan(&graph, &PlanOptions { fuse: Some(fuse), ..PlanOptions::default() }).unwrap();
        assert_eq!((plan.options.fuse, plan.program.depth()), (fuse, depth));
    }
}

#[test]
fn what_cannot_run_says_where() {
    let relu = network(Shape::map(1, 8, 8), [conv(2, 3, 1), Op::Activation(Activation::Relu)]);
    assert_eq!(
        plan(&relu, &PlanOptions::default()).unwrap_err().to_string(),
        "node n2 (relu) cannot run under the ckks protocol: only polynomial activations run on ciphertexts"
    );
    let wide = network(Shape::vector(8), [Op::Linear(Linear { out_features: 40_000, bias: false })]);
    let error = plan(&wide, &PlanOptions::default()).unwrap_err().to_string();
    assert!(error.contains("40000 outputs do not fit into 4096 slots"), "{error}");
    let huge = network(Shape::map(1, 8, 8), [conv(20_000, 1, 1), conv(20_000, 1, 1), conv(4, 1, 1)]);
    let error = plan(&huge, &PlanOptions { fuse: Some(false), ..PlanOptions::default() }).unwrap_err().to_string();
    assert!(error.contains("400000000 weights, at most 134217728 are supported"), "{error}");
}

/// Strides where nothing is left to stride over must not open gaps larger than a block.
#[test]
fn strides_of_single_pixels_are_harmless() {
    let ops = [
        conv(64, 3, 1),
        Op::AvgPool(AvgPool { size: 8, stride: 200 }),
        conv(64, 3, 255),
        conv(64, 1, 255),
        Op::Activation(Activation::Quadratic),
        conv(32, 3, 255),
    ];
    let graph = network(Shape::map(1, 8, 8), ops);
    let plan = plan(&graph, &PlanOptions::default()).unwrap();
    let result = &plan.program.result().layout;
    let slots: std::collections::BTreeSet<_> = (0..result.len()).map(|i| result.slot(i)).collect();
    assert_eq!(slots.len(), 32);
    assert!(slots.iter().all(|(_, slot)| *slot < plan.program.slots));
}
