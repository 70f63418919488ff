//! Training as a whole: reproducible, resumable, stoppable; folding and logits agree with the trained network.

mod common;

use std::ops::ControlFlow;

use common::{chain, linear, quadratic, quiet, small_network};
use rand::RngExt;
use striae_spaces::{
    Activation, AvgPool, Conv2d, GraphBuilder, Grouping, Kernel, KernelMask, NodeId, Op, Padding, Shape, TypedGraph,
    WeightMask, WeightStore, param_specs,
};
use striae_train::{
    Augment, GlyphConfig, MIN_CURVATURE, Model, Quadratics, SeedTree, Splits, TeacherConfig, TrainConfig, TrainError,
    TrainEvent, Trained, Training, evaluate, fold, glyphs, logits, ranges, train,
};

fn small_splits() -> Splits {
    glyphs(&GlyphConfig { train: 600, test: 100, validation: 0.2 }, &SeedTree::new(2)).unwrap()
}

fn conv(out_channels: usize, size: usize, groups: usize, grouping: Grouping, mask: KernelMask) -> Op {
    let kernel = Kernel { size, mask };
    Op::Conv2d(Conv2d { kernel, groups, grouping, ..Conv2d::dense(out_channels, size) })
}

/// Every operation there is: residual additions, all groupings and masks, batch norms with and without a layer before.
fn rich_network() -> TypedGraph {
    let mut b = GraphBuilder::new(Shape::map(1, 28, 28)).unwrap();
    let valid = Conv2d { padding: Padding::Valid, stride: 2, bias: true, ..Conv2d::dense(8, 3) };
    b.then(Op::Conv2d(valid)).unwrap();
    b.then(Op::BatchNorm).unwrap();
    let trunk = b.then(quadratic()).unwrap();
    b.then(conv(16, 1, 4, Grouping::Shifted { blocks: 2 }, KernelMask::Full)).unwrap();
    b.then(Op::BatchNorm).unwrap();
    b.then(quadratic()).unwrap();
    b.then(conv(16, 3, 4, Grouping::Interleaved, KernelMask::Alternating)).unwrap();
    b.then(conv(8, 5, 8, Grouping::Contiguous, KernelMask::Cross)).unwrap();
    let branch = b.then(Op::BatchNorm).unwrap();
    let sum = b.push(Op::Add, &[trunk, branch]).unwrap();
    b.then(quadratic()).unwrap();
    b.then(Op::AvgPool(AvgPool { size: 2, stride: 2 })).unwrap();
    let pooled = b.then(Op::BatchNorm).unwrap();
    let relu = b.push(Op::Activation(Activation::Relu), &[pooled]).unwrap();
    b.push(Op::Add, &[relu, pooled]).unwrap();
    b.then(Op::Flatten).unwrap();
    b.then(linear(12)).unwrap();
    b.then(Op::BatchNorm).unwrap();
    b.then(linear(10)).unwrap();
    assert_eq!(sum, NodeId(10));
    b.build().unwrap()
}

fn run(graph: &TypedGraph, splits: &Splits, config: &TrainConfig, threads: usize) -> Trained {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| train(graph, splits, config, None, &mut quiet)).unwrap()
}

/// Accuracies and losses, without the speed.
fn curve(trained: &Trained) -> Vec<[f64; 4]> {
    let numbers = trained.history.iter();
    numbers.map(|e| [e.train_loss, e.train_accuracy, e.validation_loss, e.validation_accuracy]).collect()
}

/// Wide enough for the kernels that small layers do not reach: tiles, maps in place, depthwise and strided ones.
fn wide_network() -> TypedGraph {
    let stem = Conv2d { stride: 2, ..Conv2d::dense(16, 5) };
    let tiled = Conv2d::dense(32, 3);
    let grouped = Conv2d { groups: 2, grouping: Grouping::Interleaved, ..Conv2d::dense(32, 3) };
    let depthwise = Conv2d { groups: 32, ..Conv2d::dense(32, 3) };
    let strided = Conv2d { groups: 32, stride: 2, ..Conv2d::dense(32, 3) };
    let convs = [stem, tiled, grouped, depthwise, Conv2d::dense(16, 1), Conv2d::dense(32, 1), strided];
    let convs = convs.into_iter().flat_map(|c| [Op::Conv2d(c), Op::BatchNorm, quadratic()]);
    chain(Shape::map(1, 32, 32), convs.chain([Op::AvgPool(AvgPool { size: 8, stride: 8 }), Op::Flatten, linear(10)]))
}

