//! The bundled font: text is measured and drawn without asking the system for one.

use std::sync::OnceLock;

use plotters::style::{FontStyle, IntoFont, register_font};

use crate::error::ReportError;

/// The family that figures ask for. In a browser it is the reader's own sans-serif font; everywhere else it is the bundled DejaVu Sans,
/// whose wide letters leave room for whatever a browser picks.
pub(super) const FAMILY: &str = "sans-serif";

static REGULAR: &[u8] = include_bytes!("../../assets/DejaVuSans-subset.ttf");
static BOLD: &[u8] = include_bytes!("../../assets/DejaVuSans-Bold-subset.ttf");

/// Makes the bundled font known to plotters; cheap after the first call.
pub(super) fn register() -> Result<(), ReportError> {
    static DONE: OnceLock<Result<(), &'static str>> = OnceLock::new();
    DONE.get_or_init(|| {
        register_font(FAMILY, FontStyle::Normal, REGULAR).map_err(|_| "DejaVuSans-subset.ttf")?;
        register_font(FAMILY, FontStyle::Bold, BOLD).map_err(|_| "DejaVuSans-Bold-subset.ttf")
    })
    .map_err(|name| ReportError::Font { name })
}

/// The text, cut to what fits into `room` logical pixels.
pub(super) fn fit(text: &str, size: f64, bold: bool, room: f64) -> String {
    let length = text.chars().count();
    let wide = width(text, size, bold);
    if wide <= room {
        return text.to_owned();
    }
    // Letters differ in width: begin with a fair guess and shorten until it fits.
    let guess = (length as f64 * room / wide).max(1.0) as usize;
    let cut = |count: usize| crate::format::ellipsis(text, count);
    (1..=guess).rev().map(cut).find(|text| width(text, size, bold) <= room).unwrap_or_default()
}

/// Width of a text in logical pixels.
pub(super) fn width(text: &str, size: f64, bold: bool) -> f64 {
    // The font engine rounds to whole pixels: measure large, then scale down.
    const MAGNIFY: f64 = 8.0;
    let style = if bold { FontStyle::Bold } else { FontStyle::Normal };
    let font = (FAMILY, size * MAGNIFY, style).into_font();
    // The font is registered before any scene is laid out; a guess keeps the layout going if it were not.
    font.box_size(text).map_or(text.chars().count() as f64 * size * 0.6, |(wide, _)| f64::from(wide) / MAGNIFY)
}
