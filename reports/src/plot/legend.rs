//! Title and legend, in rows above the plot where they cover nothing.

use super::font;
use super::scene::{At, Scene, Text};
use super::theme;

/// Draws the sample of an entry, centred at the given place.
type Sample = Box<dyn Fn(&mut Scene, At)>;

/// One legend entry.
pub(super) struct Entry {
    label: String,
    sample: Sample,
}

impl Entry {
    pub(super) fn new(label: impl Into<String>, sample: impl Fn(&mut Scene, At) + 'static) -> Self {
        Self { label: label.into(), sample: Box::new(sample) }
    }
}

const SAMPLE_WIDTH: f64 = 28.0;
const ROW_HEIGHT: f64 = 22.0;

/// Draws the title and the entries from the left edge on, wrapping at `right`; returns where the plot may begin.
pub(super) fn draw(scene: &mut Scene, title: &str, entries: &[Entry], left: f64, right: f64) -> f64 {
    let mut y = 12.0;
    if !title.is_empty() {
        y += 14.0;
        let title = font::fit(title, theme::TITLE_SIZE, true, right - left);
        scene.text(Text::new((left, y), title).size(theme::TITLE_SIZE).bold());
        y += 10.0;
    }
    if entries.is_empty() {
        return y + 12.0;
    }
    y += ROW_HEIGHT / 2.0 + 4.0;
    let mut x = left;
    for entry in entries {
        let wide = SAMPLE_WIDTH + 6.0 + font::width(&entry.label, theme::TEXT_SIZE, false);
        if x > left && x + wide > right {
            x = left;
            y += ROW_HEIGHT;
        }
        (entry.sample)(scene, (x + SAMPLE_WIDTH / 2.0, y));
        scene.text(Text::new((x + SAMPLE_WIDTH + 6.0, y), entry.label.clone()));
        x += wide + 20.0;
    }
    y + ROW_HEIGHT / 2.0 + 10.0
}
