//! `striae predict`: what an estimate is worth. Networks that no fit has seen run encrypted with random weights, and what they
//! took is set against what was predicted, network by network and step by step.

mod child;
mod generate;
mod output_files;
mod rows;
mod subjects;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;
use striae_cost_model::Calibration;
use striae_search::prediction::{Accuracy, NetworkRow, Subject};

use super::calibration::CalibrationArgs;
use super::exit::Exit;
use super::failure::{Failure, Outcome};
use super::interrupt::Interrupt;
use super::output::Output;
use super::progress::Progress;

use rows::Rows;

#[derive(Args, Debug)]
pub(crate) struct PredictArgs {
    /// Folder for data, tables and plots; a run that was stopped goes on where it was
    #[arg(long, value_name = "DIR", required_unless_present = "one")]
    out: Option<PathBuf>,
    /// Networks to run
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
    networks: u32,
    /// Draws other networks; the zoo is part of those of seed 0 alone
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Leave out networks predicted to take longer per image, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    longest: f64,
    /// Stop after this many seconds; the same command goes on later
    #[arg(long, value_name = "SECONDS")]
    budget: Option<u64>,
    #[command(flatten)]
    calibration: CalibrationArgs,
    /// Run this network in this process and print its row; what is started for each
    #[arg(long, value_name = "JSON", hide = true)]
    one: Option<String>,
}

/// Runs `striae predict`.
pub(crate) fn run(args: &PredictArgs, threads: usize, output: Output) -> Outcome {
    let interrupt = Interrupt::listen()?;
    if let Some(subject) = &args.one {
        let chosen = args.calibration.load(Output { quiet: true, ..output })?;
        let subject: Subject = serde_json::from_str(subject).map_err(Failure::unexpected)?;
        output.value(&child::measure(&subject, &chosen.calibration, threads)?)?;
        return Ok(Exit::Success);
    }
    let folder = args.out.clone().unwrap_or_default();
    let chosen = args.calibration.load(output)?;
    let hash = hash(&chosen.calibration)?;
    let subjects = subjects::choose(args.networks as usize, args.seed, args.longest, &chosen.calibration);
    let mut rows = Rows::open(&folder.join("networks.jsonl"), &hash)?;
    let complete = measure_all(args, &subjects, &mut rows, threads, &interrupt, output)?;
    let found = rows.of(&subjects);
    output_files::write(&folder, &found, &chosen, &hash, threads)?;
    if output.json {
        let accuracy = Accuracy::of(&found, |_, _| true);
        output
            .value(&json!({ "folder": folder, "networks": found.len(), "complete": complete, "accuracy": accuracy }))?;
    } else {
        output.table(&output_files::summary(&found))?;
        output.line(format_args!("{} of {} networks, in {}", found.len(), subjects.len(), folder.display()))?;
    }
    Ok(if interrupt.requested() { Exit::Interrupted } else { Exit::Success })
}

/// Hash of a calibration as it is written.
fn hash(calibration: &Calibration) -> Result<String, Failure> {
    let text = calibration.to_toml().map_err(Failure::unexpected)?;
    Ok(blake3::hash(text.as_bytes()).to_hex()[..16].to_owned())
}

/// Runs the networks that have no row yet, each in a process of its own. Gives whether all have one now.
fn measure_all(
    args: &PredictArgs,
    subjects: &[Subject],
    rows: &mut Rows,
    threads: usize,
    interrupt: &Interrupt,
    output: Output,
) -> Result<bool, Failure> {
    let mut progress = Progress::new(output, subjects.len() as u64);
    let started = Instant::now();
    let mut run = 0u32;
    for (done, subject) in subjects.iter().enumerate() {
        if rows.has(subject) {
            continue;
        }
        let late = args.budget.is_some_and(|budget| started.elapsed().as_secs() >= budget);
        if interrupt.requested() || late {
            return Ok(false);
        }
        let left = (run > 0).then(|| started.elapsed() / run * (subjects.len() - done) as u32);
        progress.set(done as u64, left, &subject.label);
        match child::spawn(subject, &args.calibration, threads)? {
            Ok(row) => rows.push(row)?,
            // A Ctrl-C reaches the child too, which then has no result.
            Err(_) if interrupt.requested() => return Ok(false),
            Err(reason) => output.warn(format_args!("{}: {reason}", subject.label)),
        }
        run += 1;
    }
    Ok(subjects.iter().all(|subject| rows.has(subject)))
}
