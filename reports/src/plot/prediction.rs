//! Predicted against measured latency, per network and per layer.

use super::axis::{Axis, Frame, Kind, Names, SHOWABLE, log_range, tick_seconds};
use super::labels::Placer;
use super::legend::{self, Entry};
use super::marker::{Marker, draw, draw_rimmed};
use super::scene::{Align, At, Rect, Scene, Text, faint};
use super::theme;
use crate::format;
use crate::view::{Interval, PredictionView};

const PANEL: f64 = 420.0;
const LEFT: f64 = 96.0;
const GAP: f64 = 108.0;
const RIGHT_MARGIN: f64 = 28.0;
const BELOW: f64 = 84.0;

/// A dot: predicted, measured, and where the measurement was expected.
struct Dot<'a> {
    label: &'a str,
    predicted: f64,
    measured: f64,
    interval: Option<Interval>,
}

impl Dot<'_> {
    fn is_drawable(&self) -> bool {
        [self.predicted, self.measured].iter().all(|v| SHOWABLE.contains(v))
    }

    fn error(&self) -> f64 {
        self.predicted / self.measured - 1.0
    }
}

pub(super) fn scene(view: &PredictionView) -> Scene {
    let networks: Vec<Dot<'_>> = view
        .networks
        .iter()
        .map(|n| Dot { label: &n.label, predicted: n.predicted, measured: n.measured, interval: n.interval })
        .filter(Dot::is_drawable)
        .collect();
    let layers: Vec<Dot<'_>> = view
        .networks
        .iter()
        .flat_map(|n| &n.layers)
        .map(|l| Dot { label: "", predicted: l.predicted, measured: l.measured, interval: None })
        .filter(Dot::is_drawable)
        .collect();
    let panels = if layers.is_empty() { 1.0 } else { 2.0 };
    let width = LEFT + panels * PANEL + (panels - 1.0) * GAP + RIGHT_MARGIN;
    let title = if view.title.is_empty() { "Predicted against measured latency" } else { &view.title };
    let mut scene = Scene::new(title, width, 0.0);
    let top = legend::draw(&mut scene, &view.title, &entries(view.tolerance), LEFT, width - RIGHT_MARGIN) + 18.0;
    scene.height = top + PANEL + BELOW;
    panel(&mut scene, "networks", &networks, view.tolerance, (LEFT, top));
    if !layers.is_empty() {
        panel(&mut scene, "layers", &layers, view.tolerance, (LEFT + PANEL + GAP, top));
    }
    scene
}

