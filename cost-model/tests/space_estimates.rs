//! Estimates of a space's networks from cached pieces are the planner's own, bit for bit.

use std::collections::HashSet;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use striae_cost_model::{
    Agenda, Calibration, CostError, DegreeChoice, Lowerer, Packing, PlanOptions, RingType, SecurityLevel, SpaceCost,
    SpaceEstimator, Sweep, estimate,
};
use striae_spaces::{
    TypedGraph,
    space::{Bounds, Genotype, StriaSpace, Trellis, builtin},
};

/// A space with part-filled ciphertexts, whole-map pooling, point kernels and activations inside blocks.
const PART_FILLED: &str = r#"
    name = "part-filled"
    input = [3, 16, 16]
    classes = 4
    slots = 2048
    stem = { stride = 2, kernels = [3], widths = [12, 24, 32, 48] }
    head = { pools = [1, 2, 0] }
    bounds = { max_taps = 25, max_external_rotations = 400, max_ciphertexts = 3, max_levels = 60 }
    [[stages]]
    stride = 1
    depths = [0, 1, 2, 5]
    bottleneck_widths = [8, 16, 32, 64]
    kernels = [1, 3, 5]
    masks = ["cross", "full", "alternating"]
    mixing = ["none", "shift", "dense"]
    inner = [false, true]
    [[stages]]
    stride = 2
    depths = [0, 1, 3]
    widths = [48, 96, 128, 256]
    transitions = ["pool", "point", "conv3"]
    bottlenecks = [1, 2]
    kernels = [3]
    masks = ["full"]
    mixing = ["shift", "none"]
    inner = [false, true]
    [[stages]]
    stride = 2
    depths = [0, 1]
    widths = [16, 200]
    transitions = ["pool", "conv3"]
    bottleneck_widths = [8]
    kernels = [3]
    masks = ["row"]
    mixing = ["shift", "none"]
    inner = [false]
"#;

/// Compares `count` random networks of a space, each estimated twice: when its pieces are new, and later. Returns how many
/// have a ring.
fn assert_equal(space: &StriaSpace, options: &PlanOptions, count: usize) -> usize {
    let calibration = &Calibration::generic();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let trellis = Trellis::new(space).unwrap();
    let mut estimator = SpaceEstimator::new(&trellis, calibration, options.clone());
    let mut lowerer = Lowerer::new(calibration);
    let genotypes: Vec<Genotype> = (0..count).map(|_| space.sample(&mut rng)).collect();
    genotypes.iter().for_each(|genotype| drop(estimator.estimate(genotype)));
    let mut planned = 0;
    for genotype in &genotypes {
        let graph = space.build(genotype).unwrap();
        let plan = lowerer.plan(&graph, options);
        let expected = plan.as_ref().map(SpaceCost::of).map_err(CostError::to_string);
        assert_eq!(estimator.estimate(genotype).map_err(|e| e.to_string()), expected, "{graph}");
        if let Ok(plan) = plan {
            assert_eq!(estimator.counts(genotype).unwrap(), plan.program.counts(), "{graph}");
            assert_eq!(plan.estimate, estimate(&plan.program, &plan.params, calibration), "{graph}");
            planned += 1;
        }
    }
    planned
}

#[test]
fn the_built_in_spaces_are_estimated_as_planned() {
    for name in ["strianet-mnist", "strianet-cifar10", "strianet-glyphs"] {
        let space = builtin(name).unwrap();
        assert_eq!(assert_equal(&space, &PlanOptions::default(), 3000), 3000, "{name}");
    }
}

#[test]
fn so_are_part_filled_and_too_deep_networks() {
    let space = StriaSpace::from_toml(PART_FILLED).unwrap();
    let options = PlanOptions { max_log_n: 14, ..PlanOptions::default() };
    let planned = assert_equal(&space, &options, 3000);
    assert!((500..3000).contains(&planned), "{planned} of 3000 have a ring");
}

#[test]
fn the_options_of_the_planner_hold() {
    let space = builtin("strianet-mnist").unwrap();
    let all = PlanOptions::default();
    let given = "N=2^14 Q=46,36,36,36,36,36 P=47 scale=2^36".parse().unwrap();
    let options = [
        PlanOptions { ring: Some(RingType::Standard), ..all.clone() },
        PlanOptions { fuse: Some(false), max_log_n: 14, ..all.clone() },
        PlanOptions { fuse: Some(true), min_log_scale: 32, ..all.clone() },
        PlanOptions { security: SecurityLevel::Bits192, ..all.clone() },
        PlanOptions { packing: Some(Packing::RowMajor), ..all.clone() },
        PlanOptions { degree: DegreeChoice::Cheapest, ..all.clone() },
        PlanOptions { params: Some(given), ..all },
    ];
    for options in options {
        let planned = assert_equal(&space, &options, 500);
        assert!(planned > 100, "{planned} of 500 with {options:?}");
    }
}

/// Every network of a space as a sweep visits it: its genes, latency and capacity.
fn sweep_all(trellis: &Trellis, agenda: &Agenda, calibration: &Calibration) -> Vec<(Genotype, f64, u64)> {
    let mut estimator = SpaceEstimator::new(trellis, calibration, PlanOptions::default());
    let mut sweep = Sweep::new(&mut estimator, agenda);
    let mut visited = Vec::new();
    for start in agenda.starts(trellis) {
        sweep.run(&start, &mut |network| {
            let genotype = trellis.genotype(trellis.branches(network.branches)).unwrap();
            visited.push((genotype, network.latency, network.capacity));
        });
    }
    visited
}

#[test]
fn a_sweep_visits_every_network_once_with_the_planners_latency() {
    let small = builtin("strianet-glyphs").unwrap();
    let few = StriaSpace::from_toml(&PART_FILLED.replace("max_levels = 60", "max_levels = 8")).unwrap();
    let calibration = Calibration::generic();
    for space in [small, few] {
        let trellis = Trellis::new(&space).unwrap();
        let agenda = Agenda::new(&trellis, space.literal().bounds, TypedGraph::macs);
        let visited = sweep_all(&trellis, &agenda, &calibration);
        let mut lowerer = Lowerer::new(&calibration);
        for (genotype, latency, capacity) in &visited {
            let graph = space.build(genotype).unwrap();
            let plan = lowerer.plan(&graph, &PlanOptions::default()).unwrap();
            assert_eq!((plan.estimate.latency.0, graph.macs()), (*latency, *capacity), "{graph}");
        }
        let distinct: HashSet<&Genotype> = visited.iter().map(|v| &v.0).collect();
        assert_eq!(distinct.len(), visited.len());
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        assert!((0..5000).all(|_| distinct.contains(&space.sample(&mut rng))));
        // Tighter bounds, fewer networks: the same ones.
        let bounds = Bounds { max_levels: 5, ..space.literal().bounds };
        let tight = sweep_all(&trellis, &Agenda::new(&trellis, bounds, TypedGraph::macs), &calibration);
        let expected = visited.iter().filter(|v| space.he_size(&v.0).levels <= 5).count();
        assert!(expected > 0 && expected < visited.len());
        assert_eq!(tight.len(), expected);
        let of = |genotype| visited.iter().find(|v| v.0 == genotype).map(|v| v.1);
        assert!(tight.into_iter().step_by(7).all(|(genotype, latency, _)| of(genotype) == Some(latency)));
    }
}
