//! Colours and sizes of all figures. `templates/study.html` maps the neutral colours to its dark theme by their hexadecimal names.

use plotters::style::RGBColor;

/// Background.
pub(super) const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
/// Text and frames.
pub(super) const INK: RGBColor = RGBColor(0x24, 0x29, 0x2F);
/// Secondary text.
pub(super) const MUTED: RGBColor = RGBColor(0x65, 0x6D, 0x76);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(0xE4, 0xE8, 0xEC);
/// Shaded areas behind data.
pub(super) const BAND: RGBColor = RGBColor(0xEE, 0xF1, 0xF4);

// Okabe and Ito's palette, <https://jfly.uni-koeln.de/color/>.
pub(super) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xB2);
pub(super) const ORANGE: RGBColor = RGBColor(0xE6, 0x9F, 0x00);
pub(super) const GREEN: RGBColor = RGBColor(0x00, 0x9E, 0x73);
pub(super) const VERMILLION: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
pub(super) const SKY: RGBColor = RGBColor(0x56, 0xB4, 0xE9);
pub(super) const PURPLE: RGBColor = RGBColor(0xCC, 0x79, 0xA7);
pub(super) const GREY: RGBColor = RGBColor(0x99, 0x99, 0x99);

/// Height of a figure's title.
pub(super) const TITLE_SIZE: f64 = 19.0;
/// Height of axis names.
pub(super) const AXIS_SIZE: f64 = 15.0;
/// Height of tick labels, legends and point labels.
pub(super) const TEXT_SIZE: f64 = 14.0;
/// Height of notes below the figure.
pub(super) const NOTE_SIZE: f64 = 12.5;
