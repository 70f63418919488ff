//! Accuracy against latency or communication: the search, the random baseline and reference networks.

use super::axis::{Axis, Frame, Kind, Names, SHOWABLE, linear_range, log_range, tick_mebibytes, tick_seconds};
use super::labels::Placer;
use super::legend::{self, Entry};
use super::marker::{Marker, draw, draw_rimmed};
use super::scene::{Align, At, Ink, Rect, Scene, Text, faint};
use super::theme;
use crate::format;
use crate::view::{CostAxis, ParetoPoint, ParetoView, PointKind};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 600.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = WIDTH - 28.0;
const BOTTOM: f64 = HEIGHT - 84.0;

/// A budget further from the data than this factor would squeeze the data into a corner.
const BUDGET_REACH: f64 = 5.0;

pub(super) fn scene(view: &ParetoView) -> Scene {
    let mut scene = Scene::new(if view.title.is_empty() { "Pareto front" } else { &view.title }, WIDTH, HEIGHT);
    let points: Vec<&ParetoPoint> =
        view.points.iter().filter(|p| (0.0..=1.0).contains(&p.accuracy) && SHOWABLE.contains(&p.cost)).collect();
    let budget = view.budget.filter(|b| SHOWABLE.contains(b));
    let shown_budget = budget.filter(|b| {
        points.is_empty() || points.iter().any(|p| (1.0 / BUDGET_REACH..=BUDGET_REACH).contains(&(b / p.cost)))
    });
    let top = legend::draw(&mut scene, &view.title, &entries(&points), LEFT, RIGHT);
    let frame = frame(&points, shown_budget, top);
    let mut placer = Placer::new(frame.area);
    frame.draw(&mut scene, &names(view));
    if let Some(budget) = shown_budget {
        draw_budget(&mut scene, &mut placer, &frame, (budget, tick(view)(budget)));
    }
    draw_fronts(&mut scene, &mut placer, &frame, &points);
    draw_points(&mut scene, &mut placer, &frame, &points);
    draw_labels(&mut scene, &mut placer, &frame, &points);
    if points.is_empty() {
        let centre = (f64::midpoint(LEFT, RIGHT), f64::midpoint(top, BOTTOM));
        scene.text(Text::new(centre, "no network has been trained yet").ink(theme::MUTED).align(Align::Centre));
    }
    let notes = notes(view, &points, &frame, budget.filter(|_| shown_budget.is_none()));
    scene.text(Text::new((RIGHT, HEIGHT - 16.0), notes).size(theme::NOTE_SIZE).ink(theme::MUTED).align(Align::Right));
    scene
}

fn frame(points: &[&ParetoPoint], budget: Option<f64>, top: f64) -> Frame {
    let (low, high) = log_range(points.iter().map(|p| p.cost).chain(budget));
    let x = Axis { kind: Kind::Log, low, high, start: LEFT, end: RIGHT };
    let (low, high) = accuracy_range(points);
    let y = Axis { kind: Kind::Linear, low, high, start: BOTTOM, end: top };
    Frame { area: Rect { left: LEFT, top, right: RIGHT, bottom: BOTTOM }, x, y }
}

/// The range of accuracies worth showing. A few networks that learnt nothing would flatten everyone else, so the axis stops a little
/// below the lower quartile when the minimum is far from it; what is cut off is marked at the bottom edge.
fn accuracy_range(points: &[&ParetoPoint]) -> (f64, f64) {
    let mut sorted: Vec<f64> = points.iter().map(|p| p.accuracy).collect();
    sorted.sort_by(f64::total_cmp);
    let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else {
        return (0.0, 1.0);
    };
    let quartile = sorted[sorted.len() / 4];
    let spread = (most - quartile).max(0.005);
    let floor = if most - least > 4.0 * spread { quartile - 1.2 * spread } else { least };
    // At least 1 % high, so that rounding errors do not look like differences; never beyond what an accuracy can be by much.
    let (low, high) = linear_range([floor, most].into_iter(), 0.01).unwrap_or((0.0, 1.0));
    (low.max(-0.02), high.min(1.0_f64.max(most) + 0.04 * (most - floor).max(0.01)))
}

/// How values of the horizontal axis are written.
fn tick(view: &ParetoView) -> fn(f64) -> String {
    match view.axis {
        CostAxis::Latency => tick_seconds,
        CostAxis::Communication => tick_mebibytes,
    }
}

fn names(view: &ParetoView) -> Names {
    let cost = match view.axis {
        CostAxis::Latency => "latency per image",
        CostAxis::Communication => "communication per image",
    };
    let or = |text: &str, own: &str| if own.is_empty() { text.to_owned() } else { own.to_owned() };
    Names {
        x: or(cost, &view.cost_label) + ", log scale",
        y: or("accuracy", &view.accuracy_label),
        x_tick: tick(view),
        y_tick: |tick| format!("{} %", ((tick * 1e6).round() / 1e4)),
    }
}

