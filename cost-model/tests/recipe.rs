//! A recorded lowering gives the program it was recorded from, without a calibration.

use std::sync::Arc;

use striae_cost_model::{
    Calibration, CkksParams, CostError, DiagonalId, Diagonals, InputPacking, LowerOptions, Lowerer, PlanOptions,
    Recipe, Strategy, StrategyChoice,
};
use striae_spaces::{NodeId, TypedGraph, WeightMask, zoo};

fn plan(name: &str, strategy: StrategyChoice) -> (TypedGraph, striae_cost_model::Plan) {
    let graph = zoo::build(name).unwrap();
    let options = PlanOptions { strategy, ..PlanOptions::default() };
    let plan = Lowerer::new(&Calibration::generic()).plan(&graph, &options).unwrap();
    (graph, plan)
}

#[test]
fn programs_are_reproduced() {
    for name in ["lenet-like", "strianet-mnist", "strianet-cifar10"] {
        let mut fingerprints = Vec::new();
        for strategy in [StrategyChoice::Cheapest, StrategyChoice::Always(Strategy::OutputSide)] {
            let (graph, plan) = plan(name, strategy);
            let json = serde_json::to_string(&plan.recipe()).unwrap();
            let recipe: Recipe = serde_json::from_str(&json).unwrap();
            let program = recipe.lower(&graph, &plan.params).unwrap();
            assert_eq!(program, plan.program, "{name}");
            assert_eq!(program.fingerprint(), plan.program.fingerprint());
            fingerprints.push(program.fingerprint());
        }
        assert_ne!(fingerprints[0], fingerprints[1], "{name}: other rotations");
    }
}

#[test]
fn choices_show_in_the_fingerprint() {
    let graph = zoo::build("strianet-cifar10").unwrap();
    let params: CkksParams = plan("strianet-cifar10", StrategyChoice::Cheapest).1.params;
    let calibration = Calibration::generic();
    let lower = |input| {
        let options = LowerOptions { input, ..LowerOptions::default() };
        Lowerer::new(&calibration).lower(&graph, &params, &options).unwrap().fingerprint()
    };
    assert_eq!(lower(InputPacking::Packed), lower(InputPacking::Packed));
    assert_ne!(lower(InputPacking::Packed), lower(InputPacking::Replicated));
}

#[test]
fn foreign_records_are_refused() {
    let (graph, plan) = plan("strianet-mnist", StrategyChoice::Cheapest);
    let with = |strategies: Vec<Strategy>| Recipe { strategies, ..plan.recipe() }.lower(&graph, &plan.params);
    let mut strategies = plan.recipe().strategies;
    for babies in [0, plan.params.slots() + 1, 1 << 32] {
        strategies[0] = Strategy::BabyGiant { babies };
        assert!(matches!(with(strategies.clone()), Err(CostError::Recipe { .. })), "{babies} babies");
    }
    strategies.pop();
    assert!(matches!(with(strategies), Err(CostError::Recipe { .. })));
}

/// A lenet-like without the taps of the kernel's outer ring, and of its second convolution only those of every other input
/// channel.
fn pruned() -> (TypedGraph, striae_cost_model::Plan) {
    let graph = zoo::build("lenet-like").unwrap();
    let mut mask = WeightMask::default();
    let inner = |index: usize| (1..4).contains(&(index / 5)) && (1..4).contains(&(index % 5));
    mask.set(NodeId(1), (0..32 * 25).map(|i| inner(i % 25)).collect());
    mask.set(NodeId(5), (0..64 * 32 * 25).map(|i| inner(i % 25) && i / 25 % 2 == 0).collect());
    let diagonals = Diagonals::Of(Arc::new(mask));
    let options =
        PlanOptions { strategy: StrategyChoice::Always(Strategy::InputSide), diagonals, ..PlanOptions::default() };
    let plan = Lowerer::new(&Calibration::generic()).plan(&graph, &options).unwrap();
    (graph, plan)
}

#[test]
fn pruned_networks_are_reproduced() {
    let (graph, pruned) = pruned();
    let dense = plan("lenet-like", StrategyChoice::Always(Strategy::InputSide)).1.program;
    let counts = |program: &striae_cost_model::HeProgram, step| {
        let counts = program.step_counts(step);
        (counts.rotations(), counts.plain_mults)
    };
    // 9 of 25 taps are left. Without every other input channel the second layer still moves channels by all 64 positions of
    // the ciphertext that its result fills.
    assert_eq!((counts(&dense, 0), counts(&pruned.program, 0)), ((24, 50), (8, 18)));
    let (before, after) = (counts(&dense, 3), counts(&pruned.program, 3));
    assert_eq!(before, (2 * (64 * 25 - 1), 2 * 64 * 25));
    assert_eq!(after, (2 * (64 * 9 - 1), 2 * 64 * 9));
    let json = serde_json::to_string(&pruned.recipe()).unwrap();
    let recipe: Recipe = serde_json::from_str(&json).unwrap();
    assert_eq!(recipe.lower(&graph, &pruned.params).unwrap(), pruned.program);
}

#[test]
fn diagonals_of_other_networks_are_refused() {
    let (graph, plan) = pruned();
    let refused = |change: fn(&mut Vec<Vec<DiagonalId>>)| {
        let mut recipe = plan.recipe();
        change(recipe.diagonals.as_mut().unwrap());
        matches!(recipe.lower(&graph, &plan.params), Err(CostError::Recipe { .. }))
    };
    assert!(!refused(|_| {}));
    assert!(refused(|steps| drop(steps.pop())));
    assert!(refused(|steps| steps[0].swap(0, 1)));
    assert!(refused(|steps| steps[0].retain(|diagonal| diagonal.output == 0)));
    assert!(refused(|steps| steps[0].push(DiagonalId { output: 9, input: 0, rotation: 0 })));
}
