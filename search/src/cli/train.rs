//! `striae train`: one network on one data set, by a recipe.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;
use striae_reports::export;
use striae_reports::format::percent;
use striae_reports::plot::{Figure, svg};
use striae_reports::table::curve;
use striae_reports::view::{CurvePoint, CurveView};
use striae_search::recipe::Recipe;
use striae_spaces::{ArchId, TypedGraph};
use striae_train::{
    ActivationRange, DataError, DatasetName, EpochStats, Evaluation, SeedTree, Splits, TrainConfig, TrainEvent,
    Trained, evaluate, fold, load, ranges, train,
};

use super::arch::{Arch, BUNDLE_FILE};
use super::exit::Exit;
use super::failure::{Failure, Outcome};
use super::interrupt::Interrupt;
use super::output::Output;
use super::progress::Progress;

/// Images per pass when the test set is read.
const TEST_BATCH: usize = 128;
const CHECKPOINT: &str = "checkpoint.json";
const METRICS: &str = "metrics.json";
const WEIGHTS: &str = "weights.safetensors";

#[derive(Args, Debug)]
pub(crate) struct TrainArgs {
    /// Recipe (a .toml file), or a network: a name of the zoo, the notation, or a .json or .txt file
    #[arg(value_name = "RECIPE.toml|NETWORK")]
    what: String,
    /// Data set: glyphs, mnist, fashion-mnist or cifar10 [default: the recipe's, or glyphs]
    #[arg(long)]
    dataset: Option<String>,
    /// Folder of the data set's files; else STRIAE_DATA
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Passes over the training images [default: the recipe's, or 5]
    #[arg(long)]
    epochs: Option<usize>,
    /// Peak learning rate [default: the recipe's, or 0.05]
    #[arg(long)]
    lr: Option<f64>,
    /// Images per step [default: the recipe's, or 64]
    #[arg(long)]
    batch: Option<usize>,
    /// How images are varied [default: the recipe's, or none]
    #[arg(long, value_enum)]
    augment: Option<AugmentArg>,
    /// Train on the first so many images only
    #[arg(long, value_name = "IMAGES")]
    subset: Option<usize>,
    /// Root of all random choices [default: the recipe's, or 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Any other field of a recipe, as in its TOML: --set clip=1 --set teacher.epochs=10
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// Where to train: cpu, cuda:0 (an NVIDIA GPU), or auto [default: the recipe's, or cpu]
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Folder to write: folded network, weights, metrics, curve, recipe, checkpoint
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Go on from the checkpoint in --out
    #[arg(long)]
    resume: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AugmentArg {
    /// Not at all
    None,
    /// Shifted by up to two pixels
    Shift,
    /// Shifted, turned, stretched and sheared a little
    Affine,
    /// Shifted by up to four pixels and mirrored half of the time
    CropFlip,
}

/// `metrics.json`, and what `--json` prints.
#[derive(Serialize)]
struct Metrics<'a> {
    format: u32,
    /// The network as trained.
    network: String,
    arch_id: ArchId,
    dataset: DatasetName,
    config: &'a TrainConfig,
    history: &'a [EpochStats],
    validation_accuracy: f64,
    test: &'a Evaluation,
    ranges: &'a [ActivationRange],
}

/// Runs `striae train`.
pub(crate) fn run(args: &TrainArgs, output: Output) -> Outcome {
    let (recipe, arch) = read_recipe(args)?;
    let in_recipe = |e: Failure| if is_recipe(&args.what) { e.in_file(Path::new(&args.what)) } else { e };
    let dataset: DatasetName = recipe.dataset.parse().map_err(|e: DataError| in_recipe(e.into()))?;
    let config = &recipe.training;
    let checkpoint = args.out.join(CHECKPOINT);
    check_folder(args, &checkpoint)?;
    let seed = SeedTree::new(config.seed).child("data");
    let splits = load(dataset, args.data_dir.as_deref(), recipe.validation, &seed).map_err(|e| {
        let of_recipe = matches!(e, DataError::Config { .. });
        if of_recipe { in_recipe(e.into()) } else { e.into() }
    })?;
    let splits = splits.normalised(recipe.normalisation);
    let interrupt = Interrupt::listen()?;
    // A run that is refused must leave no folder behind, so the folder waits for the first step.
    let created = args.out.exists();
    let trained = learn(&arch, &splits, config, &args.out, &interrupt, output);
    if trained.is_err() && !created {
        // Only an empty folder goes.
        let _ = std::fs::remove_dir(&args.out);
    }
    let trained = trained.map_err(in_recipe)?;
    if trained.stopped {
        output.note(format_args!("stopped; go on with --resume --out {}", args.out.display()));
        return Ok(Exit::Interrupted);
    }
    let (graph, weights) = fold(&arch.graph, &trained.weights)?;
    let ranges = ranges(&graph, &weights, &splits.train)?;
    // The test set is read here, once, when nothing is left to decide.
    let test = evaluate(&arch.graph, &trained.weights, &splits.test, TEST_BATCH)?;
    weights.save(&args.out.join(WEIGHTS))?;
    write_texts(&args.out, &graph, &recipe)?;
    write_curve(&args.out, &format!("{} on {dataset}", arch.label), &trained.history)?;
    let metrics = Metrics {
        format: 1,
        network: arch.graph.to_string(),
        arch_id: arch.graph.arch_id(),
        dataset,
        config,
        history: &trained.history,
        validation_accuracy: trained.validation_accuracy(),
        test: &test,
        ranges: &ranges,
    };
    let text = serde_json::to_string_pretty(&metrics).map_err(Failure::unexpected)?;
    export::write(&args.out.join(METRICS), text.as_bytes())?;
    if output.json {
        output.value(&metrics)?;
    } else {
        output.line(format_args!(
            "{}: validation accuracy {}, test accuracy {} ({} images)",
            arch.label,
            percent(trained.validation_accuracy(), 2),
            percent(test.accuracy, 2),
            test.images
        ))?;
        for range in &ranges {
            output.note(format_args!(
                "{}: 99.99 % of the inputs within {:.2}, all from {:.2} to {:.2}",
                range.node, range.quantile, range.min, range.max
            ));
        }
        output.line(format_args!("written: {}", args.out.display()))?;
    }
    Ok(Exit::Success)
}

fn is_recipe(what: &str) -> bool {
    Path::new(what).extension().is_some_and(|e| e == "toml")
}

/// The recipe with what the command line changes, and its network.
fn read_recipe(args: &TrainArgs) -> Result<(Recipe, Arch), Failure> {
    let path = is_recipe(&args.what).then(|| Path::new(&args.what));
    let mut recipe = match path {
        Some(path) => Recipe::from_file(path)?,
        None => Recipe::of(&args.what),
    };
    let TrainArgs { dataset, epochs, lr, batch, augment, subset, seed, device, .. } = args;
    let augment = augment.and_then(|a| a.to_possible_value()).map(|v| v.get_name().to_owned());
    let flags = [
        ("dataset", dataset.clone()),
        ("epochs", epochs.map(|v| v.to_string())),
        ("lr", lr.map(|v| format!("{v:?}"))),
        ("batch", batch.map(|v| v.to_string())),
        ("augment", augment),
        ("subset", subset.map(|v| v.to_string())),
        ("seed", seed.map(|v| v.to_string())),
        ("device", device.clone()),
    ];
    let given = flags.into_iter().filter_map(|(field, value)| Some((field, value?)));
    for (field, value) in given {
        recipe = recipe.set(field, &value)?;
    }
    for setting in &args.set {
        let (field, value) = setting.split_once('=').ok_or_else(|| {
            Failure::bad_input(format!("--set {setting}: expected FIELD=VALUE"), "as in --set clip=1")
        })?;
        recipe = recipe.set(field.trim(), value.trim())?;
    }
    // The files that a recipe names lie beside it.
    let beside = path.and_then(Path::parent).map(|folder| folder.join(&recipe.network)).filter(|file| file.is_file());
    let named = beside.map_or_else(|| recipe.network.clone(), |file| file.to_string_lossy().into_owned());
    let arch = Arch::resolve(&named).map_err(|e| match path {
        Some(path) => Failure { message: format!("network: {}", e.message), ..e }.in_file(path),
        None => e,
    })?;
    Ok((recipe, arch))
}

/// Whether `--out` and `--resume` agree.
fn check_folder(args: &TrainArgs, checkpoint: &Path) -> Result<(), Failure> {
    if args.out.exists() && !args.out.is_dir() {
        return Err(Failure::bad_input(format!("{}: is not a folder", args.out.display()), "give --out a folder"));
    }
    // A teacher is trained before the network's own first epoch.
    let begun = checkpoint.exists() || checkpoint.with_file_name("checkpoint-teacher.json").exists();
    match (args.resume, begun) {
        (true, false) => {
            let message = format!("{}: there is no checkpoint to resume", checkpoint.display());
            Err(Failure::bad_input(message, "leave out --resume, or give the --out of the run to go on with"))
        }
        (false, true) => {
            let message = format!("{}: a training was begun here", checkpoint.display());
            Err(Failure::bad_input(message, "go on with --resume, or give another --out"))
        }
        (true, true) | (false, false) => Ok(()),
    }
}

fn learn(
    arch: &Arch,
    splits: &Splits,
    config: &TrainConfig,
    out: &Path,
    interrupt: &Interrupt,
    output: Output,
) -> Result<Trained, Failure> {
    std::fs::create_dir_all(out).map_err(|e| Failure::unwritable(out, &e))?;
    let images = config.subset.unwrap_or(usize::MAX).min(splits.train.len());
    let of_teacher = config.teacher.as_ref().map_or(0, |t| t.epochs);
    let mut progress = Progress::new(output, ((of_teacher + config.epochs) * images) as u64);
    let trained = train(&arch.graph, splits, config, Some(&out.join(CHECKPOINT)), &mut |event| {
        if let TrainEvent::Teacher(event) = event {
            show(event, "teacher, ", (0, of_teacher), &mut progress);
        } else {
            show(event, "", (of_teacher, config.epochs), &mut progress);
        }
        if interrupt.requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    progress.finish();
    Ok(trained)
}

/// Shows an event of a training that follows `before` other epochs and has `epochs` of its own.
fn show(event: &TrainEvent, who: &str, (before, epochs): (usize, usize), progress: &mut Progress) {
    match event {
        TrainEvent::Batch { epoch, loss, images, epoch_images, time_left } => {
            let done = (before + epoch - 1) * epoch_images + images;
            progress.set(done as u64, Some(*time_left), format_args!("{who}epoch {epoch}, loss {loss:.3}"));
        }
        TrainEvent::Epoch(stats) => progress.line(format_args!(
            "{who}epoch {:2} of {epochs}: loss {:.4}, validation accuracy {}, {:.0} images/s",
            stats.epoch,
            stats.train_loss,
            percent(stats.validation_accuracy, 2),
            stats.images_per_second
        )),
        TrainEvent::Teacher(event) => show(event, who, (before, epochs), progress),
    }
}

/// The folded network, which the weights belong to, as JSON and in notation, and the recipe as it was followed.
fn write_texts(out: &Path, graph: &TypedGraph, recipe: &Recipe) -> Result<(), Failure> {
    export::write(&out.join(BUNDLE_FILE), graph.to_json().as_bytes())?;
    export::write(&out.join("architecture.txt"), format!("{graph}\n").as_bytes())?;
    let text = toml::to_string(recipe).map_err(Failure::unexpected)?;
    export::write(&out.join("recipe.toml"), text.as_bytes())?;
    Ok(())
}

/// The curve of a training as a table and as a plot.
fn write_curve(out: &Path, title: &str, history: &[EpochStats]) -> Result<(), Failure> {
    let point = |e: &EpochStats| CurvePoint {
        epoch: e.epoch,
        train_loss: e.train_loss,
        train_accuracy: e.train_accuracy,
        validation_loss: e.validation_loss,
        validation_accuracy: e.validation_accuracy,
    };
    let view = CurveView { title: title.to_owned(), points: history.iter().map(point).collect() };
    export::write(&out.join("curve.csv"), curve(&view).to_csv().as_bytes())?;
    export::write(&out.join("curve.svg"), svg(Figure::Curve(&view))?.as_bytes())?;
    Ok(())
}
