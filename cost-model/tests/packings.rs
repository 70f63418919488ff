//! Every packing on every network of the zoo, counted; and what a batch takes.

use striae_cost_model::{
    BatchEstimate, Calibration, CostError, HeProgram, LowerOptions, Lowerer, Packing, PlanOptions, Strategy,
    StrategyChoice,
};
use striae_spaces::{TypedGraph, zoo};

fn count(graph: &TypedGraph, slots: usize, packing: Packing, batch: usize) -> Result<HeProgram, CostError> {
    let options = LowerOptions { packing, batch, ..LowerOptions::default() };
    Lowerer::new(&Calibration::generic()).count(graph, slots, &options)
}

/// Networks of images of at most 64 x 64 pixels in every packing, alone and, but for those with wide fully connected layers,
/// as batches; the others, whose maps are up to a whole ciphertext, in one. Of vgg5 and its grouped form one is enough.
#[test]
fn every_network_is_counted() {
    let packings = Packing::PLAIN.into_iter().chain([2, 4].map(Packing::Block));
    let all: Vec<(Packing, usize)> = packings.flat_map(|packing| [(packing, 1), (packing, 64)]).collect();
    for name in zoo::names().into_iter().filter(|name| *name != "vgg5-g8") {
        let graph = zoo::build(name).unwrap();
        let small = graph.input_shape().spatial().0 <= 64;
        let many = if graph.parameters() < 10_000_000 { 64 } else { 1 };
        let tried = if small { &all[..] } else { &[(Packing::Multiplexed, 1)] };
        for &(packing, batch) in tried.iter().filter(|(_, batch)| *batch <= many) {
            let program = count(&graph, 1 << 16, packing, batch).unwrap_or_else(|e| panic!("{name} {packing}: {e}"));
            let (counts, kinds) = (program.counts(), program.rotation_kinds());
            assert_eq!(kinds.total(), counts.rotations(), "{name} {packing}");
            assert!(counts.plain_mults > 0 && program.batch() == batch, "{name} {packing}");
        }
    }
}

/// A map larger than a ciphertext is refused, and block packing splits it.
#[test]
fn block_packing_holds_maps_larger_than_a_ciphertext() {
    let graph = zoo::build("resnet18").unwrap();
    let refused = count(&graph, 1 << 15, Packing::Multiplexed, 1).unwrap_err();
    assert!(matches!(refused, CostError::MapTooLarge { block: 65_536, slots: 32_768, .. }), "{refused}");
    let program = count(&graph, 1 << 15, Packing::Block(2), 1).unwrap();
    assert!(program.counts().rotations() > 0);
}

#[test]
fn what_cannot_be_counted_is_refused() {
    let graph = zoo::build("lenet-like").unwrap();
    assert_eq!(count(&graph, 1 << 13, Packing::Multiplexed, 48), Err(CostError::Batch { batch: 48 }));
    assert!(matches!(count(&graph, 5000, Packing::Multiplexed, 1), Err(CostError::Params(_))));
    assert!(matches!(count(&graph, 1 << 17, Packing::Multiplexed, 1), Err(CostError::Params(_))));
}

/// Of 256 images at 32768 slots, 32 stand interleaved; four groups merge behind the first stride, two behind the second.
#[test]
fn batches_share_their_cost_and_stages_their_memory() {
    let graph = zoo::build("strianet-cifar10-exrot-free").unwrap();
    let calibration = Calibration::generic();
    let mut lowerer = Lowerer::new(&calibration);
    let alone = lowerer.plan(&graph, &PlanOptions::default()).unwrap();
    let plan = lowerer.plan(&graph, &PlanOptions { batch: 256, ..PlanOptions::default() }).unwrap();
    assert_eq!(plan.recipe().lower(&graph, &plan.params).unwrap(), plan.program);
    let batch = BatchEstimate::of(&plan.program, &plan.params, plan.estimate.latency);
    assert_eq!((batch.images, plan.program.interleaved, alone.program.batch()), (256, 32, 1));
    assert_eq!(batch.stages.iter().map(|stage| stage.groups).collect::<Vec<_>>(), [8, 2, 1]);
    let steps: Vec<usize> = batch.stages.iter().flat_map(|stage| stage.steps.clone()).collect();
    assert!(steps.into_iter().eq(0..plan.program.steps.len()));
    assert!((batch.per_image.0 * 256.0 / plan.estimate.latency.0 - 1.0).abs() < 1e-12);
    // Nothing that the pipeline holds at once is more than what is held when all images are in.
    assert!(batch.pipeline() < batch.resident.total());
    assert!(batch.stages.iter().all(|stage| stage.memory.keys <= batch.resident.keys));
    let weights: u64 = batch.stages.iter().map(|stage| stage.memory.weights.0).sum();
    assert_eq!(weights, batch.resident.weights.0);
}

/// Interleaved images cost what one of them does in as many slots as it has.
#[test]
fn interleaved_images_share_every_operation() {
    let graph = zoo::build("lenet-like-g8").unwrap();
    let strategy = StrategyChoice::Always(Strategy::OutputSide);
    let calibration = Calibration::generic();
    let lowerer = Lowerer::new(&calibration);
    let counts = |slots, batch| {
        let options = LowerOptions { batch, strategy, packing: Packing::RowMajor, ..LowerOptions::default() };
        let program = lowerer.count(&graph, slots, &options).unwrap();
        (program.counts(), program.keys().rotations.len())
    };
    assert_eq!(counts(1 << 13, 2), counts(1 << 14, 4));
}
