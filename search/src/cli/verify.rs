//! `striae verify`: trained networks on encrypted images, against the clear and against the prediction.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;
use striae_cost_model::{Calibration, CkksParams, Lowerer, Packing, Plan, PlanOptions, Recipe, Security};
use striae_reports::format::percent;
use striae_reports::table::{headline, layers, precision, predictions};
use striae_reports::view::{NetworkView, PredictionView};
use striae_search::run::{load_data, picks_of, record_verification};
use striae_search::verify::{MemoryLimit, Verification, VerifyInput, verify};
use striae_search::view;
use striae_spaces::{TypedGraph, WeightStore};
use striae_train::{Dataset, SeedTree, load};

use super::bundle::Bundle;
use super::calibration::CalibrationArgs;
use super::exit::Exit;
use super::export::load_pick;
use super::failure::{Failure, Outcome};
use super::interrupt::Interrupt;
use super::memory::MemoryArgs;
use super::output::Output;
use super::progress::Progress;
use super::search::{check_line, is_study};
use super::study_files::{StudyArgs, StudyFiles};

/// Share of the training images that is held out; it does not touch the test images.
const VALIDATION: f64 = 0.1;
/// Relative error of a prediction that still counts as good.
const TOLERANCE: f64 = 0.15;

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// A study's TOML file, or a folder that `striae export` wrote
    #[arg(value_name = "STUDY.toml|BUNDLE")]
    target: PathBuf,
    /// The study's store [default: STUDY.striae.sqlite3 beside the TOML file]
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Folder of the data set's files
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Test images to encrypt per network
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    images: u32,
    #[command(flatten)]
    calibration: CalibrationArgs,
    #[command(flatten)]
    memory: MemoryArgs,
}

/// A network to check.
struct Subject {
    label: String,
    /// The study's trial, where the check goes back into the study's store.
    trial: Option<u64>,
    graph: TypedGraph,
    weights: WeightStore,
    params: CkksParams,
    /// How a bundle is lowered; a study's networks are planned anew, in their packing.
    lowering: Lowering,
    accuracy: (Option<f64>, Option<f64>),
}

/// How a network becomes a program.
enum Lowering {
    Recorded(Recipe),
    Planned(Packing),
}

/// Runs `striae verify`.
pub(crate) fn run(args: &VerifyArgs, threads: usize, output: Output) -> Outcome {
    let (subjects, test, study) = if is_study(&args.target) {
        let files = files(args)?;
        files.must_be_runnable()?;
        let (subjects, test) = of_study(&files)?;
        (subjects, test, Some(files))
    } else {
        let (subjects, test) = of_bundle(args)?;
        (subjects, test, None)
    };
    let calibration = args.calibration.load(output)?.calibration.on_threads(threads);
    let interrupt = Interrupt::listen()?;
    let count = (args.images as usize).min(test.len());
    let images: Vec<(Vec<f32>, u8)> = (0..count).map(|i| (test.image(i), test.labels()[i])).collect();
    let limit = args.memory.limit();
    let (mut views, mut all) = (Vec::new(), Vec::new());
    for subject in &subjects {
        if subject.params.security() == Security::Insecure {
            output.warn(format_args!("{}: INSECURE parameters, below 128 bits of security", subject.label));
        }
        let (view, found) = check(subject, &images, &calibration, (threads, limit.as_ref()), &interrupt, output)?;
        output.note(format_args!("{}: {}", subject.label, check_line(&found)));
        if let Some(share) = found.coarse() {
            let (label, share) = (&subject.label, percent(share, 1));
            output.warn(format_args!(
                "{label}: noise may reach {share} of the logits' range and change classes; \
                 fewer levels or a larger ring leave room for a larger scale"
            ));
        }
        // A prediction is for one thread, so only such a check is the study's.
        if let (Some(files), Some(trial), 1) = (&study, subject.trial, threads)
            && found.images == count
        {
            record_verification(&files.open_store()?, files.study.name(), trial, &found)?;
        }
        views.push(view);
        all.push(found);
        if interrupt.requested() {
            break;
        }
    }
    print(&views, &all, output)?;
    if interrupt.requested() {
        return Ok(Exit::Interrupted);
    }
    Ok(if all.iter().all(Verification::passed) { Exit::Success } else { Exit::VerificationFailed })
}

