//! A recorded lowering gives the program it was recorded from, without a calibration.

use striae_cost_model::{
    Calibration, CkksParams, CostError, InputPacking, LowerOptions, Lowerer, PlanOptions, Recipe, Strategy,
    StrategyChoice,
};
use striae_spaces::{TypedGraph, zoo};

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
    for babies in [0, 1 << 13, 1 << 32] {
        strategies[0] = Strategy::BabyGiant { babies };
        assert!(matches!(with(strategies.clone()), Err(CostError::Recipe { .. })), "{babies} babies");
    }
    strategies.pop();
    assert!(matches!(with(strategies), Err(CostError::Recipe { .. })));
}
