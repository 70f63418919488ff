//! Pruning of a trained network: the program loses exactly the rotations and multiplications of the removed blocks, and runs
//! encrypted as in the clear.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use assert_cmd::Command;
use serde_json::Value;
use striae_cost_model::{
    Calibration, DiagonalId, Diagonals, HeProgram, LowerOptions, Lowerer, Packing, Plan, PlanOptions, StepKind,
    Strategy, StrategyChoice,
};
use striae_he_eval::{RnsBackend, Seed, Session, reference};
use striae_reports::view::PatternLayer;
use striae_search::prune::{BlockMap, Unit, pattern};
use striae_spaces::{TypedGraph, WeightMask, WeightStore};
use striae_train::{DatasetName, PruneConfig, Pruned, Pruning, SeedTree, Splits, TrainConfig, fold, load, train};

const NETWORK: &str = "1x28x28: conv(8,k3,s2) bn quad conv(8,k3,s2) bn quad flatten linear(10,bias)";

struct Subject {
    graph: TypedGraph,
    splits: Splits,
    weights: WeightStore,
}

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| {
    let graph: TypedGraph = NETWORK.parse().unwrap();
    let splits = load(DatasetName::Glyphs, None, 0.1, &SeedTree::new(3)).unwrap();
    let config = TrainConfig { epochs: 1, subset: Some(1280), ..TrainConfig::default() };
    let weights = train(&graph, &splits, &config, None, &mut |_| ControlFlow::Continue(())).unwrap().weights;
    Subject { graph, splits, weights }
});

fn lower_options(packing: Packing) -> LowerOptions {
    LowerOptions { packing, strategy: StrategyChoice::Always(Strategy::InputSide), ..LowerOptions::default() }
}

