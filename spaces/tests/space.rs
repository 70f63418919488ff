//! Laws of the search spaces, through the public API.

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use striae_spaces::space::{
    BoundViolation, Choice, Genotype, HeSize, ParamError, SpaceError, StriaSpace, builtin, builtin_names, builtin_toml,
};
use striae_spaces::{Op, TypedGraph};

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A space whose widths leave ciphertexts part-filled.
const PART_FILLED: &str = r#"
    name = "part-filled"
    input = [1, 16, 16]
    classes = 4
    slots = 2048
    stem = { stride = 2, kernels = [3], widths = [12, 24, 32, 48] }
    head = { pools = [1, 2, 0] }
    bounds = { max_taps = 9, max_external_rotations = 400, max_ciphertexts = 3, max_levels = 12 }
    [[stages]]
    stride = 1
    depths = [0, 1, 2]
    bottleneck_widths = [8, 16, 32, 64]
    kernels = [1, 3]
    masks = ["cross", "full"]
    mixing = ["none", "shift", "dense"]
    inner = [false, true]
    [[stages]]
    stride = 2
    depths = [0, 1]
    widths = [48, 96, 128, 256]
    transitions = ["pool", "point", "conv3"]
    bottlenecks = [1, 2]
    kernels = [3]
    masks = ["full"]
    mixing = ["shift", "none"]
    inner = [false]
"#;

fn spaces() -> Vec<StriaSpace> {
    let mut spaces: Vec<StriaSpace> = builtin_names().into_iter().map(|name| builtin(name).unwrap()).collect();
    spaces.push(StriaSpace::from_toml(PART_FILLED).unwrap());
    spaces
}

/// Whether every convolution after the stem is ExRot-Free, as the names of the parameters say it.
fn asks_for_no_dense_layer(space: &StriaSpace, genotype: &Genotype) -> bool {
    space.to_params(genotype).iter().all(|(_, choice)| *choice != Choice::Word("dense".into()))
}

/// Everything that holds for any genotype an operator hands out.
fn assert_valid(space: &StriaSpace, genotype: &Genotype) {
    assert_eq!(space.check(genotype), Ok(()));
    let net = space.build(genotype).unwrap();
    let size = space.he_size(genotype);
    assert_eq!(net.levels(), size.levels, "{net}");
    if space.name() != "part-filled" {
        assert_eq!(size.waste(), 0.0, "{net}");
        assert!(size.external_rotations == 0 || !asks_for_no_dense_layer(space, genotype), "{net}");
    }
    assert_eq!(net.output_shape().len(), space.literal().classes);
    assert_eq!(space.from_params(&space.to_params(genotype)).as_ref(), Ok(genotype));
    assert_eq!(net.to_string().parse::<TypedGraph>().unwrap(), net);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn operators_stay_within_the_bounds(seed in any::<u64>(), which in 0..6usize) {
        thread_local!(static SPACES: Vec<StriaSpace> = spaces());
        SPACES.with(|spaces| {
            let (space, mut rng) = (&spaces[which], rng(seed));
            let (mut a, b) = (space.sample(&mut rng), space.sample(&mut rng));
            assert_valid(space, &a);
            for _ in 0..4 {
                let mutant = space.mutate(&a, &mut rng);
                assert_ne!(mutant, a);
                assert_valid(space, &mutant);
                a = space.crossover(&mutant, &b, &mut rng);
                assert_valid(space, &a);
            }
        });
    }
}

