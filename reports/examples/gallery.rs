//! Draws every figure and page from made-up values into a folder, to look at after changing a layout:
//! `cargo run --release -p striae-reports --example gallery -- /tmp/gallery`.

#[path = "../tests/sample/mod.rs"]
mod sample;

use std::path::PathBuf;

use striae_reports::plot::{Figure, png, svg};
use striae_reports::view::{ParetoView, PredictionView};
use striae_reports::{ReportError, export};

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
    Ok(())
}
