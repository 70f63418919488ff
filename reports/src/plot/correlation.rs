//! How well several quantities rank the same things: a dot and an interval for each.

use super::axis::{Axis, Kind};
use super::font;
use super::marker::{Marker, draw};
use super::scene::{Align, Scene, Text};
use super::theme;
use crate::format;
use crate::view::CorrelationView;

const WIDTH: f64 = 860.0;
const ROW: f64 = 34.0;
const TOP: f64 = 62.0;
const BELOW: f64 = 70.0;
/// Room for the numbers beside the dots.
const NUMBERS: f64 = 64.0;
/// Widest that names may be.
const NAMES: f64 = 260.0;

pub(super) fn scene(view: &CorrelationView) -> Scene {
    let bars: Vec<_> = view.bars.iter().filter(|bar| (-1.0..=1.0).contains(&bar.value)).collect();
    let bottom = TOP + ROW * bars.len().max(2) as f64;
    let mut scene = Scene::new(&view.title, WIDTH, bottom + BELOW);
    let title = font::fit(&view.title, theme::TITLE_SIZE, true, WIDTH - 40.0);
    scene.text(Text::new((20.0, 26.0), title).size(theme::TITLE_SIZE).bold());
    let names = bars.iter().map(|bar| font::fit(&bar.label, theme::TEXT_SIZE, false, NAMES)).collect::<Vec<_>>();
    let widest = names.iter().map(|name| font::width(name, theme::TEXT_SIZE, false)).fold(0.0, f64::max);
    let (left, right) = (20.0 + widest + 16.0, WIDTH - NUMBERS - 20.0);
    let lows = bars.iter().map(|bar| bar.interval.map_or(bar.value, |i| i.low));
    let low = lows.fold(0.0, f64::min).max(-1.0);
    // A little room, so that dots at the ends stay whole.
    let across = Axis { kind: Kind::Linear, low: low - 0.03, high: 1.03, start: left, end: right };
    for tick in across.ticks(8) {
        let x = across.at(tick);
        scene.line([(x, TOP - 8.0), (x, bottom)], theme::GRID, 1.0);
        scene.text(Text::new((x, bottom + 15.0), format::number(tick, 1)).align(Align::Centre));
    }
    let zero = across.at(0.0);
    scene.line([(zero, TOP - 8.0), (zero, bottom)], theme::MUTED, 1.25);
    for (i, (bar, name)) in bars.iter().zip(names).enumerate() {
        let y = TOP + ROW * (i as f64 + 0.5);
        scene.text(Text::new((20.0, y), name));
        if let Some(interval) = bar.interval.filter(|i| i.low.is_finite() && i.high.is_finite()) {
            let ends = [interval.low, interval.high].map(|v| across.at(v.clamp(-1.0, 1.0)));
            scene.line([(ends[0], y), (ends[1], y)], theme::BLUE, 2.0);
            for end in ends {
                scene.line([(end, y - 5.0), (end, y + 5.0)], theme::BLUE, 2.0);
            }
        }
        draw(&mut scene, Marker::Disc, (across.at(bar.value), y), 5.5, theme::BLUE);
        scene.text(Text::new((WIDTH - 20.0, y), format::number(bar.value, 2)).align(Align::Right));
    }
    let middle = f64::midpoint(left, right);
    if bars.is_empty() {
        scene.text(
            Text::new((middle, TOP + ROW), "nothing has been measured yet").ink(theme::MUTED).align(Align::Centre),
        );
    }
    let axis = font::fit(&view.axis, theme::AXIS_SIZE, false, right - left);
    scene.text(Text::new((middle, bottom + 44.0), axis).size(theme::AXIS_SIZE).align(Align::Centre));
    scene
}