/// The points of a kind, split into the front and the rest.
fn of_kind<'a>(points: &[&'a ParetoPoint], kind: PointKind) -> Vec<&'a ParetoPoint> {
    points.iter().copied().filter(|p| p.kind == kind).collect()
}

/// The front as (cost, accuracy) from cheap to dear: the points flagged as such, or else those no other point dominates.
fn front(points: &[&ParetoPoint]) -> Vec<(f64, f64)> {
    let flagged = points.iter().any(|p| p.on_front);
    let mut candidates: Vec<_> =
        points.iter().filter(|p| p.on_front || !flagged).map(|p| (p.cost, p.accuracy)).collect();
    candidates.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut best = f64::NEG_INFINITY;
    candidates.retain(|c| {
        c.1 > best && {
            best = c.1;
            true
        }
    });
    candidates
}

/// What accuracy each cost buys: level until the next point of the front, then up, and level to the right edge.
fn steps(front: &[(f64, f64)], frame: &Frame) -> Vec<At> {
    let mut path = Vec::with_capacity(2 * front.len() + 1);
    for &(cost, accuracy) in front {
        let (x, y) = (frame.x.at(cost), frame.y.at(accuracy).min(frame.area.bottom));
        if let Some(&(_, before)) = path.last() {
            path.push((x, before));
        }
        path.push((x, y));
    }
    if let Some(&(_, y)) = path.last() {
        path.push((frame.area.right, y));
    }
    path
}

fn draw_fronts(scene: &mut Scene, placer: &mut Placer, frame: &Frame, points: &[&ParetoPoint]) {
    let random = steps(&front(&of_kind(points, PointKind::RandomBaseline)), frame);
    scene.dashed(&random, theme::ORANGE, 1.75, (7.0, 4.0));
    placer.block_steps(&random);
    let search = steps(&front(&of_kind(points, PointKind::Search)), frame);
    scene.line(search.clone(), theme::BLUE, 2.25);
    placer.block_steps(&search);
}

fn draw_budget(scene: &mut Scene, placer: &mut Placer, frame: &Frame, (budget, name): (f64, String)) {
    let x = frame.x.at(budget);
    scene.dashed(&[(x, frame.area.top), (x, frame.area.bottom)], theme::VERMILLION, 1.5, (2.5, 3.5));
    let name = format!("budget {name}");
    let text = Text::new((x + 7.0, frame.area.bottom - 13.0), name).ink(theme::VERMILLION);
    let text = if text.bounds().right < frame.area.right {
        text
    } else {
        Text { at: (x - 7.0, frame.area.bottom - 13.0), ..text }.align(Align::Right)
    };
    placer.block(text.bounds());
    placer.block_steps(&[(x, frame.area.top), (x, frame.area.bottom)]);
    scene.text(text);
}

/// Where a point is drawn: at the bottom edge if its accuracy lies below the axis.
fn place(point: &ParetoPoint, frame: &Frame) -> (At, bool) {
    let (x, y) = (frame.x.at(point.cost), frame.y.at(point.accuracy));
    let below = y > frame.area.bottom + 0.5;
    ((x, if below { frame.area.bottom - 5.0 } else { y }), below)
}

fn radius(point: &ParetoPoint) -> f64 {
    match (point.verified, point.on_front, point.kind) {
        (true, _, _) => 9.0,
        (false, _, PointKind::Reference) => 6.5,
        (false, true, PointKind::Search) => 6.0,
        (false, _, PointKind::Search | PointKind::RandomBaseline) => 4.0,
    }
}

fn draw_points(scene: &mut Scene, placer: &mut Placer, frame: &Frame, points: &[&ParetoPoint]) {
    // What matters most is drawn last.
    let rank = |p: &ParetoPoint| match p.kind {
        PointKind::RandomBaseline => 0,
        PointKind::Search if !p.on_front => 1,
        PointKind::Reference => 2,
        PointKind::Search => 3,
    };
    let mut ordered = points.to_vec();
    ordered.sort_by_key(|p| rank(p));
    for point in ordered {
        let (at, below) = place(point, frame);
        placer.block(Rect::around(at, radius(point)));
        match point.kind {
            _ if below => draw(scene, Marker::Below, at, 4.5, faint(colour(point.kind).colour, 0.8)),
            PointKind::RandomBaseline => draw(scene, Marker::Cross, at, 4.0, colour(point.kind)),
            PointKind::Search if !point.on_front => draw(scene, Marker::Disc, at, 3.5, faint(theme::BLUE, 0.4)),
            PointKind::Reference => draw_rimmed(scene, Marker::Diamond, at, 6.5, theme::GREEN),
            PointKind::Search => draw_rimmed(scene, Marker::Disc, at, 5.0, theme::BLUE),
        }
        if point.verified {
            scene.ring(at, 8.5, theme::INK, 1.5);
        }
    }
}