/// Prunes half of the blocks; with the dense program, whose rotations are all on the inputs.
fn pruned(packing: Packing, unit: Unit) -> (Plan, HeProgram, BlockMap, Pruned) {
    let Subject { graph, splits, weights } = &*SUBJECT;
    let calibration = Calibration::generic();
    let mut lowerer = Lowerer::new(&calibration);
    let plan = lowerer.plan(graph, &PlanOptions { packing: Some(packing), ..PlanOptions::default() }).unwrap();
    let dense = lowerer.lower(graph, &plan.params, &lower_options(packing)).unwrap();
    let map = BlockMap::new(graph, &dense, unit);
    let training = TrainConfig { epochs: 1, subset: Some(640), lr: 0.01, ..TrainConfig::default() };
    let config = PruneConfig { accuracy_bound: 0.1, first_share: 0.5, least_share: 0.4, target: 0.5, training };
    let pruning = Pruning { graph, splits, weights, blocks: &map.blocks, config: &config, folder: None };
    let result = pruning.run(&mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(result.removed.len(), map.blocks.count() - map.blocks.count() / 2);
    (plan, dense, map, result)
}

/// The diagonals of each step that only removed weights stand on.
fn lost(dense: &HeProgram, weights: &WeightStore) -> Vec<BTreeSet<DiagonalId>> {
    let graph = &SUBJECT.graph;
    let of_step = |step| {
        let (mut all, mut carrying) = (BTreeSet::new(), BTreeSet::new());
        dense.each_place(graph, step, |weight, diagonal| {
            all.insert(diagonal);
            if weight.is_none_or(|(layer, i)| weights.get(&format!("{layer}.weight")).unwrap().data[i] != 0.0) {
                carrying.insert(diagonal);
            }
        });
        &all - &carrying
    };
    (0..dense.steps.len()).map(of_step).collect()
}

#[test]
fn programs_lose_exactly_what_was_removed() {
    for (packing, unit) in [
        (Packing::Multiplexed, Unit::Rotation),
        (Packing::RowMajor, Unit::Rotation),
        (Packing::RowMajor, Unit::Diagonal),
    ] {
        let (plan, dense, map, result) = pruned(packing, unit);
        let (graph, weights) = fold(&SUBJECT.graph, &result.weights).unwrap();
        let diagonals = Diagonals::Of(Arc::new(WeightMask::of_zeros(&graph, &weights).unwrap()));
        let options = LowerOptions { diagonals, ..lower_options(packing) };
        let calibration = Calibration::generic();
        let program = Lowerer::new(&calibration).lower(&graph, &plan.params, &options).unwrap();
        let lost = lost(&dense, &result.weights);
        for (step, lost) in lost.iter().enumerate() {
            let (before, after) = (dense.step_counts(step), program.step_counts(step));
            assert_eq!(after.plain_mults, before.plain_mults - lost.len() as u64, "{packing:?} {unit:?}, step {step}");
            let StepKind::Linear(linear) = &dense.steps[step].kind else { continue };
            // A rotation goes with the last diagonal that reads it.
            let reads = |d: &DiagonalId| (d.input, d.rotation);
            let left: BTreeSet<_> = dense.diagonals(linear).iter().filter(|d| !lost.contains(d)).map(reads).collect();
            let gone: BTreeSet<_> = lost.iter().map(reads).filter(|r| r.1 != 0 && !left.contains(r)).collect();
            assert_eq!(after.rotations(), before.rotations() - gone.len() as u64, "{packing:?} {unit:?}, step {step}");
        }
        // No packing here writes a weight twice, so blocks are what the unit says.
        let units: usize = match unit {
            Unit::Diagonal => lost.iter().map(BTreeSet::len).sum(),
            Unit::Rotation => {
                let reads =
                    |lost: &BTreeSet<DiagonalId>| lost.iter().map(|d| (d.input, d.rotation)).collect::<BTreeSet<_>>();
                lost.iter().map(|lost| reads(lost).len()).sum()
            }
        };
        assert_eq!(units, result.removed.len());
        assert!(dense.counts().rotations() > program.counts().rotations());
        let dense = Lowerer::new(&calibration).lower(&graph, &plan.params, &lower_options(packing)).unwrap();
        let view = pattern("small", &graph, &dense, &program);
        let shown = view.layers.iter().map(PatternLayer::diagonals).fold((0, 0), |sum, d| (sum.0 + d.0, sum.1 + d.1));
        assert_eq!(shown, (program.counts().plain_mults as usize, dense.counts().plain_mults as usize));
        assert_eq!(map.fixed, 0);
    }
}

#[test]
fn a_pruned_network_runs_encrypted() {
    let (plan, _, _, result) = pruned(Packing::Multiplexed, Unit::Rotation);
    let (graph, weights) = fold(&SUBJECT.graph, &result.weights).unwrap();
    let diagonals = Diagonals::Of(Arc::new(WeightMask::of_zeros(&graph, &weights).unwrap()));
    let options = PlanOptions { params: Some(plan.params), diagonals, ..PlanOptions::default() };
    let plan = Lowerer::new(&Calibration::generic()).plan(&graph, &options).unwrap();
    let program = Arc::new(plan.program);
    let session: Session<RnsBackend> =
        Session::new(&plan.params, Arc::clone(&program), &graph, &weights, Seed::Fixed(1)).unwrap();
    let image = SUBJECT.splits.test.image(0);
    let run = session.infer(&image).unwrap();
    assert_eq!(run.counts, program.counts());
    let clear = reference::logits(&graph, &weights, &image).unwrap();
    let range = clear.iter().fold(0f64, |m, v| m.max(v.abs()));
    let error = run.logits.iter().zip(&clear).map(|(e, c)| (e - c).abs()).fold(0.0, f64::max);
    assert!(error < 1e-3 * range, "{error:e} of {range}");
}

#[test]
fn train_prune_verify() {
    let folder = tempfile::tempdir().unwrap();
    let striae = |args: &[&str]| {
        let mut command = Command::cargo_bin("striae").expect("the binary is built");
        command.current_dir(folder.path()).env_remove("STRIAE_CALIBRATION").env_remove("STRIAE_DATA");
        command.args(args).args(["--quiet", "--json"]).output().expect("runs")
    };
    let done = |args: &[&str]| {
        let output = striae(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    done(&["train", NETWORK, "--epochs", "1", "--subset", "1280", "--out", "run"]);
    let flags = ["--first-share", "0.5", "--least-share", "40%", "--target", "0.5", "--epochs", "1", "--out", "pruned"];
    let report = done(&[&["prune", "run", "--accuracy-bound", "10%"], &flags[..]].concat());
    let counts = |at: &str, count: &str| report[at][count].as_u64().expect("a count");
    for count in ["rotations", "rotations_hoisted_on_inputs", "multiplications"] {
        assert!(counts("after", count) < counts("before", count), "{count}: {report}");
    }
    assert!(folder.path().join("pruned/pattern.svg").is_file());
    let verified = done(&["verify", "pruned/bundle", "--images", "1"]);
    assert_eq!(verified[0]["passed"], true);
    // Again: refused without --resume, the same with it.
    let refused = striae(&[&["prune", "run", "--accuracy-bound", "10%"], &flags[..]].concat());
    assert_eq!(refused.status.code(), Some(2));
    let again = done(&[&["prune", "run", "--accuracy-bound", "10%", "--resume"], &flags[..]].concat());
    assert_eq!(again["after"], report["after"]);
    let above = striae(&["prune", "run", "--accuracy-bound", "100%", "--out", "above"]);
    assert_eq!(above.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&above.stderr).contains("below the bound of 100.00 %"));
    assert!(!folder.path().join("above").exists());
}
