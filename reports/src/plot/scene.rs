//! A picture before it is painted: shapes in logical pixels, (0, 0) at the top left.

use plotters::style::RGBColor;

use super::{font, theme};

/// A position in logical pixels.
pub(super) type At = (f64, f64);

/// An axis-parallel box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Rect {
    pub(super) fn around((x, y): At, radius: f64) -> Self {
        Self { left: x - radius, top: y - radius, right: x + radius, bottom: y + radius }
    }

    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        self.left <= other.left && self.top <= other.top && other.right <= self.right && other.bottom <= self.bottom
    }
}

/// Colour and opacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ink {
    pub(super) colour: RGBColor,
    pub(super) alpha: f64,
}

impl From<RGBColor> for Ink {
    fn from(colour: RGBColor) -> Self {
        Self { colour, alpha: 1.0 }
    }
}

/// The same colour, partly transparent.
pub(super) fn faint(colour: RGBColor, alpha: f64) -> Ink {
    Ink { colour, alpha }
}

/// Which point of a text its position names, horizontally; vertically it is always the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

/// A line of text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) at: At,
    pub(super) words: String,
    pub(super) size: f64,
    pub(super) ink: Ink,
    pub(super) bold: bool,
    pub(super) align: Align,
    /// Read from bottom to top.
    pub(super) upright: bool,
}

impl Text {
    pub(super) fn new(at: At, text: impl Into<String>) -> Self {
        Self {
            at,
            words: text.into(),
            size: theme::TEXT_SIZE,
            ink: theme::INK.into(),
            bold: false,
            align: Align::Left,
            upright: false,
        }
    }

    pub(super) fn size(self, size: f64) -> Self {
        Self { size, ..self }
    }

    pub(super) fn ink(self, ink: impl Into<Ink>) -> Self {
        Self { ink: ink.into(), ..self }
    }

    pub(super) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) fn align(self, align: Align) -> Self {
        Self { align, ..self }
    }

    pub(super) fn upright(self) -> Self {
        Self { upright: true, ..self }
    }

    /// The box the text fills.
    pub(super) fn bounds(&self) -> Rect {
        let wide = font::width(&self.words, self.size, self.bold);
        let start = match self.align {
            Align::Left => 0.0,
            Align::Centre => -wide / 2.0,
            Align::Right => -wide,
        };
        let half = self.size / 2.0;
        let (x, y) = self.at;
        if self.upright {
            Rect { left: x - half, right: x + half, top: y - start - wide, bottom: y - start }
        } else {
            Rect { left: x + start, right: x + start + wide, top: y - half, bottom: y + half }
        }
    }
}

/// What a scene is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Line { points: Vec<At>, ink: Ink, width: f64 },
    Polygon { points: Vec<At>, ink: Ink },
    Circle { centre: At, radius: f64, ink: Ink },
    Ring { centre: At, radius: f64, ink: Ink, width: f64 },
    Text(Text),
}

/// A picture of a given size.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    /// What a screen reader says.
    pub(super) title: String,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) shapes: Vec<Shape>,
}

impl Scene {
    pub(super) fn new(title: &str, width: f64, height: f64) -> Self {
        Self { title: title.to_owned(), width, height, shapes: Vec::new() }
    }

    pub(super) fn line(&mut self, points: impl Into<Vec<At>>, ink: impl Into<Ink>, width: f64) {
        self.shapes.push(Shape::Line { points: points.into(), ink: ink.into(), width });
    }

    /// A line of dashes `on` long and `off` apart; the pattern goes on around corners.
    pub(super) fn dashed(&mut self, points: &[At], ink: impl Into<Ink>, width: f64, (on, off): (f64, f64)) {
        let ink = ink.into();
        let mut phase = 0.0;
        for pair in points.windows(2) {
            let (dx, dy) = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
            let length = dx.hypot(dy);
            if !length.is_finite() {
                return;
            }
            let mut done = 0.0;
            while done < length {
                let drawing = phase < on;
                let step = (if drawing { on - phase } else { on + off - phase }).min(length - done);
                if drawing {
                    let along = |t: f64| (pair[0].0 + dx * t / length, pair[0].1 + dy * t / length);
                    self.line([along(done), along(done + step)], ink, width);
                }
                done += step;
                phase += step;
                if phase >= on + off - 1e-9 {
                    phase = 0.0;
                }
            }
        }
    }

    pub(super) fn polygon(&mut self, points: impl Into<Vec<At>>, ink: impl Into<Ink>) {
        self.shapes.push(Shape::Polygon { points: points.into(), ink: ink.into() });
    }

    pub(super) fn rect(&mut self, r: Rect, ink: impl Into<Ink>) {
        self.polygon([(r.left, r.top), (r.right, r.top), (r.right, r.bottom), (r.left, r.bottom)], ink);
    }

    pub(super) fn circle(&mut self, centre: At, radius: f64, ink: impl Into<Ink>) {
        self.shapes.push(Shape::Circle { centre, radius, ink: ink.into() });
    }

    pub(super) fn ring(&mut self, centre: At, radius: f64, ink: impl Into<Ink>, width: f64) {
        self.shapes.push(Shape::Ring { centre, radius, ink: ink.into(), width });
    }

    pub(super) fn text(&mut self, text: Text) {
        if !text.words.is_empty() {
            self.shapes.push(Shape::Text(text));
        }
    }
}
