//! The course of a training: errors on training and validation images, epoch by epoch.

use super::axis::{Axis, Frame, Kind, Names, log_range};
use super::legend::{self, Entry};
use super::scene::{Align, At, Rect, Scene, Text};
use super::theme;
use crate::format;
use crate::view::{CurvePoint, CurveView};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = WIDTH - 44.0;
const BOTTOM: f64 = HEIGHT - 84.0;
/// An error of nothing has no place on a logarithmic axis.
const LEAST_ERROR: f64 = 1e-5;

pub(super) fn scene(view: &CurveView) -> Scene {
    let mut scene = Scene::new(if view.title.is_empty() { "Training" } else { &view.title }, WIDTH, HEIGHT);
    let top = legend::draw(&mut scene, &view.title, &entries(), LEFT, RIGHT);
    let points: Vec<&CurvePoint> = view.points.iter().filter(|p| errors(p).iter().all(|e| e.is_finite())).collect();
    let Some(last) = points.last() else {
        let centre = (f64::midpoint(LEFT, RIGHT), f64::midpoint(top, BOTTOM));
        scene.text(Text::new(centre, "nothing has been trained yet").ink(theme::MUTED).align(Align::Centre));
        return scene;
    };
    let (low, high) = log_range(points.iter().flat_map(|p| errors(p)));
    let frame = Frame {
        area: Rect { left: LEFT, top, right: RIGHT, bottom: BOTTOM },
        x: Axis { kind: Kind::Linear, low: 0.0, high: last.epoch as f64 + 0.5, start: LEFT, end: RIGHT },
        y: Axis { kind: Kind::Log, low, high, start: BOTTOM, end: top },
    };
    frame.draw(
        &mut scene,
        &Names {
            x: "epoch".to_owned(),
            y: "share of wrong classes, log scale".to_owned(),
            x_tick: |tick| format!("{}", (tick * 1e5).round() / 1e5),
            y_tick: |tick| format!("{} %", (tick * 1e7).round() / 1e5),
        },
    );
    let path = |which: usize| -> Vec<At> {
        points.iter().map(|p| (frame.x.at(p.epoch as f64), frame.y.at(errors(p)[which]))).collect()
    };
    scene.dashed(&path(0), theme::ORANGE, 2.0, (7.0, 4.0));
    let validation = path(1);
    scene.line(validation.clone(), theme::BLUE, 2.0);
    validation.into_iter().for_each(|at| scene.circle(at, 2.5, theme::BLUE));
    let note = format!("validation accuracy after the last epoch: {}", format::percent(last.validation_accuracy, 2));
    scene.text(Text::new((RIGHT, HEIGHT - 16.0), note).size(theme::NOTE_SIZE).ink(theme::MUTED).align(Align::Right));
    scene
}

/// Errors on training and on validation images.
fn errors(point: &CurvePoint) -> [f64; 2] {
    [point.train_accuracy, point.validation_accuracy].map(|accuracy| (1.0 - accuracy).max(LEAST_ERROR))
}

fn entries() -> Vec<Entry> {
    vec![
        Entry::new("training images, as varied", |scene, (x, y)| {
            scene.dashed(&[(x - 14.0, y), (x + 14.0, y)], theme::ORANGE, 2.0, (7.0, 4.0));
        }),
        Entry::new("validation images", |scene, (x, y)| {
            scene.line([(x - 14.0, y), (x + 14.0, y)], theme::BLUE, 2.0);
            scene.circle((x, y), 2.5, theme::BLUE);
        }),
    ]
}
