//! One trained network seen by every crate: candle as trained, candle folded, the direct f64 evaluation, and the circuit on
//! the clear backend all give the same logits.

use std::{ops::ControlFlow, sync::Arc};

use striae_cost_model::{Calibration, Lowerer, PlanOptions};
use striae_he_eval::{ClearBackend, Seed, Session, reference};
use striae_spaces::TypedGraph;
use striae_train::{DatasetName, SeedTree, TrainConfig, fold, load, logits, train};

fn error(got: &[f64], expected: &[f64]) -> f64 {
    let scale = expected.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    got.iter().zip(expected).map(|(g, e)| (g - e).abs()).fold(0.0, f64::max) / scale
}

#[test]
fn every_crate_computes_the_same_network() {
    let graph: TypedGraph =
        "1x28x28: conv(16,k5,s2) bn quad conv(16,k1,g4,shifted4) bn conv(16,k3,cross,g4,interleaved) \
                             bn conv(16,k1,g4,interleaved) bn add(n3) quad pool(2) flatten linear(10,bias)"
            .parse()
            .unwrap();
    let splits = load(DatasetName::Glyphs, None, 0.1, &SeedTree::new(3)).unwrap();
    let config = TrainConfig { epochs: 1, subset: Some(640), ..TrainConfig::default() };
    let trained = train(&graph, &splits, &config, None, &mut |_| ControlFlow::Continue(())).unwrap();
    let (folded, weights) = fold(&graph, &trained.weights).unwrap();
    let plan = Lowerer::new(&Calibration::generic()).plan(&folded, &PlanOptions::default()).unwrap();
    let session: Session<ClearBackend> =
        Session::new(&plan.params, Arc::new(plan.program), &folded, &weights, Seed::Fixed(1)).unwrap();
    for i in 0..8 {
        let image = splits.test.image(i);
        let wide = |rows: Vec<Vec<f32>>| rows[0].iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        let as_trained = wide(logits(&graph, &trained.weights, &image).unwrap());
        let as_folded = wide(logits(&folded, &weights, &image).unwrap());
        let direct = reference::logits(&folded, &weights, &image).unwrap();
        let circuit = session.infer(&image).unwrap().logits;
        assert!(error(&as_folded, &as_trained) < 1e-4, "folding, image {i}");
        // candle computes in f32.
        assert!(error(&as_folded, &direct) < 2e-5, "candle and f64, image {i}: {}", error(&as_folded, &direct));
        assert!(error(&circuit, &direct) < 1e-6, "circuit, image {i}");
    }
}
