//! Point markers: series differ in shape, so that they stay apart without colour.

use plotters::style::RGBColor;

use super::scene::{At, Ink, Scene, faint};
use super::theme;

/// Shape of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Disc,
    Cross,
    Diamond,
    Square,
    /// Points down: the true value lies below the axis.
    Below,
}

/// Draws a marker that fits in a circle of the given radius.
pub(super) fn draw(scene: &mut Scene, marker: Marker, at: At, radius: f64, ink: impl Into<Ink>) {
    let ink = ink.into();
    let (x, y) = at;
    match marker {
        Marker::Disc => scene.circle(at, radius, ink),
        Marker::Cross => {
            let arm = radius * 0.8;
            scene.line([(x - arm, y - arm), (x + arm, y + arm)], ink, 1.5);
            scene.line([(x - arm, y + arm), (x + arm, y - arm)], ink, 1.5);
        }
        Marker::Diamond => scene.polygon([(x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y)], ink),
        Marker::Square => {
            let half = radius * 0.8;
            scene
                .polygon([(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)], ink);
        }
        Marker::Below => {
            scene.polygon([(x - radius, y - radius * 0.7), (x + radius, y - radius * 0.7), (x, y + radius * 0.8)], ink);
        }
    }
}

/// Draws a prominent marker: a white rim sets it off from what lies below.
pub(super) fn draw_rimmed(scene: &mut Scene, marker: Marker, at: At, radius: f64, colour: RGBColor) {
    draw(scene, marker, at, radius + 1.5, faint(theme::PAPER, 1.0));
    draw(scene, marker, at, radius, colour);
}
