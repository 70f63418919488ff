//! The generated digits are as hard as they should be.

mod common;

use common::{linear_classifier, quiet, small_network};
use striae_spaces::TypedGraph;
use striae_train::{DatasetName, SeedTree, Splits, TrainConfig, evaluate, load, train};

fn accuracy(graph: &TypedGraph, splits: &Splits, epochs: usize) -> f64 {
    let config = TrainConfig { epochs, ..TrainConfig::default() };
    let trained = train(graph, splits, &config, None, &mut quiet).unwrap();
    evaluate(graph, &trained.weights, &splits.test, 100).unwrap().accuracy
}

#[test]
fn too_hard_for_a_linear_classifier_not_for_a_small_network() {
    let splits = load(DatasetName::Glyphs, None, 0.1, &SeedTree::new(1)).unwrap();
    let shape = splits.train.shape();
    let linear = accuracy(&linear_classifier(shape), &splits, 4);
    let network = accuracy(&small_network(shape, 16, 4), &splits, 6);
    assert!(linear < 0.9, "linear: {linear}");
    assert!(network > 0.97, "network: {network}");
}
