//! `striae train`: one network on one data set.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;
use striae_reports::export;
use striae_reports::format::percent;
use striae_spaces::{ArchId, TypedGraph};
use striae_train::{
    ActivationRange, Augment, DatasetName, EpochStats, Evaluation, SeedTree, Splits, TrainConfig, TrainEvent, Trained,
    evaluate, fold, load, train,
};

use super::arch::{Arch, BUNDLE_FILE};
use super::exit::Exit;
use super::failure::{Failure, Outcome};
use super::interrupt::Interrupt;
use super::output::Output;
use super::progress::Progress;

/// Share of the training images that is held out for validation.
const VALIDATION: f64 = 0.1;
/// Images per pass when the test set is read.
const TEST_BATCH: usize = 128;
const CHECKPOINT: &str = "checkpoint.json";
const METRICS: &str = "metrics.json";
const WEIGHTS: &str = "weights.safetensors";

#[derive(Args, Debug)]
pub(crate) struct TrainArgs {
    /// Network: a name of the zoo, the notation, or a .json or .txt file
    arch: String,
    /// Data set: glyphs, mnist, fashion-mnist or cifar10
    #[arg(long, default_value = "glyphs")]
    dataset: String,
    /// Folder of the data set's files; else STRIAE_DATA
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Passes over the training images
    #[arg(long, default_value_t = 5)]
    epochs: usize,
    /// Peak learning rate
    #[arg(long, default_value_t = 0.05)]
    lr: f64,
    /// Images per step
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// How images are varied
    #[arg(long, value_enum, default_value_t = AugmentArg::None)]
    augment: AugmentArg,
    /// Train on the first so many images only
    #[arg(long, value_name = "IMAGES")]
    subset: Option<usize>,
    /// Root of all random choices
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to train: cpu, cuda:0 (an NVIDIA GPU), or auto
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    device: String,
    /// Folder to write: folded network, weights, metrics, checkpoint
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
    /// Shifted by up to four pixels and mirrored half of the time
    CropFlip,
}

impl From<AugmentArg> for Augment {
    fn from(arg: AugmentArg) -> Self {
        match arg {
            AugmentArg::None => Self::None,
            AugmentArg::Shift => Self::Shift,
            AugmentArg::CropFlip => Self::CropFlip,
        }
    }
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
    let arch = Arch::resolve(&args.arch)?;
    let dataset: DatasetName = args.dataset.parse()?;
    let config = TrainConfig {
        epochs: args.epochs,
        batch: args.batch,
        lr: args.lr,
        augment: args.augment.into(),
        subset: args.subset,
        seed: args.seed,
        device: args.device.parse()?,
        ..TrainConfig::default()
    };
    let checkpoint = args.out.join(CHECKPOINT);
    check_folder(args, &checkpoint)?;
    let splits = load(dataset, args.data_dir.as_deref(), VALIDATION, &SeedTree::new(args.seed).child("data"))?;
    let interrupt = Interrupt::listen()?;
    // A run that is refused must leave no folder behind, so the folder waits for the first step.
    let created = args.out.exists();
    let trained = learn(&arch, &splits, &config, &args.out, &interrupt, output);
    if trained.is_err() && !created {
        // Only an empty folder goes.
        let _ = std::fs::remove_dir(&args.out);
    }
    let trained = trained?;
    if trained.stopped {
        output.note(format_args!("stopped; go on with --resume --out {}", args.out.display()));
        return Ok(Exit::Interrupted);
    }
    let (graph, weights) = fold(&arch.graph, &trained.weights)?;
    // The test set is read here, once, when nothing is left to decide.
    let test = evaluate(&arch.graph, &trained.weights, &splits.test, TEST_BATCH)?;
    weights.save(&args.out.join(WEIGHTS))?;
    write_texts(&args.out, &graph)?;
    let metrics = Metrics {
        format: 1,
        network: arch.graph.to_string(),
        arch_id: arch.graph.arch_id(),
        dataset,
        config: &config,
        history: &trained.history,
        validation_accuracy: trained.validation_accuracy(),
        test: &test,
        ranges: &trained.ranges,
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
        output.line(format_args!("written: {}", args.out.display()))?;
    }
    Ok(Exit::Success)
}

/// Whether `--out` and `--resume` agree.
fn check_folder(args: &TrainArgs, checkpoint: &Path) -> Result<(), Failure> {
    if args.out.exists() && !args.out.is_dir() {
        return Err(Failure::bad_input(format!("{}: is not a folder", args.out.display()), "give --out a folder"));
    }
    match (args.resume, checkpoint.exists()) {
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
    let mut progress = Progress::new(output, (config.epochs * images) as u64);
    let trained = train(&arch.graph, splits, config, Some(&out.join(CHECKPOINT)), &mut |event| {
        match event {
            TrainEvent::Batch { epoch, loss, images, epoch_images, time_left } => {
                let done = (epoch - 1) * epoch_images + images;
                progress.set(done as u64, Some(*time_left), format_args!("epoch {epoch}, loss {loss:.3}"));
            }
            TrainEvent::Epoch(stats) => progress.line(format_args!(
                "epoch {:2} of {}: loss {:.4}, validation accuracy {}, {:.0} images/s",
                stats.epoch,
                config.epochs,
                stats.train_loss,
                percent(stats.validation_accuracy, 2),
                stats.images_per_second
            )),
        }
        if interrupt.requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    progress.finish();
    Ok(trained)
}

/// The folded network, which the weights belong to, as JSON and in notation.
fn write_texts(out: &Path, graph: &TypedGraph) -> Result<(), Failure> {
    export::write(&out.join(BUNDLE_FILE), graph.to_json().as_bytes())?;
    export::write(&out.join("architecture.txt"), format!("{graph}\n").as_bytes())?;
    Ok(())
}