#[test]
fn one_seed_gives_one_sequence() {
    let space = builtin("strianet-mnist").unwrap();
    let draw = |seed| {
        let mut rng = rng(seed);
        (0..20).map(|_| space.sample(&mut rng)).collect::<Vec<_>>()
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

#[test]
fn genotypes_of_one_network_are_equal() {
    // Sampled genotypes are canonical: as many networks as genotypes.
    for name in ["strianet-glyphs", "strianet-mnist"] {
        let (space, mut rng) = (builtin(name).unwrap(), rng(3));
        let genotypes: HashSet<Genotype> = (0..3000).map(|_| space.sample(&mut rng)).collect();
        let networks: HashSet<String> = genotypes.iter().map(|g| space.build(g).unwrap().to_string()).collect();
        assert!(networks.len() * 100 >= genotypes.len() * 98, "{} of {}", networks.len(), genotypes.len());
    }
}

#[test]
fn small_spaces_hold_cheap_and_deeper_networks() {
    for name in ["strianet-glyphs", "strianet-mnist"] {
        let (space, mut rng) = (builtin(name).unwrap(), rng(1));
        let sizes: Vec<HeSize> = (0..500).map(|_| space.he_size(&space.sample(&mut rng))).collect();
        for levels in [3, 5, 7] {
            assert!(sizes.iter().any(|s| s.levels == levels), "{name}: {levels} levels");
        }
        assert!(sizes.iter().any(|s| s.levels >= 5 && s.external_rotations == 0), "{name}");
    }
}

#[test]
fn params_name_the_networks_of_the_space() {
    let space = builtin("strianet-mnist").unwrap();
    let params = [
        ("stem.kernel", Choice::Int(5)),
        ("stem.ciphertexts", Choice::Int(2)),
        ("stage1.depth", Choice::Int(1)),
        ("stage1.bottleneck", Choice::Int(1)),
        ("stage1.kernel", Choice::Int(5)),
        ("stage1.mask", Choice::Word("cross".into())),
        ("stage1.mixing", Choice::Word("shift".into())),
        ("stage1.inner", Choice::Flag(false)),
        ("stage2.depth", Choice::Int(0)),
        ("stage2.ciphertexts", Choice::Int(4)),
        ("stage2.transition", Choice::Word("conv3".into())),
        ("stage2.bottleneck", Choice::Int(2)),
        ("stage2.kernel", Choice::Int(5)),
        ("stage2.mask", Choice::Word("full".into())),
        ("stage2.mixing", Choice::Word("dense".into())),
        ("stage2.inner", Choice::Flag(false)),
        ("head.pool", Choice::Int(1)),
    ];
    let params: Vec<(String, Choice)> = params.into_iter().map(|(name, choice)| (name.to_owned(), choice)).collect();
    let genotype = space.from_params(&params).unwrap();
    assert_eq!(space.build(&genotype).unwrap(), striae_spaces::zoo::build("strianet-mnist").unwrap());
    let size = space.he_size(&genotype);
    assert_eq!((size.levels, size.external_rotations, size.ciphertexts, size.taps), (5, 0, 2, 9));
    // The stage left out holds its first choices.
    assert_eq!(space.to_params(&genotype)[9].1, Choice::Int(1));

    let mut wrong = params.clone();
    wrong[5].1 = Choice::Word("plus".into());
    let message = space.from_params(&wrong).unwrap_err().to_string();
    assert_eq!(message, "parameter `stage1.mask` = plus, expected one of cross, row, column, alternating, full");
    wrong = params[1..].to_vec();
    assert_eq!(space.from_params(&wrong), Err(ParamError::Missing { name: "stem.kernel".into() }));
    wrong = params.clone();
    wrong.push(("stage3.depth".into(), Choice::Int(1)));
    assert!(matches!(space.from_params(&wrong), Err(ParamError::Unknown { .. })));
    wrong = params.clone();
    wrong.push(params[0].clone());
    assert!(matches!(space.from_params(&wrong), Err(ParamError::Twice { .. })));
    wrong = params;
    wrong[2].1 = Choice::Int(2);
    wrong[8].1 = Choice::Int(1);
    let bound = BoundViolation::Taps { taps: 25, limit: 9 };
    assert_eq!(space.from_params(&wrong), Err(ParamError::Bound(bound)));
    wrong[12].1 = Choice::Int(3);
    let bound = BoundViolation::Levels { levels: 11, limit: 9 };
    assert_eq!(space.from_params(&wrong), Err(ParamError::Bound(bound)));
}

#[test]
fn part_filled_widths_are_built_and_their_waste_is_told() {
    let (space, mut rng) = (StriaSpace::from_toml(PART_FILLED).unwrap(), rng(2));
    // Capacity 32 at 8x8: a stem of 24 channels alone wastes a quarter of its ciphertext.
    let stems: Vec<Genotype> = (0..2000).map(|_| space.sample(&mut rng)).collect();
    let lone = |g: &&Genotype| space.he_size(g).levels == 3 && space.he_size(g).channels == 24;
    let genotype = stems.iter().find(lone).unwrap();
    assert_eq!(space.he_size(genotype).waste(), 0.25);
    assert!(stems.iter().any(|g| space.he_size(g).waste() == 0.0 && space.he_size(g).levels > 5));
}

#[test]
fn external_rotations_follow_the_groups() {
    // 128 channels at 14x14 are four ciphertexts of 32. A dense squeeze to one ciphertext sums over 31 other positions once.
    let space = builtin("strianet-mnist").unwrap();
    let mut params = space.to_params(&space.sample(&mut rng(1)));
    let mut set = |name: &str, choice: Choice| params.iter_mut().find(|(n, _)| n == name).unwrap().1 = choice;
    set("stem.ciphertexts", Choice::Int(4));
    set("stage1.depth", Choice::Int(1));
    set("stage1.inner", Choice::Flag(false));
    set("stage1.bottleneck", Choice::Int(1));
    set("stage1.mask", Choice::Word("cross".into()));
    set("stage1.mixing", Choice::Word("dense".into()));
    set("stage2.depth", Choice::Int(0));
    let genotype = space.from_params(&params).unwrap();
    assert_eq!(space.he_size(&genotype).external_rotations, 31);
    let net = space.build(&genotype).unwrap();
    let groups: Vec<usize> =
        net.nodes().iter().filter_map(|n| if let Op::Conv2d(c) = &n.op { Some(c.groups) } else { None }).collect();
    assert_eq!(groups, [1, 1, 32, 32]);
}

#[test]
fn bad_files_are_answered_with_line_or_field() {
    let mnist = builtin_toml("strianet-mnist").unwrap();
    let message = |from: &str, to: &str| {
        let text = mnist.replacen(from, to, 1);
        assert_ne!(text, mnist, "{from}");
        StriaSpace::from_toml(&text).unwrap_err().to_string()
    };
    assert!(message("classes = 10", "clases = 10").starts_with("space, line 6: unknown field `clases`"));
    assert!(message("slots = 8192", "slots = \"many\"").starts_with("space, line 7: invalid type"));
    assert!(message("slots = 8192", "slots = 8191").contains("slots: 8191 is not a power of two"));
    assert!(
        message("slots = 8192", "slots = 512").contains("slots: 512 slots cannot hold one 28x28 map, which takes 1024")
    );
    assert!(message("depths = [0, 1, 2]", "depths = []").contains("stages[0].depths: lists no choice"));
    assert!(message("kernels = [3, 5]", "kernels = [3, 4]").contains("stem.kernels: 4 is even"));
    assert!(message("\"row\"", "\"cross\"").contains("stages[0].masks: lists cross twice"));
    assert!(message("ciphertexts = [1, 2, 4]", "").contains("stem.ciphertexts: is missing"));
    assert!(
        message("stride = 2\ndepths", "stride = 4\ndepths").contains("make 8, which does not divide the 28x28 image")
    );
    assert!(message("pools = [1, 7]", "pools = [3]").contains("head.pools: 3 does not divide the last 7x7 maps"));
    let empty = message("max_levels = 9", "max_levels = 2");
    assert!(empty.ends_with("bounds.max_levels: the network needs 3 levels, at most 2 are allowed"), "{empty}");
    let unknown = builtin("strianet-minst").unwrap_err();
    assert!(matches!(&unknown, SpaceError::Unknown { hint, .. } if hint.contains("strianet-mnist")), "{unknown}");
}

#[test]
fn tight_bounds_are_still_sampled() {
    // Only stage 2 with one block fits, after a pooling that keeps the 128 channels of the stem: less than one genotype
    // in a hundred.
    let text = builtin_toml("strianet-cifar10").unwrap();
    let tight = text.replace("max_levels = 18", "max_levels = 5");
    let (space, mut rng) = (StriaSpace::from_toml(&tight).unwrap(), rng(5));
    let found: HashSet<Genotype> = (0..50).map(|_| space.sample(&mut rng)).collect();
    for genotype in &found {
        assert_valid(&space, genotype);
    }
    assert!(found.len() > 10);
}

#[test]
fn the_large_networks_are_of_their_spaces() {
    // Width and bottleneck where a stage has them, and its depth; masks alternate from block to block.
    let row = |depth: i64, width: Option<i64>, middle: i64, mask: &str| (depth, width, middle, mask.to_owned());
    let imagenet = [
        row(1, None, 4, "row"),
        row(1, None, 4, "column"),
        row(1, Some(16), 16, "row"),
        row(1, None, 16, "column"),
        row(1, None, 16, "row"),
        row(1, Some(16), 16, "column"),
        row(1, None, 16, "row"),
    ];
    let tiny = imagenet.clone().map(|(depth, width, middle, mask)| (depth, width.map(|_| 8), middle.min(8), mask));
    for (name, kernel, stages) in [("strianet-imagenet", 7, imagenet), ("strianet-tiny-imagenet", 3, tiny)] {
        let mut params = vec![
            ("stem.kernel".to_owned(), Choice::Int(kernel)),
            ("stem.ciphertexts".to_owned(), Choice::Int(8)),
            ("head.pool".to_owned(), Choice::Int(0)),
        ];
        for (i, (depth, width, middle, mask)) in stages.into_iter().enumerate() {
            let mut set = |part: &str, choice| params.push((format!("stage{}.{part}", i + 1), choice));
            set("depth", Choice::Int(depth));
            set("bottleneck", Choice::Int(middle));
            set("kernel", Choice::Int(7));
            set("mask", Choice::Word(mask));
            set("mixing", Choice::Word("shift".into()));
            set("inner", Choice::Flag(false));
            if let Some(width) = width {
                set("ciphertexts", Choice::Int(width));
                set("transition", Choice::Word("conv3".into()));
            }
        }
        let space = builtin(name).unwrap();
        let genotype = space.from_params(&params).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(space.build(&genotype).unwrap(), striae_spaces::zoo::build(name).unwrap());
        let size = space.he_size(&genotype);
        assert_eq!((size.external_rotations, size.waste()), (0, 0.0), "{name}");
    }
}
