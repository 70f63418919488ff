//! A space unrolled is the space.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use striae_spaces::space::{Branch, Genotype, HeSize, Piece, SpaceError, StriaSpace, Trellis, builtin, builtin_names};

/// Two stages, one of which keeps its width, with bottlenecks and shifts that are not always possible.
const SMALL: &str = r#"
    name = "small"
    input = [1, 16, 16]
    classes = 4
    slots = 2048
    stem = { stride = 2, kernels = [3], widths = [12, 32, 64] }
    head = { pools = [1, 2, 0] }
    bounds = { max_taps = 5, max_external_rotations = 20, max_ciphertexts = 1, max_levels = 9 }
    [[stages]]
    stride = 1
    depths = [0, 2]
    bottleneck_widths = [8, 48]
    kernels = [1, 3]
    masks = ["cross", "full"]
    mixing = ["none", "shift", "dense"]
    inner = [false, true]
    [[stages]]
    stride = 2
    depths = [0, 1]
    widths = [48, 256]
    transitions = ["pool", "conv3"]
    bottlenecks = [1, 2]
    kernels = [3]
    masks = ["row"]
    mixing = ["shift", "none"]
    inner = [false]
"#;

/// Every path, by state of the first column on.
fn paths(trellis: &Trellis) -> Vec<Vec<&Branch>> {
    let mut paths: Vec<(u32, Vec<&Branch>)> = vec![(0, Vec::new())];
    for column in trellis.columns() {
        let longer = paths.iter().flat_map(|(state, path)| {
            column.states[*state as usize].branches.iter().map(|branch| (branch.next, [&path[..], &[branch]].concat()))
        });
        paths = longer.collect();
    }
    paths.into_iter().map(|(_, path)| path).collect()
}

#[test]
fn its_paths_are_the_networks_within_the_bounds() {
    let space = StriaSpace::from_toml(SMALL).unwrap();
    let trellis = Trellis::new(&space).unwrap();
    let mut valid = 0;
    for path in paths(&trellis) {
        let size = path.iter().fold(HeSize::default(), |size, branch| size.then(branch.size));
        let genotype = trellis.genotype(path.iter().copied());
        assert_eq!(genotype.is_ok(), size.check(&space.literal().bounds).is_ok());
        let Ok(genotype) = genotype else { continue };
        assert_eq!(space.he_size(&genotype), size);
        assert_eq!(space.from_params(&space.to_params(&genotype)).as_ref(), Ok(&genotype), "genes are canonical");
        valid += 1;
    }
    // Every valid genotype is sampled in time.
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let sampled: std::collections::HashSet<Genotype> = (0..20_000).map(|_| space.sample(&mut rng)).collect();
    assert_eq!(valid, sampled.len());
}

#[test]
fn the_path_of_a_genotype_has_its_pieces() {
    for name in builtin_names() {
        let space = builtin(name).unwrap();
        let (trellis, mut rng) = (Trellis::new(&space).unwrap(), ChaCha8Rng::seed_from_u64(2));
        for _ in 0..500 {
            let genotype = space.sample(&mut rng);
            let path: Vec<&Branch> = trellis.path(&genotype).collect();
            assert!(trellis.piece_lists(&genotype).eq(path.iter().map(|branch| branch.pieces.as_slice())));
            let pieces = path.iter().flat_map(|b| &b.pieces).map(|&p| trellis.pieces()[p as usize].clone());
            let (graph, built) = space.build_pieces(&genotype).unwrap();
            assert_eq!(pieces.collect::<Vec<Piece>>(), built.iter().map(|b| b.0.clone()).collect::<Vec<_>>());
            assert_eq!(built.last().unwrap().1, graph.output());
            assert_eq!(trellis.genotype(path.into_iter()).as_ref(), Ok(&genotype));
        }
    }
}

#[test]
fn a_stage_of_too_many_choices_is_refused() {
    let many = format!("{:?}", (1..=64).collect::<Vec<usize>>());
    let widths = format!("{:?}", (1..=300).collect::<Vec<usize>>());
    let text = SMALL
        .replacen("[8, 48]", &widths, 1)
        .replacen("depths = [0, 2]", &format!("depths = {many}"), 1)
        .replacen("[12, 32, 64]", &widths, 1);
    let error = Trellis::new(&StriaSpace::from_toml(&text).unwrap()).unwrap_err();
    assert!(matches!(error, SpaceError::Field { ref field, .. } if field == "stages[0]"), "{error}");
}
