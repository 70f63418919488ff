//! `striae export`: a trained network, of a study or of `striae train`, as a folder that says all there is to know to run it.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use striae_cost_model::{Calibration, CkksParams, Lowerer, Plan, PlanOptions, Security};
use striae_reports::export::{create_folder, model_card, write};
use striae_reports::view::{BundleView, FileView};
use striae_search::bundle::{FORMAT, Manifest};
use striae_search::headroom;
use striae_search::run::{Pick, load_data, picks_of};
use striae_search::summary::PlanSummary;
use striae_search::view;
use striae_spaces::{NotationError, TypedGraph, WeightStore};
use striae_train::{CLAMP, DatasetName, Normalisation, NormalisationScope, Splits, fold};

use super::arch::{BUNDLE_FILE, must_be_new};
use super::bundle::{MANIFEST, WEIGHTS};
use super::calibration::CalibrationArgs;
use super::exit::Exit;
use super::failure::{Failure, Outcome};
use super::finished::read_run;
use super::output::Output;
use super::study_files::{StudyArgs, StudyFiles};

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// A study's TOML file, or the folder that `striae train` wrote
    #[arg(value_name = "STUDY.toml|RUN")]
    what: PathBuf,
    /// The study's trial; one of those that were trained to the end
    #[arg(long, value_name = "ID")]
    trial: Option<u64>,
    /// The study's store [default: STUDY.striae.sqlite3 beside the TOML file]
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Folder of the data set's files, in place of the study's `data_dir`; else STRIAE_DATA
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Folder to write; must not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    calibration: CalibrationArgs,
}

/// What goes into a bundle.
pub(crate) struct Contents {
    manifest: Manifest,
    graph: TypedGraph,
    weights: WeightStore,
    plan: Plan,
    summary: PlanSummary,
    card: BundleView,
}

/// Runs `striae export`.
pub(crate) fn run(args: &ExportArgs, output: Output) -> Outcome {
    let out = must_be_new(args.out.clone())?;
    let chosen = args.calibration.load(output)?;
    let mut lowerer = Lowerer::new(&chosen.calibration);
    let contents = if args.what.is_dir() { of_run(args, &mut lowerer)? } else { of_study(args, &mut lowerer)? };
    create_folder(&out, |folder| fill(folder, &contents))?;
    if output.json {
        output.value(&json!({ "bundle": out, "manifest": contents.manifest, "plan": contents.summary }))?;
    } else {
        output.line(format_args!("bundle: {}", out.display()))?;
        output.note(format_args!("run it encrypted with `striae verify {}`", out.display()));
    }
    Ok(Exit::Success)
}

/// A network that `striae train` trained, lowered as `striae cost` lowers it.
fn of_run(args: &ExportArgs, lowerer: &mut Lowerer<'_>) -> Result<Contents, Failure> {
    if let Some((option, _)) =
        [("--trial", args.trial.is_some()), ("--store", args.store.is_some())].iter().find(|(_, given)| *given)
    {
        let message = format!("{option}: {} is a folder, which holds one network", args.what.display());
        return Err(Failure::bad_input(message, "leave the option out, or give a study's TOML file"));
    }
    let run = read_run(&args.what, args.data_dir.as_deref())?;
    let (graph, weights) = fold(&run.graph, &run.weights)?;
    let plan = lowerer.plan(&graph, &PlanOptions::default())?;
    headroom::check(&plan.params, &plan.program, (&graph, &weights), &run.ranges)?;
    let origin = Origin {
        study: &run.label,
        trial: None,
        trained_arch_id: run.graph.arch_id().to_string(),
        dataset: run.dataset,
        data_seed: run.training.seed,
        seed: run.training.seed,
        accuracy: (run.accuracy.0, Some(run.accuracy.1)),
    };
    Ok(contents(&origin, (graph, weights), plan, &run.splits, lowerer.calibration()))
}

