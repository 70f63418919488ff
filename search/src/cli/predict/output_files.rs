//! Tables, plots and provenance of a report.

use std::path::Path;

use serde_json::json;
use striae_reports::export;
use striae_reports::format::{MISSING, number, percent};
use striae_reports::plot::{Figure, png, svg};
use striae_reports::table::{Side, Table, Value};
use striae_reports::view::{LayerPrediction, NetworkPrediction, PredictionView};
use striae_search::prediction::{Accuracy, NetworkRow, Run};
use striae_search::view;

use super::super::calibration::Chosen;
use super::super::failure::Failure;

/// Writes everything but the rows themselves; each file appears whole.
pub(super) fn write(
    folder: &Path,
    rows: &[NetworkRow],
    chosen: &Chosen,
    hash: &str,
    threads: usize,
) -> Result<(), Failure> {
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "date": jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        "machine": view::machine(threads),
        "calibration": { "source": chosen.as_source(), "hash": hash },
        "networks": rows.len(),
        "accuracy": groups(rows).into_iter().collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&report).map_err(Failure::unexpected)? + "\n";
    export::write(&folder.join("report.json"), text.as_bytes())?;
    export::write(&folder.join("summary.txt"), summary(rows).to_text(None).as_bytes())?;
    export::write(&folder.join("networks.csv"), networks(rows).to_csv().as_bytes())?;
    export::write(&folder.join("layers.csv"), layers(rows).to_csv().as_bytes())?;
    for threads in thread_counts(rows) {
        let view = prediction(rows, threads);
        let figure = Figure::Prediction(&view);
        export::write(&folder.join(format!("threads-{threads}.svg")), svg(figure)?.as_bytes())?;
        export::write(&folder.join(format!("threads-{threads}.png")), &png(figure)?)?;
    }
    Ok(())
}

fn thread_counts(rows: &[NetworkRow]) -> Vec<usize> {
    let mut counts: Vec<usize> = rows.iter().flat_map(|row| row.runs.iter().map(|run| run.threads)).collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// Accuracy of all runs, by number of threads, by ring degree and by family.
fn groups(rows: &[NetworkRow]) -> Vec<(String, Accuracy)> {
    let mut groups = vec![("all".to_owned(), Accuracy::of(rows, |_, _| true))];
    for threads in thread_counts(rows) {
        groups.push((format!("threads: {threads}"), Accuracy::of(rows, |_, run| run.threads == threads)));
    }
    let mut degrees: Vec<u32> = rows.iter().map(|row| row.log_n).collect();
    degrees.sort_unstable();
    degrees.dedup();
    for log_n in degrees {
        groups.push((format!("N = 2^{log_n}"), Accuracy::of(rows, |row, _| row.log_n == log_n)));
    }
    let mut families: Vec<&str> = rows.iter().map(|row| row.subject.family.as_str()).collect();
    families.sort_unstable();
    families.dedup();
    for family in families {
        groups.push((family.to_owned(), Accuracy::of(rows, |row, _| row.subject.family == family)));
    }
    groups
}

/// How good the predictions are.
pub(super) fn summary(rows: &[NetworkRow]) -> Table {
    let headings = [
        "runs",
        "error",
        "bias",
        "Spearman",
        "in interval",
        "of medians",
        "disturbed",
        "layers",
        "layer error",
        "memory error",
    ];
    let columns = [("networks", Side::Left)].into_iter().chain(headings.map(|h| (h, Side::Right)));
    let mut table = Table::new(columns);
    for (name, a) in groups(rows) {
        let share = |value: f64| if value.is_finite() { percent(value, 1) } else { MISSING.to_owned() };
        let cells = [
            name,
            a.networks.to_string(),
            share(a.network_error),
            share(a.network_bias),
            number(a.spearman, 4),
            share(a.coverage),
            share(a.median_error),
            share(a.disturbance),
            a.layers.to_string(),
            share(a.layer_error),
            share(a.memory_error),
        ];
        table.push(cells.map(Value::from));
    }
    table
}

fn runs(rows: &[NetworkRow]) -> impl Iterator<Item = (&NetworkRow, &Run)> {
    rows.iter().flat_map(|row| row.runs.iter().map(move |run| (row, run)))
}

/// One line for each network and number of threads; seconds and bytes.
fn networks(rows: &[NetworkRow]) -> Table {
    let left = ["network", "family", "notation", "parameters"].map(|h| (h, Side::Left));
    let headings = [
        "levels",
        "threads",
        "predicted",
        "low",
        "high",
        "undisturbed",
        "p10",
        "median",
        "p90",
        "predicted bytes",
        "peak bytes",
    ];
    let mut table = Table::new(left.into_iter().chain(headings.map(|h| (h, Side::Right))));
    for (row, run) in runs(rows) {
        let subject = &row.subject;
        let mut cells: Vec<Value> =
            [&subject.label, &subject.family, &subject.notation, &subject.params].map(|t| t.clone().into()).into();
        cells.extend([row.levels.to_string(), run.threads.to_string()].map(Value::from));
        let times = [run.predicted, run.interval[0], run.interval[1], run.undisturbed()];
        cells.extend(
            times
                .into_iter()
                .chain([run.measured.p10, run.measured.median, run.measured.p90])
                .map(|t| significant(t).into()),
        );
        cells.push(row.predicted_bytes.to_string().into());
        cells.push(row.peak_bytes.map_or_else(String::new, |bytes| bytes.to_string()).into());
        table.push(cells);
    }
    table
}

/// One line for each step; seconds.
fn layers(rows: &[NetworkRow]) -> Table {
    let right = ["threads", "step", "level", "predicted", "measured p10", "median"].map(|h| (h, Side::Right));
    let mut table = Table::new([("network", Side::Left), ("layer", Side::Left)].into_iter().chain(right));
    for (row, run) in runs(rows) {
        for (i, step) in run.steps.iter().enumerate() {
            let names = [row.subject.label.clone(), step.name.clone()];
            let places = [run.threads, i + 1, step.level].map(|n| n.to_string());
            let times = [step.predicted, step.measured.p10, step.measured.median].map(significant);
            table.push(names.into_iter().chain(places).chain(times).map(Value::from));
        }
    }
    table
}

/// Seconds with four digits.
fn significant(seconds: f64) -> String {
    format!("{seconds:.3e}")
}

/// The runs on some threads, without labels: they are too many. The band is as wide as the intervals.
fn prediction(rows: &[NetworkRow], threads: usize) -> PredictionView {
    let of_threads: Vec<(&NetworkRow, &Run)> = runs(rows).filter(|(_, run)| run.threads == threads).collect();
    let half_width = |run: &Run| (run.interval[1] - run.interval[0]) / (2.0 * run.predicted);
    let tolerance = of_threads.iter().map(|(_, run)| half_width(run)).sum::<f64>() / of_threads.len().max(1) as f64;
    let networks = of_threads.into_iter().map(|(_, run)| NetworkPrediction {
        label: String::new(),
        predicted: run.predicted,
        interval: None,
        measured: run.undisturbed(),
        layers: (run.steps.iter())
            .map(|s| LayerPrediction { name: s.name.clone(), predicted: s.predicted, measured: s.measured.p10 })
            .collect(),
    });
    let title = format!("Predicted against measured, {threads} thread{}", if threads == 1 { "" } else { "s" });
    PredictionView { title, tolerance, networks: networks.collect() }
}
