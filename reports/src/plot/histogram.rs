//! How many networks of a space take how long.

use super::axis::{Axis, Kind, tick_seconds};
use super::scene::{Align, Rect, Scene, Text};
use super::theme;
use crate::format;
use crate::view::HistogramView;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = WIDTH - 44.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = HEIGHT - 66.0;

pub(super) fn scene(view: &HistogramView) -> Scene {
    let title = format!("Predicted latencies of {}", view.label);
    let mut scene = Scene::new(&title, WIDTH, HEIGHT);
    scene.text(Text::new((20.0, 26.0), title).size(theme::TITLE_SIZE).bold());
    let bars: Vec<_> = view.bars.iter().filter(|b| b.low > 0.0 && b.high > b.low && b.high.is_finite()).collect();
    let total: u64 = bars.iter().map(|bar| bar.count).sum();
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
        let centre = (f64::midpoint(LEFT, RIGHT), f64::midpoint(TOP, BOTTOM));
        scene.text(Text::new(centre, "no networks").ink(theme::MUTED).align(Align::Centre));
        return scene;
    };
    let most = bars.iter().map(|bar| bar.count).max().unwrap_or(0).max(1) as f64 / total.max(1) as f64;
    let across = Axis { kind: Kind::Log, low: first.low, high: last.high, start: LEFT, end: RIGHT };
    let up = Axis { kind: Kind::Linear, low: 0.0, high: most * 1.05, start: BOTTOM, end: TOP };
    draw_axes(&mut scene, &across, &up);
    for bar in bars {
        let (left, right) = (across.at(bar.low) + 1.0, across.at(bar.high) - 1.0);
        let top = up.at(bar.count as f64 / total.max(1) as f64);
        scene.rect(Rect { left, right, top, bottom: BOTTOM }, theme::SKY);
    }
    scene
}

fn draw_axes(scene: &mut Scene, across: &Axis, up: &Axis) {
    for tick in up.ticks(5) {
        let y = up.at(tick);
        scene.line([(LEFT, y), (RIGHT, y)], theme::GRID, 1.0);
        scene.text(Text::new((LEFT - 8.0, y), format::percent(tick, 0)).align(Align::Right));
    }
    for tick in across.ticks(8) {
        let x = across.at(tick);
        scene.line([(x, BOTTOM), (x, BOTTOM + 5.0)], theme::INK, 1.0);
        scene.text(Text::new((x, BOTTOM + 18.0), tick_seconds(tick)).align(Align::Centre));
    }
    scene.line([(LEFT, BOTTOM), (RIGHT, BOTTOM)], theme::INK, 1.0);
    let middle = f64::midpoint(LEFT, RIGHT);
    let caption = "predicted latency of one image; bars: share of the networks";
    scene.text(Text::new((middle, BOTTOM + 44.0), caption).size(theme::AXIS_SIZE).align(Align::Centre));
}
