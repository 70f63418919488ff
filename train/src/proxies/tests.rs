//! Proxies of small networks.

use striae_spaces::{Conv2d, GraphBuilder, Linear, Shape};

use super::*;
use crate::{GlyphConfig, glyphs};

fn network(width: usize, layers: usize) -> TypedGraph {
    let mut b = GraphBuilder::new(Shape::map(1, 28, 28)).unwrap();
    for _ in 0..layers {
        b.then(Op::Conv2d(Conv2d { stride: 2, ..Conv2d::dense(width, 3) })).unwrap();
        b.then(Op::BatchNorm).unwrap();
        b.then(Op::Activation(Activation::Quadratic)).unwrap();
    }
    b.then(Op::Flatten).unwrap();
    b.then(Op::Linear(Linear { out_features: 10, bias: true })).unwrap();
    b.build().unwrap()
}

fn batch() -> Dataset {
    glyphs(&GlyphConfig { train: 40, test: 10, validation: 0.2 }, &SeedTree::new(1)).unwrap().train
}

#[test]
fn scores_are_finite_and_repeat() {
    let seed = SeedTree::new(2);
    let one = scores(&network(4, 2), &batch(), &seed).unwrap();
    assert!(one.iter().all(|s| s.is_finite()), "{one:?}");
    assert_eq!(one, scores(&network(4, 2), &batch(), &seed).unwrap());
    let wide = scores(&network(16, 2), &batch(), &seed).unwrap();
    assert!(wide[0] > one[0] && wide[1] > one[1], "parameters and synflow grow with the width: {one:?}, {wide:?}");
}

/// A network of one linear layer: the flow is the sum of its magnitudes, once for the one layer.
#[test]
fn synflow_of_one_layer_adds_its_magnitudes() {
    let mut b = GraphBuilder::new(Shape::map(1, 28, 28)).unwrap();
    b.then(Op::Flatten).unwrap();
    b.then(Op::BatchNorm).unwrap();
    let output = b.then(Op::Linear(Linear { out_features: 10, bias: false })).unwrap();
    let graph = b.build().unwrap();
    let model = Model::new(&graph, &SeedTree::new(3)).unwrap();
    let magnitudes: f32 = model.values(&format!("{output}.weight")).unwrap().iter().map(|w| w.abs()).sum();
    assert!((synflow::score(&graph, &model).unwrap() - f64::from(magnitudes).ln()).abs() < 1e-4);
}

#[test]
fn too_few_images_and_other_images_are_refused() {
    let seed = SeedTree::new(2);
    assert!(matches!(scores(&network(4, 1), &batch().take(1), &seed), Err(TrainError::Config { .. })));
    let mut b = GraphBuilder::new(Shape::map(3, 8, 8)).unwrap();
    b.then(Op::Flatten).unwrap();
    b.then(Op::Linear(Linear { out_features: 10, bias: true })).unwrap();
    assert!(matches!(scores(&b.build().unwrap(), &batch(), &seed), Err(TrainError::Mismatch { .. })));
}