/// Noise, for networks of another input than the glyphs'.
fn noise_splits(input: Shape) -> Splits {
    let mut rng = SeedTree::new(4).rng();
    let mut noise = |images: usize| {
        let pixels = (0..images * input.len()).map(|_| rng.random()).collect();
        (pixels, (0..images).map(|i| (i % 10) as u8).collect())
    };
    Splits::from_bytes(input, noise(100), noise(10), 20, &SeedTree::new(5))
}

#[test]
fn same_seed_same_network_at_any_number_of_threads() {
    let config = TrainConfig { epochs: 2, batch: 32, augment: Augment::CropFlip, seed: 9, ..TrainConfig::default() };
    let wide = wide_network();
    let noise = noise_splits(wide.input_shape());
    for (graph, splits) in [(rich_network(), small_splits()), (wide, noise)] {
        let one = run(&graph, &splits, &config, 1);
        for threads in [1, 2, 3] {
            let other = run(&graph, &splits, &config, threads);
            assert!(one.weights == other.weights, "{threads} threads");
            assert_eq!(curve(&one), curve(&other));
        }
        let other = run(&graph, &splits, &TrainConfig { seed: 10, ..config.clone() }, 2);
        assert!(one.weights != other.weights);
    }
}

/// Every option at once.
fn everything(epochs: usize) -> TrainConfig {
    TrainConfig {
        epochs,
        batch: 32,
        augment: Augment::Affine,
        cutout: 6,
        mixup: 0.4,
        label_smoothing: 0.1,
        ema: 0.9,
        quadratics: Quadratics::Hermite,
        replacement: 0.5,
        range_penalty: 0.01,
        // To the end, so that the network that is kept depends on it.
        range_clamp: 1.5,
        teacher: Some(TeacherConfig { epochs: 1, ..TeacherConfig::default() }),
        ..TrainConfig::default()
    }
}

#[test]
fn resumed_training_equals_uninterrupted_training() {
    let (graph, splits) = (small_network(Shape::map(1, 28, 28), 8, 2), small_splits());
    let config = everything(3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    let whole = train(&graph, &splits, &config, None, &mut quiet).unwrap();
    // Stopped in the middle of the second epoch: the first is kept.
    let mut stop = |event: &TrainEvent| match event {
        TrainEvent::Batch { epoch: 2, images, .. } if *images > 100 => ControlFlow::Break(()),
        TrainEvent::Batch { .. } | TrainEvent::Epoch(_) | TrainEvent::Teacher(_) => ControlFlow::Continue(()),
    };
    let part = train(&graph, &splits, &config, Some(&path), &mut stop).unwrap();
    assert!(part.stopped && part.history.len() == 1);
    let resumed = train(&graph, &splits, &config, Some(&path), &mut quiet).unwrap();
    assert!(resumed.weights == whole.weights);
    assert_eq!(curve(&resumed), curve(&whole));
    assert!(!resumed.stopped && !whole.stopped);
    // One JSON file, one file of tensors, the same for the teacher, nothing half-written.
    let mut files: Vec<String> =
        std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, ["run-3.safetensors", "run-teacher-1.safetensors", "run-teacher.json", "run.json"]);
    // A finished run gives its result again.
    let again = train(&graph, &splits, &config, Some(&path), &mut quiet).unwrap();
    assert!(again.weights == resumed.weights);
    assert_eq!(again.history, resumed.history);
}

