//! Real data sets load, and a small quadratic network learns MNIST.
#![expect(clippy::print_stderr, reason = "says that a test was skipped")]

mod common;

use common::{data_folder, quiet, small_network};
use striae_spaces::Shape;
use striae_train::{Augment, DatasetName, SeedTree, TrainConfig, evaluate, load, ranges, train};

#[test]
fn official_files_have_their_published_counts_and_moments() {
    let Some(folder) = data_folder() else { return eprintln!("skipped: no data") };
    let expected = [
        (DatasetName::Mnist, Shape::map(1, 28, 28), vec![0.1307], vec![0.3081], 60_000, 7),
        (DatasetName::FashionMnist, Shape::map(1, 28, 28), vec![0.2860], vec![0.3530], 60_000, 9),
        (
            DatasetName::Cifar10,
            Shape::map(3, 32, 32),
            vec![0.491_40, 0.482_16, 0.446_53],
            vec![0.247_03, 0.243_49, 0.261_59],
            50_000,
            3,
        ),
    ];
    for (name, shape, mean, std, count, first_test_label) in expected {
        let splits = load(name, Some(&folder), 0.1, &SeedTree::new(1)).unwrap();
        assert_eq!((splits.train.shape(), splits.train.classes()), (shape, 10), "{name}");
        assert_eq!((splits.train.len(), splits.validation.len()), (count * 9 / 10, count / 10), "{name}");
        assert_eq!((splits.test.len(), splits.test.labels()[0]), (10_000, first_test_label), "{name}");
        let normalisation = splits.train.normalisation();
        for (got, published) in normalisation.mean.iter().chain(&normalisation.std).zip(mean.iter().chain(&std)) {
            assert!((got - published).abs() < 5e-5, "{name}: {got} instead of {published}");
        }
    }
}

#[test]
fn small_quadratic_network_learns_mnist() {
    let Some(folder) = data_folder() else { return eprintln!("skipped: no data") };
    let splits = load(DatasetName::Mnist, Some(&folder), 0.1, &SeedTree::new(1)).unwrap();
    let graph = small_network(splits.train.shape(), 16, 4);
    let config = TrainConfig { epochs: 4, augment: Augment::Shift, ..TrainConfig::default() };
    let trained = train(&graph, &splits, &config, None, &mut quiet).unwrap();
    let result = evaluate(&graph, &trained.weights, &splits.test, 100).unwrap();
    assert!(result.accuracy >= 0.988, "test accuracy {}", result.accuracy);
    let ranges = ranges(&graph, &trained.weights, &splits.train).unwrap();
    assert!(ranges.iter().all(|r| r.min < 0.0 && r.max > 0.0 && r.quantile <= r.max.max(-r.min)));
}