fn panel(scene: &mut Scene, name: &str, dots: &[Dot<'_>], tolerance: f64, (left, top): At) {
    let area = Rect { left, top, right: left + PANEL, bottom: top + PANEL };
    let ends = dots.iter().flat_map(|d| {
        let interval = d.interval.map_or([d.predicted, d.predicted], |i| [i.low, i.high]);
        [d.predicted, d.measured, interval[0], interval[1]]
    });
    let (low, high) = log_range(ends);
    let x = Axis { kind: Kind::Log, low, high, start: area.left, end: area.right };
    let y = Axis { kind: Kind::Log, low, high, start: area.bottom, end: area.top };
    let frame = Frame { area, x, y };
    draw_band(scene, &frame, tolerance);
    frame.draw(
        scene,
        &Names {
            x: "predicted, log scale".to_owned(),
            y: "measured, log scale".to_owned(),
            x_tick: tick_seconds,
            y_tick: tick_seconds,
        },
    );
    scene.line([(area.left, area.bottom), (area.right, area.top)], theme::MUTED, 1.25);
    scene.text(Text::new((area.left, area.top - 14.0), summary(name, dots, tolerance)));
    draw_dots(scene, &frame, dots, tolerance);
    if dots.is_empty() {
        let centre = (f64::midpoint(area.left, area.right), f64::midpoint(area.top, area.bottom) + 40.0);
        let text = Text::new(centre, "nothing has been measured yet").ink(theme::MUTED).align(Align::Centre);
        scene.rect(text.bounds(), theme::PAPER);
        scene.text(text);
    }
}

/// The area where predicted / measured stays within the tolerance: between measured = predicted / (1 + t) and predicted / (1 - t).
fn draw_band(scene: &mut Scene, frame: &Frame, tolerance: f64) {
    if !(0.0..1.0).contains(&tolerance) {
        return;
    }
    let shift = |factor: f64| frame.y.at(frame.y.low) - frame.y.at(frame.y.low * factor);
    let (up, down) = (shift(1.0 / (1.0 - tolerance)), -shift(1.0 / (1.0 + tolerance)));
    let Rect { left, top, right, bottom } = frame.area;
    // Both edges have slope 1, so the band cuts the square's sides at the distances `up` and `down` from its corners.
    let (up, down) = (up.min(right - left), down.min(right - left));
    scene.polygon(
        [
            (left, bottom),
            (left, bottom - up),
            (right - up, top),
            (right, top),
            (right, top + down),
            (left + down, bottom),
        ],
        theme::BAND,
    );
}

fn draw_dots(scene: &mut Scene, frame: &Frame, dots: &[Dot<'_>], tolerance: f64) {
    let mut placer = Placer::new(frame.area);
    // Labels keep off the diagonal, too.
    let side = frame.area.right - frame.area.left;
    for step in 0..(side / 4.0) as u32 {
        let along = 4.0 * f64::from(step);
        placer.block(Rect::around((frame.area.left + along, frame.area.bottom - along), 2.0));
    }
    let labelled = dots.iter().any(|d| !d.label.is_empty());
    let radius = if labelled { 6.0 } else { 4.0 };
    for dot in dots {
        let at = (frame.x.at(dot.predicted), frame.y.at(dot.measured));
        let good = dot.error().abs() <= tolerance;
        if let Some(interval) =
            dot.interval.filter(|i| SHOWABLE.contains(&i.low) && SHOWABLE.contains(&i.high) && i.high >= i.low)
        {
            draw_interval(scene, &mut placer, frame, interval, at.1, good);
        }
        let (marker, colour) = if good { (Marker::Disc, theme::BLUE) } else { (Marker::Square, theme::VERMILLION) };
        if labelled {
            draw_rimmed(scene, marker, at, radius, colour);
        } else {
            draw(scene, marker, at, radius, faint(colour, 0.55));
        }
        placer.block(Rect::around(at, radius));
    }
    for dot in dots.iter().filter(|d| !d.label.is_empty()) {
        let at = (frame.x.at(dot.predicted), frame.y.at(dot.measured));
        placer.label(scene, at, radius, &format::ellipsis(dot.label, 24), false);
    }
}

fn draw_interval(scene: &mut Scene, placer: &mut Placer, frame: &Frame, interval: Interval, y: f64, good: bool) {
    let colour = if good { theme::BLUE } else { theme::VERMILLION };
    let (from, to) = (frame.x.at(interval.low), frame.x.at(interval.high));
    scene.line([(from, y), (to, y)], colour, 1.5);
    for end in [from, to] {
        scene.line([(end, y - 4.0), (end, y + 4.0)], colour, 1.5);
    }
    placer.block_steps(&[(from, y), (to, y)]);
}

/// "networks: 4 of 5 within 15 %, median error 3.2 %".
fn summary(name: &str, dots: &[Dot<'_>], tolerance: f64) -> String {
    if dots.is_empty() {
        return name.to_owned();
    }
    let mut errors: Vec<f64> = dots.iter().map(|d| d.error().abs()).collect();
    errors.sort_by(f64::total_cmp);
    let good = errors.iter().filter(|e| **e <= tolerance).count();
    let median = f64::midpoint(errors[(errors.len() - 1) / 2], errors[errors.len() / 2]);
    let within = format::percent(tolerance, 0);
    format!("{name}: {good} of {} within {within}, median error {}", errors.len(), format::percent(median, 1))
}

fn entries(tolerance: f64) -> Vec<Entry> {
    let within = format::percent(tolerance, 0);
    vec![
        Entry::new(format!("within ±{within}"), |scene, at| {
            scene.rect(Rect { left: at.0 - 14.0, right: at.0 + 14.0, ..Rect::around(at, 8.0) }, theme::BAND);
            draw(scene, Marker::Disc, at, 5.0, theme::BLUE);
        }),
        Entry::new("outside", |scene, at| draw(scene, Marker::Square, at, 5.5, theme::VERMILLION)),
        Entry::new("predicted interval", |scene, (x, y)| {
            scene.line([(x - 11.0, y), (x + 11.0, y)], theme::BLUE, 1.5);
            for end in [x - 11.0, x + 11.0] {
                scene.line([(end, y - 4.0), (end, y + 4.0)], theme::BLUE, 1.5);
            }
        }),
        Entry::new("equal", |scene, (x, y)| scene.line([(x - 8.0, y + 7.0), (x + 8.0, y - 7.0)], theme::MUTED, 1.25)),
    ]
}