#[test]
fn foreign_and_broken_checkpoints_are_refused() {
    let (graph, splits) = (small_network(Shape::map(1, 28, 28), 4, 1), small_splits());
    let config = TrainConfig { epochs: 1, batch: 32, ..TrainConfig::default() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    train(&graph, &splits, &config, Some(&path), &mut quiet).unwrap();
    let message = |graph: &TypedGraph, config: &TrainConfig| {
        let error = train(graph, &splits, config, Some(&path), &mut quiet).unwrap_err();
        error.to_string().replace(&path.display().to_string(), "FILE")
    };
    let other = small_network(Shape::map(1, 28, 28), 8, 1);
    assert_eq!(message(&other, &config), "FILE: graph: is of another network");
    let changed = TrainConfig { lr: 0.1, ..config.clone() };
    assert_eq!(message(&graph, &changed), "FILE: config: differs from the configuration of this run");
    let json = std::fs::read_to_string(&path).unwrap();
    for (from, to, start) in [
        ("\"version\": 2", "\"version\": 3", "FILE: version: is 3, this program reads 2"),
        ("run-1.safetensors", "../run-1.safetensors", "FILE: tensors: \"../run-1.safetensors\" is not a file name"),
        ("\"version\"", "\"verzion\"", "FILE: contents: unknown field `verzion`"),
        ("run-1.safetensors", "run-2.safetensors", ""),
    ] {
        std::fs::write(&path, json.replace(from, to)).unwrap();
        assert!(message(&graph, &config).starts_with(start), "{}", message(&graph, &config));
    }
    std::fs::write(&path, &json[..json.len() / 2]).unwrap();
    assert!(message(&graph, &config).starts_with("FILE: contents: "));
    std::fs::write(&path, &json).unwrap();
    std::fs::write(folder.path().join("run-1.safetensors"), [1, 2, 3]).unwrap();
    assert!(message(&graph, &config).contains("run-1.safetensors"));
}

/// Writing to /dev/full fails as on a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_checkpoint() {
    let (graph, splits) = (small_network(Shape::map(1, 28, 28), 4, 1), small_splits());
    let config = TrainConfig { epochs: 2, batch: 32, ..TrainConfig::default() };
    let whole = train(&graph, &splits, &config, None, &mut quiet).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    for partial in ["run-2.partial", "run.partial"] {
        let full = || std::os::unix::fs::symlink("/dev/full", folder.path().join(partial)).unwrap();
        let mut fill = |event: &TrainEvent| {
            if let TrainEvent::Batch { epoch: 2, images: 32, .. } = event {
                full();
            }
            ControlFlow::Continue(())
        };
        let error = train(&graph, &splits, &config, Some(&path), &mut fill).unwrap_err().to_string();
        assert!(error.contains("No space left on device"), "{error}");
        assert!(std::fs::read_to_string(&path).unwrap().contains("run-1.safetensors"));
    }
    // With room again, training goes on from the first epoch.
    let resumed = train(&graph, &splits, &config, Some(&path), &mut quiet).unwrap();
    assert!(resumed.weights == whole.weights);
}

#[test]
fn hermite_form_folds_and_survives_a_restart_from_its_weights() {
    let (graph, splits) = (rich_network(), small_splits());
    let config = TrainConfig { epochs: 2, batch: 32, quadratics: Quadratics::Hermite, ..TrainConfig::default() };
    let trained = train(&graph, &splits, &config, None, &mut quiet).unwrap();
    let before = evaluate(&graph, &trained.weights, &splits.test, 64).unwrap();
    assert_eq!(before.accuracy, evaluate(&graph, &trained.weights, &splits.test, 7).unwrap().accuracy);
    // From these weights a step at next to no learning rate stays where it is: the form changes, the network does not.
    let still = TrainConfig { epochs: 1, lr: 1e-12, subset: Some(32), ..config };
    let training = Training { weights: Some(&trained.weights), ..Training::new(&graph, &splits, &still) };
    let after = training.run(&mut quiet).unwrap();
    let images = splits.test.images(0..64);
    let [old, new] = [&trained.weights, &after.weights].map(|w| logits(&graph, w, &images).unwrap());
    let scale = old.iter().flatten().fold(0f32, |m, v| m.max(v.abs()));
    // The running statistics move by a tenth of one batch's.
    assert!(old.iter().flatten().zip(new.iter().flatten()).all(|(a, b)| (a - b).abs() < 0.3 * scale));
}