fn files(args: &VerifyArgs) -> Result<StudyFiles, Failure> {
    let (study, store, data_dir) = (args.target.clone(), args.store.clone(), args.data_dir.clone());
    StudyArgs { study, store, data_dir }.open()
}

fn of_study(files: &StudyFiles) -> Result<(Vec<Subject>, Dataset), Failure> {
    let picks = picks_of(&files.open_store()?.load_study(files.study.name())?)?;
    if picks.is_empty() {
        let message = format!("{}: no network of the study is trained to the end yet", files.store.display());
        return Err(Failure::bad_input(message, "finish the study first: `striae search`"));
    }
    let subject = |pick: &striae_search::run::Pick| {
        let (graph, weights) = load_pick(files, pick)?;
        let plan = files.plan_of(pick)?;
        let params = plan.params.parse()?;
        let accuracy = (Some(pick.validation_accuracy), pick.test_accuracy);
        Ok(Subject {
            label: format!("trial {}", pick.trial),
            trial: Some(pick.trial),
            graph,
            weights,
            params,
            lowering: Lowering::Planned(plan.packing),
            accuracy,
        })
    };
    let subjects = picks.iter().map(subject).collect::<Result<_, Failure>>()?;
    Ok((subjects, load_data(&files.study)?.test))
}

fn of_bundle(args: &VerifyArgs) -> Result<(Vec<Subject>, Dataset), Failure> {
    let Bundle { manifest, graph, weights } = Bundle::load(&args.target)?;
    let in_bundle = |e: Failure| e.in_file(&args.target);
    let params = manifest.parameters.parse::<CkksParams>().map_err(|e| in_bundle(e.into()))?;
    manifest.lower(&graph, &params).map_err(|e| in_bundle(e.into()))?;
    let seed = SeedTree::new(manifest.data_seed);
    let splits = load(manifest.dataset, args.data_dir.as_deref(), VALIDATION, &seed)?;
    let test = splits.normalised(manifest.normalisation.scope).test;
    let label = manifest.label();
    let (lowering, accuracy) = (Lowering::Recorded(manifest.lowering), (None, None));
    Ok((vec![Subject { label, trial: None, graph, weights, params, lowering, accuracy }], test))
}

fn check(
    subject: &Subject,
    images: &[(Vec<f32>, u8)],
    calibration: &Calibration,
    (threads, memory): (usize, Option<&MemoryLimit>),
    interrupt: &Interrupt,
    output: Output,
) -> Result<(NetworkView, Verification), Failure> {
    let Subject { label, graph, weights, params, lowering, accuracy, .. } = subject;
    let plan: Plan = match lowering {
        Lowering::Recorded(recipe) => recipe.plan(graph, params, calibration)?,
        Lowering::Planned(packing) => {
            let (params, packing) = (Some(params.clone()), Some(*packing));
            Lowerer::new(calibration).plan(graph, &PlanOptions { params, packing, ..PlanOptions::default() })?
        }
    };
    let mut progress = Progress::new(output, images.len() as u64);
    let started = Instant::now();
    let input = VerifyInput { plan: &plan, graph, weights, images, threads, memory };
    let found = verify(&input, calibration, &mut |done| {
        let left = started.elapsed().mul_f64((images.len() - done) as f64 / done.max(1) as f64);
        progress.set(done as u64, Some(left), format_args!("{label}: {done} of {} images", images.len()));
        if interrupt.requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    progress.finish();
    let mut view = view::network(label, graph, &plan);
    (view.accuracy_validation, view.accuracy_test) = *accuracy;
    view::add_verification(&mut view, &found);
    Ok((view, found))
}

fn print(views: &[NetworkView], found: &[Verification], output: Output) -> Result<(), Failure> {
    if output.json {
        let networks: Vec<_> = views
            .iter()
            .zip(found)
            .map(|(v, f)| json!({ "network": v, "verification": f, "passed": f.passed() }))
            .collect();
        return output.value(&networks);
    }
    for view in views {
        output.table(&layers(view))?;
    }
    let networks = views.iter().filter_map(view::prediction).collect();
    output.table(&predictions(&PredictionView { tolerance: TOLERANCE, networks, ..PredictionView::default() }))?;
    output.table(&precision(views))?;
    output.table(&headline(views))
}
