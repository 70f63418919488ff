//! Networks under real encryption at 128-bit parameters, against the network evaluated directly.

mod common;

use std::sync::Arc;

use common::{folded, image, relative_error, rng};
use striae_cost_model::{Calibration, Lowerer, PlanOptions, Security};
use striae_he_eval::{RnsBackend, Seed, Session, reference};
use striae_spaces::{WeightStore, zoo};

#[test]
fn strianet_mnist_agrees_with_the_clear() {
    let graph = folded(&zoo::build("strianet-mnist").unwrap());
    let mut rng = rng(3);
    let store = WeightStore::random(&graph, &mut rng);
    let calibration = Calibration::generic();
    let plan = Lowerer::new(&calibration).plan(&graph, &PlanOptions::default()).unwrap();
    assert_eq!((plan.params.log_n(), plan.params.security()), (13, Security::Bits128));
    let program = Arc::new(plan.program);
    let session: Session<RnsBackend> =
        Session::new(&plan.params, Arc::clone(&program), &graph, &store, Seed::Fixed(1)).unwrap();
    for _ in 0..2 {
        let image = image(&graph, &mut rng);
        let result = session.infer(&image).unwrap();
        assert_eq!(result.counts, program.counts());
        let expected = reference::logits(&graph, &store, &image).unwrap();
        let error = relative_error(&result.logits, &expected);
        assert!(error < 1e-2, "relative error {error:e}");
    }
}
