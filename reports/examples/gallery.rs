//! Draws every figure and page from made-up values into a folder, to look at after changing a layout:
//! `cargo run --release -p striae-reports --example gallery -- DIR`.

#[path = "../tests/sample/mod.rs"]
mod sample;

use std::path::PathBuf;

use striae_reports::plot::{Figure, png, svg};
use striae_reports::view::{ParetoView, PredictionView, StudyView};
use striae_reports::{ReportError, export, html, table};

fn main() -> Result<(), ReportError> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "gallery".to_owned()));
    let (pareto, prediction, network) = (sample::pareto(), sample::prediction(), sample::network("#12"));
    let (no_points, no_runs) = (ParetoView::default(), PredictionView::default());
    let figures = [
        ("pareto", Figure::Pareto(&pareto)),
        ("prediction", Figure::Prediction(&prediction)),
        ("breakdown", Figure::Breakdown(&network)),
        ("pareto-empty", Figure::Pareto(&no_points)),
        ("prediction-empty", Figure::Prediction(&no_runs)),
    ];
    for (name, figure) in figures {
        export::write(&folder.join(format!("{name}.svg")), svg(figure)?.as_bytes())?;
        export::write(&folder.join(format!("{name}.png")), &png(figure)?)?;
    }
    let mut study = sample::study();
    export::write(&folder.join("study.html"), html::study(&study)?.as_bytes())?;
    if let Some(parameters) = &mut study.networks[0].parameters {
        (parameters.insecure, parameters.security_bits) = (true, 97.0);
    }
    export::write(&folder.join("insecure.html"), html::study(&study)?.as_bytes())?;
    export::write(&folder.join("hybrid.html"), html::study(&sample::hybrid_study())?.as_bytes())?;
    export::write(&folder.join("empty.html"), html::study(&StudyView::default())?.as_bytes())?;
    export::write(&folder.join("model_card.md"), export::model_card(&sample::bundle())?.as_bytes())?;
    let tables = [
        table::headline(&study.networks),
        table::layers(&study.networks[0]),
        table::summary(&study.networks[0]),
        table::compare(&study.networks[0], &study.networks[1]),
        table::predictions(&study.prediction),
        table::trials(&study.trials[10..20]),
    ];
    let text: Vec<String> = tables.iter().map(|t| t.to_text(Some(160)) + "\n\n" + &t.to_csv()).collect();
    export::write(&folder.join("tables.txt"), text.join("\n\n").as_bytes())
}