fn of_study(args: &ExportArgs, lowerer: &mut Lowerer<'_>) -> Result<Contents, Failure> {
    let ExportArgs { what, store, data_dir, .. } = args;
    let study = StudyArgs { study: what.clone(), store: store.clone(), data_dir: data_dir.clone() };
    let files = study.open()?;
    files.must_be_runnable()?;
    let store = files.open_store()?;
    let picks = picks_of(&store.load_study(files.study.name())?)?;
    gather(&files, pick(&picks, args.trial, &files)?, lowerer)
}

fn pick<'p>(picks: &'p [Pick], trial: Option<u64>, files: &StudyFiles) -> Result<&'p Pick, Failure> {
    picks.iter().find(|p| Some(p.trial) == trial).ok_or_else(|| {
        let known: Vec<String> = picks.iter().map(|p| p.trial.to_string()).collect();
        let what = trial.map_or_else(|| "not given".to_owned(), |id| format!("{id} was not trained to the end"));
        let message = format!("{}: trial: {what}", files.store.display());
        let hint = match known.as_slice() {
            [] => "finish the study first: `striae search`".to_owned(),
            known => format!("give --trial one of {}; verify.top says how many the study trains", known.join(", ")),
        };
        Failure::bad_input(message, hint)
    })
}

fn gather(files: &StudyFiles, pick: &Pick, lowerer: &mut Lowerer<'_>) -> Result<Contents, Failure> {
    let study = &files.study;
    let (graph, weights) = load_pick(files, pick)?;
    let summary = files.plan_of(pick)?;
    let params: CkksParams = summary.params.parse()?;
    let packing = Some(summary.packing);
    let options = PlanOptions { params: Some(params), packing, ..PlanOptions::default() };
    let plan = lowerer.plan(&graph, &options)?;
    headroom::check(&plan.params, &plan.program, (&graph, &weights), &pick.ranges)?;
    let splits = load_data(study)?;
    let origin = Origin {
        study: study.name(),
        trial: Some(pick.trial),
        trained_arch_id: pick.arch_id.clone(),
        dataset: study.dataset().parse()?,
        data_seed: study.seed().named("data").0,
        seed: study.seed().0,
        accuracy: (pick.validation_accuracy, pick.test_accuracy),
    };
    let mut contents = contents(&origin, (graph, weights), plan, &splits, lowerer.calibration());
    if let Some(found) = &pick.verification {
        view::add_verification(&mut contents.card.network, found);
        contents.card.machine = view::machine(found.threads);
    }
    Ok(contents)
}

/// Where a network comes from.
pub(crate) struct Origin<'a> {
    /// Study, or what stands for it.
    pub(crate) study: &'a str,
    /// Trial of the study.
    pub(crate) trial: Option<u64>,
    /// Id of the network as it was trained.
    pub(crate) trained_arch_id: String,
    pub(crate) dataset: DatasetName,
    /// Seed of generated data; those of a study's networks are the study's, others' are drawn anew.
    pub(crate) data_seed: u64,
    /// Seed of the training.
    pub(crate) seed: u64,
    /// On validation and test images.
    pub(crate) accuracy: (f64, Option<f64>),
}

/// The bundle of a folded network.
pub(crate) fn contents(
    origin: &Origin<'_>,
    (graph, weights): (TypedGraph, WeightStore),
    plan: Plan,
    splits: &Splits,
    calibration: &Calibration,
) -> Contents {
    let normalisation = splits.test.normalisation().clone();
    let created = format!("{:.0}", jiff::Timestamp::now());
    let manifest = Manifest {
        format: FORMAT,
        study: origin.study.to_owned(),
        trial: origin.trial,
        trained_arch_id: origin.trained_arch_id.clone(),
        dataset: origin.dataset,
        data_seed: origin.data_seed,
        normalisation: normalisation.clone(),
        parameters: plan.params.to_string(),
        insecure: plan.params.security() == Security::Insecure,
        lowering: plan.recipe(),
        calibration: calibration_name(calibration),
        program: Manifest::fingerprint(&plan.program),
        created: created.clone(),
    };
    let mut network = view::network(&manifest.label(), &graph, &plan);
    network.accuracy_validation = Some(origin.accuracy.0);
    network.accuracy_test = origin.accuracy.1;
    let card = BundleView {
        network,
        study: origin.study.to_owned(),
        trial: origin.trial,
        dataset: origin.dataset.to_string(),
        preprocessing: preprocessing(&normalisation),
        input_shape: graph.input_shape().to_string().replace('x', " x "),
        classes: (0..splits.test.classes()).map(|class| class.to_string()).collect(),
        seed: origin.seed,
        created,
        machine: view::machine(1),
        versions: view::versions(),
        files: Vec::new(),
    };
    let summary = PlanSummary::new(&plan, calibration.provenance.generic);
    Contents { manifest, graph, weights, plan, summary, card }
}

