//! Estimates of a space's networks from cached pieces are the planner's own, bit for bit.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use striae_cost_model::{Calibration, CostError, Lowerer, PlanOptions, RingType, SpaceCost, SpaceEstimator};
use striae_spaces::space::{Genotype, StriaSpace, Trellis, builtin};

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

/// Compares `count` random networks of a space, each estimated twice: when its pieces are new, and later.
fn assert_equal(space: &StriaSpace, options: &PlanOptions, count: usize) -> usize {
    let (calibration, mut rng) = (Calibration::generic(), ChaCha8Rng::seed_from_u64(7));
    let trellis = Trellis::new(space).unwrap();
    let mut estimator = SpaceEstimator::new(&trellis, &calibration, options.clone());
    let mut lowerer = Lowerer::new(&calibration);
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
            planned += 1;
        }
    }
    planned
}

#[test]
fn the_built_in_spaces_are_estimated_as_planned() {
    for name in ["strianet-mnist", "strianet-cifar10", "strianet-glyphs"] {
        assert_eq!(assert_equal(&builtin(name).unwrap(), &PlanOptions::default(), 3000), 3000, "{name}");
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
        PlanOptions { params: Some(given), ..all },
    ];
    for options in options {
        let planned = assert_equal(&space, &options, 500);
        assert!(planned > 100, "{planned} of 500 with {options:?}");
    }
}
