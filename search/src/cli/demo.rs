//! `striae demo`: the whole main job on generated digits, in minutes and without a download.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use striae_search::StopReason;

use super::calibration::CalibrationArgs;
use super::exit::Exit;
use super::failure::Outcome;
use super::output::Output;
use super::search::{Searched, print, search, verdict};
use super::study_files::StudyArgs;
use super::{calibrate, report};

/// The study that the demo runs.
const STUDY: &str = include_str!("../../../examples/demo.toml");

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Folder of the study, its store and its report; a demo that was stopped goes on in it
    #[arg(long, value_name = "DIR", default_value = "striae-demo")]
    out: PathBuf,
    #[command(flatten)]
    calibration: CalibrationArgs,
}

/// Runs `striae demo`.
pub(crate) fn run(args: &DemoArgs, threads: usize, output: Output) -> Outcome {
    let file = args.out.join("demo.toml");
    if !file.exists() {
        striae_reports::export::write(&file, STUDY.as_bytes())?;
    }
    let files = StudyArgs { study: file, store: None, data_dir: None }.open()?;
    let chosen = if args.calibration.is_given() {
        args.calibration.load(output)?
    } else {
        calibrate::quick_at(&args.out.join("calibration.toml"), output)?
    };
    let Searched { view, stopped } = search(&files, &chosen.calibration, None, threads, output)?;
    let page = report::write(&view, &files.folder.join("report"))?;
    if output.json {
        output.value(&json!({ "page": page, "study": view }))?;
    } else {
        print(&view, output)?;
        output.line(format_args!("report: {}", page.display()))?;
    }
    if stopped == Some(StopReason::Interrupted) {
        output.note("stopped; the same command goes on");
        return Ok(Exit::Interrupted);
    }
    Ok(verdict(&view))
}
