//! `striae report`: plots, tables and the HTML page of a study.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use striae_cost_model::Lowerer;
use striae_reports::plot::{Figure, png, svg};
use striae_reports::view::StudyView;
use striae_reports::{export, html, table};
use striae_search::view;

use super::calibration::CalibrationArgs;
use super::exit::Exit;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::search::print_caveat;
use super::study_files::StudyArgs;

/// Name of the page.
const PAGE: &str = "report.html";

#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    study: StudyArgs,
    /// Folder to write [default: STUDY.striae/report]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    calibration: CalibrationArgs,
}

/// Runs `striae report`.
pub(crate) fn run(args: &ReportArgs, output: Output) -> Outcome {
    let files = args.study.open()?;
    let store = files.open_store()?;
    let chosen = args.calibration.load(output)?;
    let view = view::study(&files.study, &store, &mut Lowerer::new(&chosen.calibration))?;
    let folder = args.out.clone().unwrap_or_else(|| files.folder.join("report"));
    let page = write(&view, &folder)?;
    if output.json {
        output.value(&json!({ "page": page, "study": view }))?;
    } else {
        output.table(&table::headline(&view.networks))?;
        print_caveat(&view, output)?;
        output.line(format_args!("report: {}", page.display()))?;
    }
    Ok(Exit::Success)
}

/// Writes page, figures and tables; each file appears whole. Gives the page's path.
pub(crate) fn write(view: &StudyView, folder: &Path) -> Result<PathBuf, Failure> {
    let mut figures = vec![("pareto", Figure::Pareto(&view.pareto))];
    if !view.estimated_only {
        figures.push(("prediction", Figure::Prediction(&view.prediction)));
    }
    let breakdowns: Vec<(String, Figure<'_>)> = view
        .networks
        .iter()
        .map(|network| (format!("layers-{}", network.arch_id), Figure::Breakdown(network)))
        .collect();
    let named = figures.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).chain(breakdowns);
    for (name, figure) in named {
        export::write(&folder.join(format!("{name}.svg")), svg(figure)?.as_bytes())?;
        export::write(&folder.join(format!("{name}.png")), &png(figure)?)?;
    }
    export::write(&folder.join("trials.csv"), table::trials(&view.trials).to_csv().as_bytes())?;
    export::write(&folder.join("networks.csv"), table::headline(&view.networks).to_csv().as_bytes())?;
    let page = folder.join(PAGE);
    export::write(&page, html::study(view)?.as_bytes())?;
    Ok(page)
}
