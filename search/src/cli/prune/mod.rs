//! `striae prune`: takes diagonals from a trained network, and with them rotations and multiplications.

mod report;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use striae_cost_model::{Diagonals, LowerOptions, Lowerer, Packing, Plan, PlanOptions, estimate};
use striae_reports::export::{create_folder, write};
use striae_reports::format::percent;
use striae_reports::plot::{Figure, svg};
use striae_reports::view::PatternView;
use striae_search::headroom;
use striae_search::prune::{BlockMap, Unit, pattern};
use striae_spaces::WeightMask;
use striae_train::{
    PruneConfig, PruneEvent, PruneRound, Pruned, Pruning, TrainConfig, TrainEvent, evaluate, fold, ranges,
};

use super::calibration::CalibrationArgs;
use super::exit::Exit;
use super::export::{Origin, contents, fill};
use super::failure::{Failure, Outcome};
use super::finished::{Run, read_run};
use super::interrupt::Interrupt;
use super::output::Output;
use super::progress::Progress;

use report::{Report, costs, print, ungrouped_costs};

/// Images per pass when the test set is read.
const TEST_BATCH: usize = 128;
/// Peak learning rate of a retraining as a share of the training's own.
const RETRAINING_RATE: f64 = 0.2;
/// The state of the pruning, in --out.
const STATE: &str = "pruning.json";
const REPORT: &str = "pruned.json";
const BUNDLE: &str = "bundle";

#[derive(Args, Debug)]
pub(crate) struct PruneArgs {
    /// Folder that `striae train` wrote
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Least accuracy on the validation images, such as 0.985 or 98.5%
    #[arg(long, value_name = "ACCURACY", value_parser = share)]
    accuracy_bound: f64,
    /// Passes over the training images in each round
    #[arg(long, default_value_t = 2)]
    epochs: usize,
    /// Peak learning rate of each round [default: a fifth of the training's]
    #[arg(long)]
    lr: Option<f64>,
    /// Share of the blocks left that the first round removes; halved whenever a round is undone
    #[arg(long, value_name = "SHARE", default_value = "0.2", value_parser = share)]
    first_share: f64,
    /// End when a round would remove a smaller share than this
    #[arg(long, value_name = "SHARE", default_value = "0.01", value_parser = share)]
    least_share: f64,
    /// End when no larger share of the blocks is left
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    target: f64,
    /// What is removed as a whole
    #[arg(long, value_enum, default_value_t = UnitArg::Rotation)]
    unit: UnitArg,
    /// How maps are packed: row-major, group-interleaved, multiplexed, multiplexed-bsgs or block:S; multiplexed if absent
    #[arg(long, value_name = "PACKING")]
    packing: Option<Packing>,
    /// Folder of the data set's files; else STRIAE_DATA
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Folder to write: bundle, report, picture of what is left, state of the pruning
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Go on from the state in --out
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    calibration: CalibrationArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum UnitArg {
    /// All that reads an input ciphertext at one rotation (SpENCNN's sub-blocks)
    Rotation,
    /// Every diagonal
    Diagonal,
}

fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    match number.trim().parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&(value / unit)) => Ok(value / unit),
        _ => Err("expected a share, such as 0.985 or 98.5%".to_owned()),
    }
}