/// A pick's folded network and weights.
pub(crate) fn load_pick(files: &StudyFiles, pick: &Pick) -> Result<(TypedGraph, WeightStore), Failure> {
    let trained: TypedGraph =
        pick.network.parse().map_err(|e: NotationError| Failure::from(e).in_file(&files.store))?;
    let path = pick.folder(&files.folder).join(Pick::WEIGHTS);
    let weights = WeightStore::load(&path)?;
    weights.check(&trained).map_err(|e| Failure::from(e).in_file(&path))?;
    fold(&trained, &weights).map_err(|e| Failure::from(e).in_file(&path))
}

fn calibration_name(calibration: &Calibration) -> String {
    let p = &calibration.provenance;
    format!("{}, {}, {}", p.cpu, p.simd, p.date)
}

fn preprocessing(n: &Normalisation) -> String {
    let list = |v: &[f32]| v.iter().map(|x| format!("{x:.6}")).collect::<Vec<_>>().join(", ");
    let per_image = match n.scope {
        NormalisationScope::PerChannel => String::new(),
        NormalisationScope::PerImage => format!(
            "; then (value - m) / max(s, 1 / sqrt(n)), m and s the mean and standard deviation of the image's n values, \
             clamped to -{CLAMP}..{CLAMP}"
        ),
    };
    format!("(pixel / 255 - mean) / std per channel, mean {}, std {}{per_image}", list(&n.mean), list(&n.std))
}

/// Writes the files of a bundle.
pub(crate) fn fill(folder: &Path, contents: &Contents) -> Result<(), Failure> {
    let json = |value: &serde_json::Value| serde_json::to_string_pretty(value).map_err(Failure::unexpected);
    let Contents { manifest, graph, weights, plan, summary, card } = contents;
    write(&folder.join(BUNDLE_FILE), graph.to_json().as_bytes())?;
    write(&folder.join("architecture.txt"), format!("{graph}\n").as_bytes())?;
    weights.save(&folder.join(WEIGHTS))?;
    write(&folder.join("parameters.json"), json(&json!(plan.params))?.as_bytes())?;
    let keys: Vec<u32> = plan.program.keys().rotations.iter().map(|(rotation, _)| *rotation).collect();
    let plan = json!({ "summary": summary, "rotation_keys": keys, "layers": card.network.layers });
    write(&folder.join("plan.json"), json(&plan)?.as_bytes())?;
    write(&folder.join(MANIFEST), json(&json!(manifest))?.as_bytes())?;
    let card = BundleView { files: list(folder)?, ..card.clone() };
    write(&folder.join("MODEL_CARD.md"), model_card(&card)?.as_bytes())?;
    Ok(())
}

/// The files so far, with their hashes.
fn list(folder: &Path) -> Result<Vec<FileView>, Failure> {
    const PURPOSES: [(&str, &str); 6] = [
        (BUNDLE_FILE, "the network, batch norms folded"),
        ("architecture.txt", "the same in notation"),
        (WEIGHTS, "its weights"),
        ("parameters.json", "encryption parameters: bits of each prime"),
        ("plan.json", "operations, levels, rotation keys, predicted and measured times"),
        (MANIFEST, "where it comes from, how inputs are normalised, how the network is lowered"),
    ];
    let file = |(name, purpose): (&str, &str)| {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).map_err(|e| Failure::unreadable(&path, &e))?;
        Ok(FileView {
            name: name.to_owned(),
            purpose: purpose.to_owned(),
            bytes: bytes.len() as u64,
            hash: blake3::hash(&bytes).to_hex().to_string(),
        })
    };
    PURPOSES.into_iter().map(file).collect()
}
