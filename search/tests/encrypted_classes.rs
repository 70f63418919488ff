//! A trained network under encryption: the class of 256 images, and every logit within the estimated error.

use std::{ops::ControlFlow, sync::Arc};

use striae_cost_model::{Calibration, CkksParams, CkksParamsLiteral, LowerOptions, Lowerer, RingType};
use striae_he_eval::{ActivationBounds, ClearBackend, RnsBackend, Seed, Session};
use striae_spaces::{NodeId, Op, TypedGraph};
use striae_train::{DatasetName, SeedTree, TrainConfig, fold, load, ranges, train};

const IMAGES: usize = 256;

fn argmax(values: &[f64]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap()
}

/// A ring this small is far from secure with such a chain; the arithmetic does not care.
fn params(depth: usize) -> CkksParams {
    let log_q = std::iter::once(46).chain(std::iter::repeat_n(36, depth)).collect();
    CkksParamsLiteral { log_n: 11, log_q, log_p: vec![48], log_scale: 36, ring: RingType::Standard, insecure: true }
        .try_into()
        .unwrap()
}

#[test]
fn a_trained_network_keeps_its_classes() {
    let graph: TypedGraph = "1x28x28: conv(8,k5,s2) bn quad conv(8,k3,cross,g4,interleaved) bn quad \
                             pool(2) flatten linear(10,bias)"
        .parse()
        .unwrap();
    let splits = load(DatasetName::Glyphs, None, 0.1, &SeedTree::new(5)).unwrap();
    let config = TrainConfig { epochs: 2, subset: Some(2048), ..TrainConfig::default() };
    let trained = train(&graph, &splits, &config, None, &mut |_| ControlFlow::Continue(())).unwrap();
    let (graph, weights) = fold(&graph, &trained.weights).unwrap();
    let options = LowerOptions::default();
    let params = params(Lowerer::depth(&graph, options.fuse).unwrap());
    let program = Arc::new(Lowerer::new(&Calibration::generic()).lower(&graph, &params, &options).unwrap());
    let clear: Session<ClearBackend> = Session::with_errors(&params, Arc::clone(&program), &graph, &weights).unwrap();
    let encrypted: Session<RnsBackend> = Session::new(&params, program, &graph, &weights, Seed::Fixed(1)).unwrap();

    let (mut classes, mut largest) = ([0; 10], 0f64);
    for i in 0..IMAGES {
        let image = splits.test.image(i);
        let run = encrypted.infer(&image).unwrap();
        let expected = clear.expect(&image).unwrap();
        let (measured, bound) = (expected.measured(&run.logits), expected.error.bound());
        assert!(measured <= bound, "image {i}: off by {measured:e}, bound {bound:e}");
        assert_eq!(argmax(&run.logits), argmax(&expected.logits), "image {i}");
        classes[argmax(&run.logits)] += 1;
        largest = largest.max(measured);
    }
    assert!(classes.iter().filter(|&&n| n > 0).count() >= 8, "a network that tells digits apart: {classes:?}");

    // The ranges that training records are enough to bound the error of all these images.
    let activations: Vec<NodeId> = graph.ids().filter(|&id| matches!(graph.node(id).op, Op::Activation(_))).collect();
    let recorded = ranges(&graph, &weights, &splits.test).unwrap();
    let bounds: Vec<ActivationBounds> = activations
        .into_iter()
        .zip(recorded)
        .map(|(node, r)| ActivationBounds { node, low: f64::from(r.min), high: f64::from(r.max) })
        .collect();
    let bound = clear.estimate(3.0, &bounds).unwrap().error.bound();
    assert!(largest <= bound && bound < 1000.0 * largest, "measured {largest:e}, bound {bound:e} for any image");
}
