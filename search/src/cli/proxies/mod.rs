//! `striae proxies`: how far scores without training, and short trainings, rank the networks of a space as longer training
//! does.

mod output_files;
mod rows;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Args;
use serde_json::json;
use striae_search::Seed;
use striae_search::proxies::{Fidelity, correlations};
use striae_spaces::TypedGraph;
use striae_train::{DatasetName, SeedTree, Splits, load};

use super::exit::Exit;
use super::failure::{Failure, Outcome};
use super::interrupt::Interrupt;
use super::output::Output;
use super::progress::Progress;
use super::space;

use rows::Rows;

/// Share of the training images that is held out for validation.
const VALIDATION: f64 = 0.1;

#[derive(Args, Debug)]
pub(crate) struct ProxiesArgs {
    /// Built-in space, or TOML file of a space
    space: String,
    /// Data set: glyphs, mnist, fashion-mnist or cifar10
    #[arg(long, default_value = "glyphs")]
    dataset: String,
    /// Folder of the data set's files; else STRIAE_DATA
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Folder for data, tables and plots; a run that was stopped goes on where it was
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Networks to draw
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(3..=10_000))]
    networks: u32,
    /// Images that scores without training look at
    #[arg(long, value_name = "IMAGES", default_value_t = 64)]
    batch: usize,
    /// Epochs of each short training
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_values_t = [1, 2, 4])]
    short_epochs: Vec<usize>,
    /// Training images of the short trainings
    #[arg(long, value_name = "IMAGES", default_value_t = 2000)]
    short_images: usize,
    /// Epochs of the training that the others are compared with
    #[arg(long, value_name = "N", default_value_t = 8)]
    full_epochs: usize,
    /// Training images of the training that the others are compared with
    #[arg(long, value_name = "IMAGES", default_value_t = 6000)]
    full_images: usize,
    /// Validation images that all trainings are judged by
    #[arg(long, value_name = "IMAGES", default_value_t = 5000)]
    validation_images: usize,
    /// Root of all random choices
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Runs `striae proxies`, with as many networks at once as there are threads.
pub(crate) fn run(args: &ProxiesArgs, threads: usize, output: Output) -> Outcome {
    let dataset: DatasetName = args.dataset.parse()?;
    let fidelity = Fidelity {
        space: args.space.clone(),
        dataset: args.dataset.clone(),
        seed: args.seed,
        batch: args.batch,
        short_images: args.short_images,
        short_epochs: args.short_epochs.clone(),
        full_images: args.full_images,
        full_epochs: args.full_epochs,
        validation_images: args.validation_images,
    };
    let space = space::load(&args.space)?;
    let networks = fidelity.networks(&space, args.networks as usize)?;
    let splits = load(dataset, args.data_dir.as_deref(), VALIDATION, &SeedTree::new(args.seed).child("data"))?;
    let interrupt = Interrupt::listen()?;
    let rows = Rows::open(&args.out, &fidelity)?;
    let rows = measure_all(&fidelity, &networks, &splits, rows, threads, &interrupt, output)?;
    let found = rows.of(&networks);
    if found.len() >= 3 {
        let ranked = correlations(&found, Seed(args.seed).named("bootstrap"));
        output_files::write(&args.out, &fidelity, &found, &ranked)?;
        if output.json {
            output.value(&json!({ "folder": args.out, "networks": found.len(), "proxies": ranked }))?;
        } else {
            output.table(&output_files::summary(&ranked))?;
        }
    }
    output.note(format_args!("{} of {} networks, in {}", found.len(), networks.len(), args.out.display()));
    Ok(if interrupt.requested() { Exit::Interrupted } else { Exit::Success })
}

/// Measures the networks that have no row yet, each on one thread.
fn measure_all(
    fidelity: &Fidelity,
    networks: &[TypedGraph],
    splits: &Splits,
    rows: Rows,
    threads: usize,
    interrupt: &Interrupt,
    output: Output,
) -> Result<Rows, Failure> {
    let waiting: Vec<&TypedGraph> = networks.iter().filter(|network| !rows.has(network)).collect();
    let before = networks.len() - waiting.len();
    let shared = Mutex::new((rows, Progress::new(output, networks.len() as u64), 0u32));
    let (next, started) = (AtomicUsize::new(0), Instant::now());
    let work = || -> Result<(), Failure> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(Failure::unexpected)?;
        while let Some(network) = waiting.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some(row) = pool.install(|| fidelity.measure(network, splits, &|| interrupt.requested()))? else {
                return Ok(());
            };
            let mut shared = shared.lock().map_err(Failure::unexpected)?;
            let (rows, progress, done) = &mut *shared;
            *done += 1;
            let left = started.elapsed() / *done * (waiting.len() as u32 - *done);
            let what = format!("{} of {} networks", before + *done as usize, networks.len());
            progress.set((before + *done as usize) as u64, Some(left), what);
            rows.push(row)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().map_err(|_| Failure::unexpected("a training thread panicked"))??;
        }
        Ok::<(), Failure>(())
    })?;
    Ok(shared.into_inner().map_err(Failure::unexpected)?.0)
}