/// Runs `striae prune`.
pub(crate) fn run(args: &PruneArgs, output: Output) -> Outcome {
    check_folder(args)?;
    let run = read_run(&args.run, args.data_dir.as_deref())?;
    let chosen = args.calibration.load(output)?;
    let mut lowerer = Lowerer::new(&chosen.calibration);
    let dense = lowerer.plan(&run.graph, &PlanOptions { packing: args.packing, ..PlanOptions::default() })?;
    let unit = match args.unit {
        UnitArg::Rotation => Unit::Rotation,
        UnitArg::Diagonal => Unit::Diagonal,
    };
    let map = BlockMap::new(&run.graph, &dense.program, unit);
    if map.blocks.count() == 0 {
        let message = format!("{}: no weights can be pruned in this packing", args.run.display());
        return Err(Failure::bad_input(message, "give another --packing"));
    }
    let config = PruneConfig {
        accuracy_bound: args.accuracy_bound,
        first_share: args.first_share,
        least_share: args.least_share,
        target: args.target,
        training: TrainConfig {
            epochs: args.epochs,
            lr: args.lr.unwrap_or(RETRAINING_RATE * run.training.lr),
            teacher: None,
            replacement: 0.0,
            ..run.training.clone()
        },
    };
    let pruned = prune(args, &run, &map, &config, output)?;
    if pruned.stopped {
        output.note(format_args!("stopped; go on with the same options and --resume"));
        return Ok(Exit::Interrupted);
    }
    let (graph, weights) = fold(&run.graph, &pruned.weights)?;
    let diagonals = Diagonals::Of(Arc::new(WeightMask::of_zeros(&graph, &weights)?));
    let (params, options) = (dense.params.clone(), LowerOptions { diagonals, ..dense.options.clone() });
    let program = lowerer.lower(&graph, &params, &options)?;
    let estimate = estimate(&program, &params, &chosen.calibration);
    let plan = Plan { params, options, program, estimate };
    let ranges = ranges(&graph, &weights, &run.splits.train)?;
    headroom::check(&plan.params, &plan.program, (&graph, &weights), &ranges)?;
    let all = lowerer.lower(&graph, &plan.params, &dense.options)?;
    write_picture(&args.out, &pattern(&run.label, &graph, &all, &plan.program))?;
    // The test set is read here, once, when nothing is left to decide.
    let test = evaluate(&run.graph, &pruned.weights, &run.splits.test, TEST_BATCH)?;
    let report = Report {
        format: 1,
        network: run.graph.to_string(),
        packing: plan.options.packing,
        unit,
        config: &config,
        blocks: map.blocks.count(),
        blocks_left: map.blocks.count() - pruned.removed.len(),
        rounds: &pruned.rounds,
        validation_accuracy_before: pruned.start_accuracy,
        validation_accuracy: pruned.accuracy(),
        test: &test,
        ungrouped: ungrouped_costs(&mut lowerer, &run.graph, &dense)?,
        before: costs(&mut lowerer, &run.graph, &dense)?,
        after: costs(&mut lowerer, &graph, &plan)?,
    };
    let text = serde_json::to_string_pretty(&report).map_err(Failure::unexpected)?;
    write(&args.out.join(REPORT), text.as_bytes())?;
    let origin = Origin {
        study: &format!("{} pruned", run.label),
        trial: None,
        trained_arch_id: run.graph.arch_id().to_string(),
        dataset: run.dataset,
        data_seed: run.training.seed,
        seed: run.training.seed,
        accuracy: (report.validation_accuracy, Some(test.accuracy)),
    };
    let contents = contents(&origin, (graph, weights), plan, &run.splits, &chosen.calibration);
    let bundle = args.out.join(BUNDLE);
    if bundle.exists() {
        std::fs::remove_dir_all(&bundle).map_err(|e| Failure::unwritable(&bundle, &e))?;
    }
    create_folder(&bundle, |folder| fill(folder, &contents))?;
    print(&report, &args.out, output)?;
    output.note(format_args!("run it encrypted with `striae verify {}`", bundle.display()));
    Ok(Exit::Success)
}

/// Whether `--out` and `--resume` agree.
fn check_folder(args: &PruneArgs) -> Result<(), Failure> {
    if args.out.exists() && !args.out.is_dir() {
        return Err(Failure::bad_input(format!("{}: is not a folder", args.out.display()), "give --out a folder"));
    }
    let begun = args.out.join(STATE).exists() || args.out.join("round-1.json").exists();
    match (args.resume, begun) {
        (true, false) => {
            let message = format!("{}: there is no pruning to resume", args.out.display());
            Err(Failure::bad_input(message, "leave out --resume, or give the --out of the pruning to go on with"))
        }
        (false, true) => {
            let message = format!("{}: a pruning was begun here", args.out.display());
            Err(Failure::bad_input(message, "go on with --resume, or give another --out"))
        }
        (true, true) | (false, false) => Ok(()),
    }
}

fn prune(args: &PruneArgs, run: &Run, map: &BlockMap, config: &PruneConfig, output: Output) -> Result<Pruned, Failure> {
    let interrupt = Interrupt::listen()?;
    let created = args.out.exists();
    std::fs::create_dir_all(&args.out).map_err(|e| Failure::unwritable(&args.out, &e))?;
    let blocks = map.blocks.count();
    let goal = blocks - (config.target * blocks as f64) as usize;
    let mut progress = Progress::new(output, goal as u64);
    let mut removed = 0;
    let pruning = Pruning {
        graph: &run.graph,
        splits: &run.splits,
        weights: &run.weights,
        blocks: &map.blocks,
        config,
        folder: Some(&args.out),
    };
    let pruned = pruning.run(&mut |event| {
        match event {
            PruneEvent::Training(round, left, TrainEvent::Batch { epoch, loss, time_left, .. }) => {
                let what = format_args!("round {round}, {left} of {blocks} blocks, epoch {epoch}, loss {loss:.3}");
                progress.set(removed, Some(*time_left), what);
            }
            PruneEvent::Training(..) => {}
            PruneEvent::Round(stats, left) => {
                let PruneRound { round, removed: tried, left: blocks_left, accuracy, accepted } = *stats;
                if accepted {
                    removed = (blocks - blocks_left) as u64;
                }
                let (verdict, minutes) = (if accepted { "kept" } else { "undone" }, left.as_secs().div_ceil(60));
                let accuracy = percent(accuracy, 2);
                progress.line(format_args!(
                    "round {round:2}: {tried} blocks less, {blocks_left} of {blocks} left, validation accuracy \
                     {accuracy}, {verdict}; about {minutes} min to go"
                ));
            }
        }
        if interrupt.requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    progress.finish();
    if pruned.is_err() && !created {
        // Only an empty folder goes.
        let _ = std::fs::remove_dir(&args.out);
    }
    Ok(pruned?)
}

fn write_picture(out: &Path, view: &PatternView) -> Result<(), Failure> {
    Ok(write(&out.join("pattern.svg"), svg(Figure::Pattern(view))?.as_bytes())?)
}