#[test]
fn masked_weights_stay_zero_through_training_and_averages() {
    let (graph, splits) = (small_network(Shape::map(1, 28, 28), 8, 2), small_splits());
    let config = TrainConfig { epochs: 1, batch: 32, ema: 0.9, ..TrainConfig::default() };
    let start = train(&graph, &splits, &config, None, &mut quiet).unwrap().weights;
    let mut mask = WeightMask::default();
    mask.insert("n1.weight", (0..200).map(|i| i % 3 != 0).collect());
    let training = Training { weights: Some(&start), mask: Some(&mask), ..Training::new(&graph, &splits, &config) };
    let weights = training.run(&mut quiet).unwrap().weights;
    let kept = &weights.get("n1.weight").unwrap().data;
    assert!(kept.iter().enumerate().all(|(i, w)| (i % 3 == 0) == (*w == 0.0)));
    assert!(weights.get("n4.weight").unwrap() != start.get("n4.weight").unwrap(), "the rest is trained");
    let mut foreign = WeightMask::default();
    foreign.insert("n4.weight", vec![true]);
    let training = Training { mask: Some(&foreign), ..training };
    assert!(training.run(&mut quiet).unwrap_err().to_string().contains("n4.weight"));
}

#[test]
fn folded_network_equals_trained_network() {
    let (graph, splits) = (rich_network(), small_splits());
    let config = TrainConfig { epochs: 2, batch: 32, ..TrainConfig::default() };
    let trained = train(&graph, &splits, &config, None, &mut quiet).unwrap();
    let (folded, weights) = fold(&graph, &trained.weights).unwrap();
    assert!(folded.nodes().iter().all(|n| n.op != Op::BatchNorm));
    let images = splits.test.images(0..64);
    let (before, after) =
        (logits(&graph, &trained.weights, &images).unwrap(), logits(&folded, &weights, &images).unwrap());
    let scale = before.iter().flatten().fold(0f32, |m, v| m.max(v.abs()));
    for (b, a) in before.iter().flatten().zip(after.iter().flatten()) {
        assert!((b - a).abs() <= 1e-4 * scale, "{b} became {a}, scale {scale}");
    }
    // Folding again changes nothing.
    assert!(fold(&folded, &weights).unwrap() == (folded.clone(), weights.clone()));
    let evaluation = evaluate(&folded, &weights, &splits.test, 33).unwrap();
    assert_eq!(evaluation.images, 100);
    assert_eq!(evaluation.confusion.iter().flatten().sum::<u32>(), 100);
    // Ranges of the folded network are those of the trained one.
    let old = ranges(&graph, &trained.weights, &splits.train).unwrap();
    let new = ranges(&folded, &weights, &splits.train).unwrap();
    for (old, new) in old.iter().zip(&new) {
        assert!((old.max - new.max).abs() <= 1e-3 * old.max.abs() && (old.min - new.min).abs() <= 1e-3 * old.max.abs());
        assert!(new.quantile <= new.max.max(-new.min));
    }
    assert_eq!(old.len(), new.len());
}

