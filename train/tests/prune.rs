//! Sub-block pruning: what is removed stays zero, the back-off undoes and halves, a stopped pruning goes on bit for bit.

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use common::{quiet, small_network};
use striae_spaces::{Shape, TypedGraph, WeightStore, param_specs};
use striae_train::{
    Blocks, GlyphConfig, PruneConfig, PruneEvent, PruneRound, Pruned, Pruning, SeedTree, Splits, TrainConfig,
    TrainError, evaluate, glyphs, train,
};

/// Columns of a weight tensor that make one block.
const COLUMNS: usize = 5;

/// Blocks of columns of every weight tensor: enough for the trainer, which knows no diagonals.
fn column_blocks(graph: &TypedGraph) -> Blocks {
    let mut count = 0;
    let mut parameters = Vec::new();
    for spec in param_specs(graph).into_iter().filter(|spec| spec.name.ends_with(".weight")) {
        let columns: usize = spec.shape[1..].iter().product();
        let blocks = (0..spec.shape[0] * columns).map(|i| (count + i % columns / COLUMNS) as u32).collect();
        count += columns.div_ceil(COLUMNS);
        parameters.push((spec.name, blocks));
    }
    let mut blocks = Blocks::new(count);
    parameters.into_iter().for_each(|(name, list)| blocks.set(name, list));
    blocks
}

struct Subject {
    graph: TypedGraph,
    splits: Splits,
    weights: WeightStore,
    blocks: Blocks,
}

fn subject() -> Subject {
    let splits = glyphs(&GlyphConfig { train: 900, test: 10, validation: 0.2 }, &SeedTree::new(2)).unwrap();
    let graph = small_network(Shape::map(1, 28, 28), 4, 2);
    let config = TrainConfig { epochs: 4, ..TrainConfig::default() };
    let weights = train(&graph, &splits, &config, None, &mut quiet).unwrap().weights;
    let blocks = column_blocks(&graph);
    Subject { graph, splits, weights, blocks }
}

fn config(accuracy_bound: f64) -> PruneConfig {
    let training = TrainConfig { epochs: 1, lr: 0.01, ..TrainConfig::default() };
    PruneConfig { accuracy_bound, first_share: 0.4, least_share: 0.1, target: 0.3, training }
}

fn prune(
    subject: &Subject,
    config: &PruneConfig,
    folder: Option<&Path>,
    observer: &mut dyn FnMut(&PruneEvent) -> ControlFlow<()>,
) -> Result<Pruned, TrainError> {
    let Subject { graph, splits, weights, blocks } = subject;
    Pruning { graph, splits, weights, blocks, config, folder }.run(observer)
}

fn go_on(_: &PruneEvent) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn removed_blocks_are_zero_and_the_target_is_met_exactly() {
    let subject = subject();
    let pruned = prune(&subject, &config(0.05), None, &mut go_on).unwrap();
    let (count, target) = (subject.blocks.count(), (0.3 * subject.blocks.count() as f64).floor() as usize);
    assert_eq!(count - pruned.removed.len(), target);
    let scores = subject.blocks.scores(&pruned.weights).unwrap();
    for (block, score) in scores.iter().enumerate() {
        assert_eq!(*score == 0.0, pruned.removed.contains(&(block as u32)), "block {block}");
    }
    // 40 % of what is left at a time, and at last what the target leaves room for.
    let left: Vec<usize> = pruned.rounds.iter().map(|r| r.left).collect();
    let after = |left: usize| left - (0.4 * left as f64).round() as usize;
    assert_eq!(left, [after(count), after(after(count)), target]);
    assert!(pruned.rounds.iter().all(|r| r.accepted));
    let evaluation = evaluate(&subject.graph, &pruned.weights, &subject.splits.validation, 64).unwrap();
    assert!((evaluation.accuracy - pruned.accuracy()).abs() < 1e-12);
}

#[test]
fn rounds_below_the_bound_are_undone_and_halved() {
    let subject = subject();
    let accuracy = evaluate(&subject.graph, &subject.weights, &subject.splits.validation, 64).unwrap().accuracy;
    // A learning rate that moves nothing: what is removed costs accuracy.
    let mut config = PruneConfig { target: 0.0, ..config(accuracy) };
    config.training.lr = 1e-9;
    let pruned = prune(&subject, &config, None, &mut go_on).unwrap();
    let undone = pruned.rounds.iter().filter(|r| !r.accepted).count();
    // 0.4, 0.2 and 0.1 are tried to their ends; 0.05 is below the least share.
    assert_eq!(undone, 3, "{:?}", pruned.rounds);
    let (mut share, mut left) = (0.4, subject.blocks.count());
    for PruneRound { removed, left: after, accuracy: reached, accepted, .. } in &pruned.rounds {
        assert_eq!(*removed, ((share * left as f64).round() as usize).max(1));
        assert_eq!(*after, left - removed);
        assert_eq!(*accepted, *reached >= accuracy);
        if *accepted { left = *after } else { share /= 2.0 }
    }
    assert_eq!(left, subject.blocks.count() - pruned.removed.len());
    let error = prune(&subject, &PruneConfig { accuracy_bound: 1.0, ..config }, None, &mut go_on);
    assert!(accuracy >= 1.0 || matches!(error, Err(TrainError::BelowBound { .. })));
}

#[test]
fn a_stopped_pruning_goes_on_bit_for_bit() {
    let subject = subject();
    let config = config(0.05);
    let whole = prune(&subject, &config, None, &mut go_on).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Stopped after a round, and in the middle of another.
    let mut after_a_round = |event: &PruneEvent| match event {
        PruneEvent::Round(..) => ControlFlow::Break(()),
        PruneEvent::Training(..) => ControlFlow::Continue(()),
    };
    assert!(prune(&subject, &config, Some(folder.path()), &mut after_a_round).unwrap().stopped);
    let mut steps = 0;
    let mut in_a_round = |_: &PruneEvent| {
        steps += 1;
        if steps < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    assert!(prune(&subject, &config, Some(folder.path()), &mut in_a_round).unwrap().stopped);
    let resumed = prune(&subject, &config, Some(folder.path()), &mut go_on).unwrap();
    assert_eq!(resumed.rounds, whole.rounds);
    assert_eq!(resumed.removed, whole.removed);
    assert_eq!(resumed.weights, whole.weights);
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 2, "the state and its weights");
    let other = PruneConfig { first_share: 0.3, ..config };
    let refused = prune(&subject, &other, Some(folder.path()), &mut go_on);
    assert!(matches!(refused, Err(TrainError::Checkpoint { field: "config", .. })));
}
