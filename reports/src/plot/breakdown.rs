//! Where the time of a network goes: one stacked bar per layer.

use plotters::style::RGBColor;

use super::axis::{Axis, Kind, SHOWABLE, tick_seconds};
use super::font;
use super::legend::{self, Entry};
use super::scene::{Align, Rect, Scene, Text};
use super::theme;
use crate::format;
use crate::view::{CostParts, LayerView, NetworkView, Seconds};

const WIDTH: f64 = 960.0;
const RIGHT: f64 = WIDTH - 150.0;
const ROW: f64 = 25.0;
const BAR: f64 = 16.0;

/// A kind of operation: its name, its colour, and its part of a layer's time.
type Part = (&'static str, RGBColor, fn(&CostParts) -> Seconds);

const PARTS: [Part; 8] = [
    ("rotations", theme::VERMILLION, |p| p.rotations),
    ("plaintext multiplications", theme::SKY, |p| p.multiplications),
    ("squares, relinearisation", theme::GREEN, |p| p.squares),
    ("rescaling", theme::PURPLE, |p| p.rescale),
    ("other", theme::GREY, |p| p.other),
    ("server", theme::BLUE, |p| p.server),
    ("client", theme::GREEN, |p| p.client),
    ("network", theme::ORANGE, |p| p.network),
];

pub(super) fn scene(view: &NetworkView) -> Scene {
    let title =
        if view.label.is_empty() { "Cost per layer".to_owned() } else { format!("Cost per layer: {}", view.label) };
    let labels: Vec<String> = view.layers.iter().map(label).collect();
    let widest = labels.iter().map(|l| font::width(l, theme::TEXT_SIZE, false)).fold(60.0, f64::max);
    let left = widest + 28.0;
    let mut scene = Scene::new(&title, WIDTH, 0.0);
    let top = legend::draw(&mut scene, &title, &entries(view), 20.0, WIDTH - 20.0);
    let rows = view.layers.len().max(1) as f64;
    let bottom = top + rows * ROW + 6.0;
    scene.height = bottom + 62.0;
    let axis = Axis { kind: Kind::Linear, low: 0.0, high: longest(view), start: left, end: RIGHT };
    draw_axis(&mut scene, &axis, top, bottom);
    for (row, (layer, label)) in view.layers.iter().zip(labels).enumerate() {
        let middle = top + 3.0 + (row as f64 + 0.5) * ROW;
        scene.text(Text::new((left - 10.0, middle), label).align(Align::Right));
        draw_bar(&mut scene, &axis, layer, middle);
    }
    if view.layers.is_empty() {
        let centre = (f64::midpoint(left, RIGHT), f64::midpoint(top, bottom));
        scene.text(Text::new(centre, "no layers").ink(theme::MUTED).align(Align::Centre));
    }
    scene
}

fn label(layer: &LayerView) -> String {
    let text = if layer.description.is_empty() {
        layer.name.clone()
    } else {
        format!("{}  {}", layer.name, layer.description)
    };
    font::fit(&text, theme::TEXT_SIZE, false, 330.0)
}

/// A showable duration, or 0: no bar is drawn for anything else.
fn sane(value: Seconds) -> Seconds {
    if SHOWABLE.contains(&value) { value } else { 0.0 }
}

fn longest(view: &NetworkView) -> Seconds {
    let most = view
        .layers
        .iter()
        .map(|l| {
            sane(l.predicted)
                .max(sane(l.measured.unwrap_or(0.0)))
                .max(PARTS.iter().map(|(_, _, part)| sane(part(&l.parts))).sum())
        })
        .fold(0.0, f64::max);
    if most > 0.0 { most * 1.02 } else { 1e-3 }
}

fn draw_axis(scene: &mut Scene, axis: &Axis, top: f64, bottom: f64) {
    for tick in axis.ticks(6) {
        let x = axis.at(tick);
        scene.line([(x, top), (x, bottom)], theme::GRID, 1.0);
        scene.text(Text::new((x, bottom + 14.0), tick_seconds(tick)).align(Align::Centre));
    }
    scene.line([(axis.start, top), (axis.start, bottom)], theme::INK, 1.0);
    let middle = f64::midpoint(axis.start, axis.end);
    scene.text(
        Text::new((middle, bottom + 40.0), "predicted time per image").size(theme::AXIS_SIZE).align(Align::Centre),
    );
}

fn draw_bar(scene: &mut Scene, axis: &Axis, layer: &LayerView, middle: f64) {
    let mut done = 0.0;
    for (_, colour, part) in PARTS {
        let time = sane(part(&layer.parts));
        if time > 0.0 {
            let (left, right) = (axis.at(done), axis.at(done + time));
            scene.rect(Rect { left, right, top: middle - BAR / 2.0, bottom: middle + BAR / 2.0 }, colour);
            done += time;
        }
    }
    let mut end = done;
    if let Some(measured) = layer.measured.filter(|m| SHOWABLE.contains(m)) {
        draw_tick(scene, axis.at(measured), middle);
        end = end.max(measured);
    }
    let text = format!("{}  {}", format::seconds(layer.predicted), format::percent(layer.share, 1));
    let text = Text::new((axis.at(end) + 9.0, middle), text).ink(theme::MUTED);
    // Grid lines stop at the text.
    scene.rect(text.bounds(), theme::PAPER);
    scene.text(text);
}

fn draw_tick(scene: &mut Scene, x: f64, middle: f64) {
    let half = BAR / 2.0 + 3.0;
    scene.rect(Rect { left: x - 2.0, right: x + 2.0, top: middle - half, bottom: middle + half }, theme::PAPER);
    scene.rect(Rect { left: x - 1.25, right: x + 1.25, top: middle - half, bottom: middle + half }, theme::INK);
}

fn entries(view: &NetworkView) -> Vec<Entry> {
    let used = |part: fn(&CostParts) -> Seconds| view.layers.iter().any(|l| sane(part(&l.parts)) > 0.0);
    let mut entries: Vec<Entry> = PARTS
        .into_iter()
        .filter(|(_, _, part)| used(*part))
        .map(|(name, colour, _)| {
            Entry::new(name, move |scene, at| {
                scene.rect(Rect { left: at.0 - 11.0, right: at.0 + 11.0, ..Rect::around(at, 6.0) }, colour);
            })
        })
        .collect();
    if view.layers.iter().any(|l| l.measured.is_some()) {
        entries.push(Entry::new("measured", |scene, (x, y)| draw_tick(scene, x, y)));
    }
    entries
}
