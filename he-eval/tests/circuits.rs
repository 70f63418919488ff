//! Circuits on the clear backend: every network of the zoo and 200 random ones equal the network evaluated directly, and the
//! operations executed equal the cost model's.

mod common;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use common::{folded, image, relative_error, rng};
use rand::{RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use striae_cost_model::{
    Calibration, CkksParams, CkksParamsLiteral, DiagonalId, Diagonals, HeProgram, InputPacking, LowerOptions, Lowerer,
    Packing, Recipe, RingType, StepKind, Strategy, StrategyChoice,
};
use striae_he_eval::{Circuit, ClearBackend, HeBackend, HeClient, Seed, pack_batch, reference, unpack_batch};
use striae_spaces::{
    Activation, AvgPool, Conv2d, GraphBuilder, Grouping, Kernel, KernelMask, Linear, Op, Padding, Shape, TypedGraph,
    WeightMask, WeightStore, zoo,
};

fn params(log_n: u32, depth: usize) -> CkksParams {
    let log_q = std::iter::once(50).chain(std::iter::repeat_n(40, depth)).collect();
    CkksParams::try_from(CkksParamsLiteral {
        log_n,
        log_q,
        log_p: vec![50],
        log_scale: 40,
        ring: RingType::Standard,
        insecure: true,
    })
    .unwrap()
}

/// Runs a batch through the circuit and compares results and counts.
fn check(name: &str, graph: &TypedGraph, log_n: u32, options: &LowerOptions, seed: u64) {
    let mut rng = rng(seed);
    let graph = folded(graph);
    let store = WeightStore::random(&graph, &mut rng);
    let params = params(log_n, options.depth(&graph).unwrap());
    let program = Lowerer::new(&Calibration::generic()).lower(&graph, &params, options).unwrap();
    run(name, &graph, &store, (&params, options), program, rng);
}

/// The same for a lowered network and its weights.
fn run(
    name: &str,
    graph: &TypedGraph,
    store: &WeightStore,
    (params, options): (&CkksParams, &LowerOptions),
    program: HeProgram,
    mut rng: ChaCha8Rng,
) {
    let (program, seed) = (Arc::new(program), 7);
    let (client, backend) = ClearBackend::keygen(params, &program.keys(), Seed::Fixed(seed)).unwrap();
    let circuit = Circuit::compile(&backend, Arc::clone(&program), graph, store).unwrap();
    assert_eq!(program.batch(), options.batch);
    let images: Vec<Vec<f32>> = (0..options.batch).map(|_| image(graph, &mut rng)).collect();
    let slots = pack_batch(&program, &images.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    let encrypt = |s: &Vec<f64>| client.encrypt(s, program.depth(), circuit.input_scale()).unwrap();
    let input = slots.iter().map(encrypt).collect();
    backend.reset_counts();
    let (output, times) = circuit.run(&backend, input).unwrap();
    assert_eq!(backend.counts(), program.counts(), "{name}: executed and predicted counts");
    assert_eq!(times.len(), program.steps.len());
    let decrypted: Vec<Vec<f64>> = output.iter().map(|ct| client.decrypt(ct).unwrap()).collect();
    for (i, (logits, image)) in unpack_batch(&program, &decrypted).iter().zip(&images).enumerate() {
        let expected = reference::logits(graph, store, image).unwrap();
        let error = relative_error(logits, &expected);
        assert!(error < 1e-6, "{name}: relative error {error:e} of image {i} under {options:?}");
    }
}

#[test]
fn every_zoo_network_small() {
    for name in ["lenet-like", "strianet-mnist"] {
        let graph = zoo::build(name).unwrap();
        for fuse in [true, false] {
            check(name, &graph, 13, &LowerOptions { fuse, ..LowerOptions::default() }, 1);
        }
    }
}

#[test]
fn every_zoo_network_large() {
    // The layers of vgg5-g8 are those of vgg5 and hefnet-g8; deeper residual networks repeat those of resnet20.
    let known = ["lenet-like", "strianet-mnist", "vgg5-g8", "resnet32", "resnet44", "resnet56", "resnet110"];
    let small = |graph: &TypedGraph| graph.input_shape().spatial() <= (32, 32);
    let networks = zoo::names().into_iter().filter(|n| !known.contains(n)).map(|n| (n, zoo::build(n).unwrap()));
    for (name, graph) in networks.filter(|(_, graph)| small(graph)) {
        check(name, &graph, 15, &LowerOptions::default(), 2);
    }
}

/// Packings of the random networks, the default one more often than the others.
const PACKINGS: [Packing; 8] = [
    Packing::RowMajor,
    Packing::GroupInterleaved,
    Packing::Multiplexed,
    Packing::Multiplexed,
    Packing::MultiplexedBsgs,
    Packing::Block(2),
    Packing::Block(3),
    Packing::Block(4),
];

/// A network of random convolutions, pools, activations and residual connections.
fn random_network(rng: &mut ChaCha8Rng) -> TypedGraph {
    let side = *[6, 7, 8, 11, 12].choose(rng).unwrap();
    let channels = *[1, 2, 3, 4].choose(rng).unwrap();
    let mut g = GraphBuilder::new(Shape::map(channels, side, side)).unwrap();
    for layer in 0..rng.random_range(1..5) {
        let before = g.last();
        let channels = g.shape(before).channels();
        let out_channels = *[4, 8, 16, 32].choose(rng).unwrap();
        let groups = *[1, 1, 2, 4, 8].choose(rng).unwrap();
        let groups =
            if layer > 0 && channels.is_multiple_of(groups) && out_channels % groups == 0 { groups } else { 1 };
        let blocks = if usize::is_multiple_of(groups, 2) { 2 } else { 1 };
        let grouping =
            *[Grouping::Contiguous, Grouping::Interleaved, Grouping::Shifted { blocks }].choose(rng).unwrap();
        let size = *[1, 2, 3, 5].choose(rng).unwrap();
        let mask = *[KernelMask::Full, KernelMask::Cross, KernelMask::Row, KernelMask::Column, KernelMask::Alternating]
            .choose(rng)
            .unwrap();
        let padding =
            if rng.random_bool(0.2) && g.shape(before).spatial().0 >= size { Padding::Valid } else { Padding::Same };
        let stride = if rng.random_bool(0.3) { 2 } else { 1 };
        let conv =
            Conv2d { out_channels, kernel: Kernel { size, mask }, stride, padding, groups, grouping, bias: true };
        g.then(Op::Conv2d(conv)).unwrap();
        if rng.random_bool(0.4) {
            let point = Conv2d { bias: true, ..Conv2d::dense(out_channels, 1) };
            let point = if groups > 1 && grouping == Grouping::Interleaved {
                Conv2d { groups, grouping, ..point }
            } else {
                point
            };
            g.then(Op::Conv2d(point)).unwrap();
        }
        if g.shape(g.last()) == g.shape(before) && layer > 0 {
            g.push(Op::Add, &[before, g.last()]).unwrap();
        }
        if rng.random_bool(0.8) {
            g.then(Op::Activation(Activation::Quadratic)).unwrap();
        }
        let (h, _) = g.shape(g.last()).spatial();
        if rng.random_bool(0.3) && h >= 3 {
            let size = rng.random_range(2..=3);
            g.then(Op::AvgPool(AvgPool { size, stride: 2 })).unwrap();
        }
    }
    if rng.random_bool(0.8) {
        g.then(Op::Flatten).unwrap();
        if rng.random_bool(0.3) {
            g.then(Op::Linear(Linear { out_features: 24, bias: true })).unwrap();
            g.then(Op::Activation(Activation::Quadratic)).unwrap();
        }
        g.then(Op::Linear(Linear { out_features: rng.random_range(2..12), bias: true })).unwrap();
    }
    g.build().unwrap()
}

/// Choices of the lowering of a random network.
fn random_options(rng: &mut ChaCha8Rng) -> LowerOptions {
    let strategy = *[
        StrategyChoice::Cheapest,
        StrategyChoice::Always(Strategy::InputSide),
        StrategyChoice::Always(Strategy::OutputSide),
        StrategyChoice::Always(Strategy::BabyGiant { babies: 2 }),
        StrategyChoice::Balanced,
    ]
    .choose(rng)
    .unwrap();
    LowerOptions {
        fuse: rng.random_bool(0.5),
        packing: *PACKINGS.choose(rng).unwrap(),
        batch: *[1, 1, 2, 4, 16].choose(rng).unwrap(),
        input: *[InputPacking::Replicated, InputPacking::Packed].choose(rng).unwrap(),
        strategy,
        diagonals: Diagonals::All,
    }
}

#[test]
fn random_networks() {
    for seed in 0..200 {
        let mut rng = rng(1000 + seed);
        let graph = random_network(&mut rng);
        let options = random_options(&mut rng);
        check(&format!("random {seed}: {graph:?}"), &graph, 10 + (seed % 2) as u32, &options, seed);
    }
}

/// Zeros the weights of random diagonals and lowers anew: the program loses the diagonals that carry nothing else, executes
/// what it counts, and its result is that of the zeroed weights.
#[test]
fn random_pruned_networks() {
    let mut lost = 0;
    for seed in 0..100 {
        let mut rng = rng(1000 + seed);
        let graph = folded(&random_network(&mut rng));
        let options = random_options(&mut rng);
        let mut store = WeightStore::random(&graph, &mut rng);
        let params = params(10 + (seed % 2) as u32, options.depth(&graph).unwrap());
        let calibration = Calibration::generic();
        let dense = Lowerer::new(&calibration).lower(&graph, &params, &options).unwrap();
        for step in 0..dense.steps.len() {
            let mut pruned: HashMap<DiagonalId, bool> = HashMap::new();
            let mut zeros = Vec::new();
            dense.each_place(&graph, step, |weight, diagonal| {
                if *pruned.entry(diagonal).or_insert_with(|| rng.random_bool(0.6)) {
                    zeros.extend(weight);
                }
            });
            for (layer, index) in zeros {
                let name = format!("{layer}.weight");
                let mut tensor = store.get(&name).unwrap().clone();
                tensor.data[index] = 0.0;
                store.insert(name, tensor);
            }
        }
        let mask = Arc::new(WeightMask::of_zeros(&graph, &store).unwrap());
        let options = LowerOptions { diagonals: Diagonals::Of(mask), ..options };
        let program = Lowerer::new(&calibration).lower(&graph, &params, &options).unwrap();
        check_diagonals(&graph, &store, &dense, &program);
        lost += dense.counts().plain_mults - program.counts().plain_mults;
        let recipe = Recipe::of(&options, &program);
        assert_eq!(recipe.lower(&graph, &params).unwrap(), program);
        run(&format!("pruned {seed}: {graph:?}"), &graph, &store, (&params, &options), program, rng);
    }
    assert!(lost > 1000, "{lost} multiplications fewer");
}

/// The diagonals left are those of the dense program that carry a weight other than zero, but for outputs that have none.
fn check_diagonals(graph: &TypedGraph, store: &WeightStore, dense: &HeProgram, pruned: &HeProgram) {
    for step in 0..dense.steps.len() {
        let (StepKind::Linear(all), StepKind::Linear(left)) = (&dense.steps[step].kind, &pruned.steps[step].kind)
        else {
            continue;
        };
        let mut carrying = BTreeSet::new();
        dense.each_place(graph, step, |weight, diagonal| {
            if weight.is_none_or(|(layer, i)| store.get(&format!("{layer}.weight")).unwrap().data[i] != 0.0) {
                carrying.insert(diagonal);
            }
        });
        let mut placed = BTreeSet::new();
        dense.each_place(graph, step, |_, diagonal| {
            placed.insert(diagonal);
        });
        assert_eq!(placed, dense.diagonals(all).into_iter().collect());
        let left: BTreeSet<DiagonalId> = pruned.diagonals(left).into_iter().collect();
        assert!(left.is_superset(&carrying));
        let outputs: BTreeSet<u16> = carrying.iter().map(|d| d.output).collect();
        assert!(left.difference(&carrying).all(|d| !outputs.contains(&d.output)));
    }
}
