//! Axes: ranges that suit the data, round ticks, and the way from values to pixels.

use std::ops::RangeInclusive;

use super::scene::{Align, Rect, Scene, Text};
use super::{font, theme};

/// Durations that an axis can show: from a picosecond to some thirty thousand years. Anything else is a mistake upstream.
pub(super) const SHOWABLE: RangeInclusive<f64> = 1e-12..=1e12;

/// More ticks than this are never of use.
const MOST_TICKS: usize = 40;

/// Linear or logarithmic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Linear,
    Log,
}

/// Maps values from `low` to `high` to pixels from `start` to `end`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub(super) kind: Kind,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) start: f64,
    pub(super) end: f64,
}

impl Axis {
    /// Position of a value; beyond the ends for values outside the range.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = match self.kind {
            Kind::Linear => (value - self.low) / (self.high - self.low),
            Kind::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        self.start + share * (self.end - self.start)
    }

    /// Round values within the range, about `wanted` of them.
    pub(super) fn ticks(&self, wanted: usize) -> Vec<f64> {
        match self.kind {
            Kind::Linear => linear_ticks(self.low, self.high, wanted),
            Kind::Log => log_ticks(self.low, self.high, wanted),
        }
    }
}

/// A padded logarithmic range around the showable values, at least a factor 2 wide; 1 ms to 1 s if there are none.
pub(super) fn log_range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let Some((low, high)) = extremes(values.filter(|v| SHOWABLE.contains(v))) else {
        return (1e-3, 1.0);
    };
    // Padding of 8 % of the width on each side, measured in decades.
    let pad = (high / low).powf(0.08).max(std::f64::consts::SQRT_2 / (high / low).sqrt()).max(1.02);
    (low / pad, high * pad)
}

/// A padded linear range, never narrower than `least`.
pub(super) fn linear_range(values: impl Iterator<Item = f64>, least: f64) -> Option<(f64, f64)> {
    let (low, high) = extremes(values)?;
    let pad = (0.08 * (high - low)).max((least - (high - low)) / 2.0);
    Some((low - pad, high + pad))
}

fn extremes(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .filter(|v| v.is_finite())
        .fold(None, |range, v| Some(range.map_or((v, v), |(low, high): (f64, f64)| (low.min(v), high.max(v)))))
}

fn linear_ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let step = round_step((high - low) / wanted.max(1) as f64);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).take(MOST_TICKS).map(|k| k as f64 * step).collect()
}

/// The round number 1, 2 or 5 times a power of ten that is about `raw`.
fn round_step(raw: f64) -> f64 {
    let power = 10_f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|m| m * power).find(|step| *step >= raw * 0.7).unwrap_or(10.0 * power)
}

fn log_ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let first = low.log10().floor() as i32;
    let last = high.log10().ceil() as i32;
    let mantissas: [&[f64]; 3] = [&[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];
    for choice in mantissas {
        let ticks: Vec<f64> = (first..=last)
            .flat_map(|decade| choice.iter().map(move |m| m * 10_f64.powi(decade)))
            .filter(|tick| (low..=high).contains(tick))
            .collect();
        if ticks.len() <= wanted {
            // Within less than a decade, evenly spaced values read better than two lonely powers.
            return if ticks.len() < 3 { linear_ticks(low, high, wanted.min(5)) } else { ticks };
        }
    }
    let stride = ((last - first) as usize).div_ceil(wanted.max(1)).max(1);
    (first..=last)
        .step_by(stride)
        .map(|decade| 10_f64.powi(decade))
        .filter(|tick| (low..=high).contains(tick))
        .collect()
}

/// The frame of a plot: its two axes and the box they span.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) area: Rect,
    pub(super) x: Axis,
    pub(super) y: Axis,
}

/// Names of the axes and how to write their ticks.
pub(super) struct Names {
    pub(super) x: String,
    pub(super) y: String,
    pub(super) x_tick: fn(f64) -> String,
    pub(super) y_tick: fn(f64) -> String,
}

impl Frame {
    /// Draws grid, ticks and axis names.
    pub(super) fn draw(&self, scene: &mut Scene, names: &Names) {
        let Rect { left, top, right, bottom } = self.area;
        for tick in self.x.ticks((self.area.width() / 70.0) as usize) {
            let x = self.x.at(tick);
            scene.line([(x, top), (x, bottom)], theme::GRID, 1.0);
            scene.text(Text::new((x, bottom + 15.0), (names.x_tick)(tick)).align(Align::Centre));
        }
        let mut widest = 0.0_f64;
        for tick in self.y.ticks((self.area.height() / 60.0) as usize) {
            let y = self.y.at(tick);
            scene.line([(left, y), (right, y)], theme::GRID, 1.0);
            let text = Text::new((left - 8.0, y), (names.y_tick)(tick)).align(Align::Right);
            widest = widest.max(text.bounds().width());
            scene.text(text);
        }
        scene.line([(left, top), (left, bottom), (right, bottom)], theme::INK, 1.0);
        let middle = f64::midpoint(left, right);
        scene.text(
            Text::new((middle, bottom + 40.0), font::fit(&names.x, theme::AXIS_SIZE, false, right - left))
                .size(theme::AXIS_SIZE)
                .align(Align::Centre),
        );
        let middle = f64::midpoint(top, bottom);
        scene.text(
            Text::new((left - widest - 26.0, middle), font::fit(&names.y, theme::AXIS_SIZE, false, bottom - top))
                .size(theme::AXIS_SIZE)
                .align(Align::Centre)
                .upright(),
        );
    }
}

/// Writes a round size in MiB.
pub(super) fn tick_mebibytes(value: f64) -> String {
    format!("{} MiB", (value * 1e6).round() / 1e6)
}

/// Writes a round duration: trailing zeros carry nothing on an axis.
pub(super) fn tick_seconds(value: f64) -> String {
    let text = crate::format::seconds(value);
    match text.split_once(' ') {
        Some((digits, unit)) if digits.contains('.') => {
            format!("{} {unit}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}