fn colour(kind: PointKind) -> Ink {
    match kind {
        PointKind::Search => theme::BLUE.into(),
        PointKind::RandomBaseline => theme::ORANGE.into(),
        PointKind::Reference => theme::GREEN.into(),
    }
}

/// Names reference networks first, then verified ones, then the rest of the front, as long as there is room.
fn draw_labels(scene: &mut Scene, placer: &mut Placer, frame: &Frame, points: &[&ParetoPoint]) {
    let wanted: [fn(&ParetoPoint) -> bool; 3] = [
        |p| p.kind == PointKind::Reference,
        |p| p.kind != PointKind::Reference && p.verified,
        |p| p.kind == PointKind::Search && p.on_front && !p.verified,
    ];
    for (turn, wanted) in wanted.iter().enumerate() {
        for point in points.iter().filter(|p| !p.label.is_empty() && wanted(p)) {
            let (at, _) = place(point, frame);
            placer.label(scene, at, radius(point), &format::ellipsis(&point.label, 28), turn == 1);
        }
    }
}

fn entries(points: &[&ParetoPoint]) -> Vec<Entry> {
    let has = |test: &dyn Fn(&ParetoPoint) -> bool| points.iter().any(|p| test(p));
    let mut entries = Vec::new();
    if has(&|p| p.kind == PointKind::Search) {
        entries.push(Entry::new("search, Pareto front", |scene, (x, y)| {
            scene.line([(x - 14.0, y), (x + 14.0, y)], theme::BLUE, 2.25);
            draw_rimmed(scene, Marker::Disc, (x, y), 5.0, theme::BLUE);
        }));
        entries
            .push(Entry::new("search, other", |scene, at| draw(scene, Marker::Disc, at, 3.5, faint(theme::BLUE, 0.4))));
    }
    if has(&|p| p.kind == PointKind::RandomBaseline) {
        entries.push(Entry::new("random baseline", |scene, (x, y)| {
            scene.dashed(&[(x - 14.0, y), (x + 14.0, y)], theme::ORANGE, 1.75, (7.0, 4.0));
            draw(scene, Marker::Cross, (x, y), 4.0, theme::ORANGE);
        }));
    }
    if has(&|p| p.kind == PointKind::Reference) {
        entries.push(Entry::new("reference network", |scene, at| draw(scene, Marker::Diamond, at, 6.5, theme::GREEN)));
    }
    if has(&|p| p.verified) {
        entries.push(Entry::new("run encrypted", |scene, at| scene.ring(at, 8.0, theme::INK, 1.5)));
    }
    entries
}

fn notes(view: &ParetoView, points: &[&ParetoPoint], frame: &Frame, far_budget: Option<f64>) -> String {
    let mut notes = Vec::new();
    let unplaced = view.points.len() - points.len();
    if unplaced > 0 && !points.is_empty() {
        notes.push(format!("{} without accuracy not shown", format::count(unplaced as u64)));
    }
    let below = points.iter().filter(|p| place(p, frame).1).count();
    if below > 0 {
        notes.push(format!("{} below the axis", format::count(below as u64)));
    }
    if let Some(budget) = far_budget {
        notes.push(format!("budget {} is far from the axis", tick(view)(budget)));
    }
    notes.join("  ·  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(cost: f64, accuracy: f64, on_front: bool) -> ParetoPoint {
        ParetoPoint {
            label: String::new(),
            arch_id: String::new(),
            cost,
            accuracy,
            kind: PointKind::Search,
            on_front,
            verified: false,
        }
    }

    #[test]
    fn front_is_what_no_other_point_beats() {
        let points = [point(2.0, 0.8, false), point(1.0, 0.9, false), point(3.0, 0.95, false), point(3.0, 0.94, false)];
        let points: Vec<_> = points.iter().collect();
        assert_eq!(front(&points), [(1.0, 0.9), (3.0, 0.95)]);
    }

    #[test]
    fn flagged_points_make_the_front() {
        let points = [point(1.0, 0.9, false), point(2.0, 0.8, true)];
        let points: Vec<_> = points.iter().collect();
        assert_eq!(front(&points), [(2.0, 0.8)]);
    }

    #[test]
    fn failures_do_not_flatten_the_axis() {
        let mut points: Vec<_> = (0..20).map(|i| point(1.0, 0.96 + 0.001 * f64::from(i), false)).collect();
        points.push(point(1.0, 0.1, false));
        let (low, high) = accuracy_range(&points.iter().collect::<Vec<_>>());
        assert!(low > 0.9 && high > 0.979 && high < 1.03, "{low} {high}");
    }
}
