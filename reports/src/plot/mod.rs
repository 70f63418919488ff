//! Pareto front, predicted against measured, cost per layer, latencies of a space, rank correlations, what pruning has left,
//! the course of a training.
//!
//! A figure is first laid out as a scene of a few kinds of shapes in logical pixels, and that scene is painted by plotters: once onto
//! its SVG backend, once onto its bitmap backend. So both pictures come from the same drawing code, text is measured with the same
//! bundled font, and layout can be tested without looking at pixels.
//!
//! Every series differs in shape as well as in colour, and the colours (Okabe and Ito 2008) stay apart for colour-blind readers.

mod axis;
mod breakdown;
mod correlation;
mod curve;
mod font;
mod histogram;
mod labels;
mod legend;
mod marker;
mod paint;
mod pareto;
mod pattern;
mod prediction;
mod scene;
mod theme;

use crate::error::ReportError;
use crate::view::{CorrelationView, CurveView, HistogramView, NetworkView, ParetoView, PatternView, PredictionView};

/// Something that can be drawn: one of the views.
#[derive(Debug, Clone, Copy)]
pub enum Figure<'a> {
    /// Accuracy against latency.
    Pareto(&'a ParetoView),
    /// Predicted against measured latency, per network and, if there are any, per layer.
    Prediction(&'a PredictionView),
    /// Time per layer by kind of operation.
    Breakdown(&'a NetworkView),
    /// Latencies of the networks of a space.
    Histogram(&'a HistogramView),
    /// The course of a training.
    Curve(&'a CurveView),
    /// How well several quantities rank the same things.
    Correlation(&'a CorrelationView),
    /// Diagonals that pruning has left.
    Pattern(&'a PatternView),
}

impl Figure<'_> {
    fn scene(self) -> Result<scene::Scene, ReportError> {
        font::register()?;
        Ok(match self {
            Self::Pareto(view) => pareto::scene(view),
            Self::Prediction(view) => prediction::scene(view),
            Self::Breakdown(view) => breakdown::scene(view),
            Self::Histogram(view) => histogram::scene(view),
            Self::Curve(view) => curve::scene(view),
            Self::Correlation(view) => correlation::scene(view),
            Self::Pattern(view) => pattern::scene(view),
        })
    }
}

/// Draws a figure as a stand-alone SVG document.
///
/// ```
/// use striae_reports::plot::{Figure, svg};
/// let picture = svg(Figure::Pareto(&Default::default()))?;
/// assert!(picture.starts_with("<svg"));
/// # Ok::<(), striae_reports::ReportError>(())
/// ```
pub fn svg(figure: Figure<'_>) -> Result<String, ReportError> {
    paint::svg(&figure.scene()?)
}

/// Draws a figure as a PNG at twice its logical size, for sharp screens and print.
pub fn png(figure: Figure<'_>) -> Result<Vec<u8>, ReportError> {
    paint::png(&figure.scene()?)
}

#[cfg(test)]
mod tests;