#[test]
fn random_weights_fold_as_well() {
    // Statistics far from their initial values, as after long training.
    let graph = rich_network();
    let mut rng = SeedTree::new(4).rng();
    let mut store = Model::new(&graph, &SeedTree::new(1)).unwrap().weights().unwrap();
    for spec in param_specs(&graph) {
        let mut tensor = store.get(&spec.name).unwrap().clone();
        for v in &mut tensor.data {
            match spec.name.split_once('.').unwrap().1 {
                "mean" | "beta" | "bias" => *v = rng.random_range(-0.5..0.5),
                "var" | "gamma" => *v = rng.random_range(0.5..2.0),
                _ => {}
            }
        }
        store.insert(spec.name, tensor);
    }
    let (folded, weights) = fold(&graph, &store).unwrap();
    let images = small_splits().test.images(0..20);
    let (before, after) = (logits(&graph, &store, &images).unwrap(), logits(&folded, &weights, &images).unwrap());
    let scale = before.iter().flatten().fold(0f32, |m, v| m.max(v.abs()));
    assert!(before.iter().flatten().zip(after.iter().flatten()).all(|(b, a)| (b - a).abs() <= 1e-4 * scale));
}

#[test]
fn curvature_stays_away_from_zero_and_penalty_narrows_ranges() {
    let (graph, splits) = (small_network(Shape::map(1, 28, 28), 8, 2), small_splits());
    let config = TrainConfig { epochs: 4, batch: 32, lr: 0.1, ..TrainConfig::default() };
    let free = train(&graph, &splits, &config, None, &mut quiet).unwrap();
    let penalised = TrainConfig { range_penalty: 1.0, range_limit: 2.0, ..config };
    let narrow = train(&graph, &splits, &penalised, None, &mut quiet).unwrap();
    let widest = |t: &Trained| {
        let ranges = ranges(&graph, &t.weights, &splits.train).unwrap();
        ranges.iter().fold(0f32, |m, r| m.max(r.quantile))
    };
    assert!(widest(&narrow) < 0.9 * widest(&free), "{} and {}", widest(&narrow), widest(&free));
    let bounded = |weights: &WeightStore| {
        let mut curvatures =
            weights.iter().filter(|(name, _)| name.split_once('.').unwrap().1 == "a").flat_map(|(_, t)| &t.data);
        curvatures.all(|a| a.abs() >= MIN_CURVATURE)
    };
    assert!(bounded(&free.weights) && bounded(&narrow.weights));
}

#[test]
fn bad_configurations_networks_and_divergence_are_errors() {
    let splits = small_splits();
    let graph = small_network(Shape::map(1, 28, 28), 4, 1);
    let message = |graph: &TypedGraph, config: TrainConfig| {
        train(graph, &splits, &config, None, &mut quiet).unwrap_err().to_string()
    };
    let base = TrainConfig { epochs: 1, batch: 32, ..TrainConfig::default() };
    let batch = message(&graph, TrainConfig { batch: 481, ..base.clone() });
    assert_eq!(batch, "training configuration: batch = 481, expected 1 to the number of training images");
    for config in [
        TrainConfig { epochs: 0, ..base.clone() },
        TrainConfig { lr: f64::NAN, ..base.clone() },
        TrainConfig { momentum: 1.0, ..base.clone() },
        TrainConfig { label_smoothing: -0.1, ..base.clone() },
        TrainConfig { subset: Some(0), ..base.clone() },
    ] {
        assert!(message(&graph, config).starts_with("training configuration: "));
    }
    let other = small_network(Shape::map(3, 32, 32), 4, 1);
    let expected = "the network takes 3x32x32 and gives 10 values; the images are 1x28x28 of 10 classes";
    assert_eq!(message(&other, base.clone()), expected);
    let few = chain(Shape::map(1, 28, 28), [Op::Flatten, linear(9)]);
    assert!(message(&few, base.clone()).contains("gives 9 values"));
    // Without batch norm and clipping, a huge learning rate makes squares of squares overflow.
    let deep =
        chain(Shape::map(1, 28, 28), [Op::Flatten, linear(16), quadratic(), linear(16), quadratic(), linear(10)]);
    let wild = TrainConfig { lr: 1e6, clip: 0.0, ..base };
    match train(&deep, &splits, &wild, None, &mut quiet) {
        Err(TrainError::Diverged { epoch: 1, place, .. }) => assert!(place.starts_with("node n"), "{place}"),
        Err(other) => panic!("expected divergence, got {other}"),
        Ok(_) => panic!("expected divergence"),
    }
}
