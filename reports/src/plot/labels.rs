//! Places labels beside points so that nothing lies on anything else.

use super::scene::{Align, At, Rect, Scene, Text};
use super::theme;

/// Remembers what is taken.
pub(super) struct Placer {
    bounds: Rect,
    taken: Vec<Rect>,
}

/// Gaps between a point and its label that are tried, nearest first.
const GAPS: [f64; 5] = [3.0, 10.0, 20.0, 34.0, 52.0];
/// From this gap on, a line leads from the point to its label.
const LEADER_FROM: f64 = 15.0;
/// Directions that are tried: right, left, above, below, and between.
const DIRECTIONS: [(f64, f64); 8] =
    [(1.0, 0.0), (0.7, -0.7), (0.7, 0.7), (-0.7, -0.7), (-1.0, 0.0), (-0.7, 0.7), (0.0, -1.0), (0.0, 1.0)];

impl Placer {
    pub(super) fn new(bounds: Rect) -> Self {
        Self { bounds, taken: Vec::new() }
    }

    /// Keeps labels off a box.
    pub(super) fn block(&mut self, rect: Rect) {
        self.taken.push(rect);
    }

    /// Keeps labels off an axis-parallel line.
    pub(super) fn block_steps(&mut self, points: &[At]) {
        for pair in points.windows(2) {
            self.block(Rect {
                left: pair[0].0.min(pair[1].0) - 1.0,
                right: pair[0].0.max(pair[1].0) + 1.0,
                top: pair[0].1.min(pair[1].1) - 1.0,
                bottom: pair[0].1.max(pair[1].1) + 1.0,
            });
        }
    }

    /// Writes `label` near a point of the given radius; returns whether there was room.
    pub(super) fn label(&mut self, scene: &mut Scene, at: At, radius: f64, label: &str, bold: bool) -> bool {
        let mut text = Text::new((0.0, 0.0), label);
        text.bold = bold;
        let bounds = text.bounds();
        let (wide, high) = (bounds.width(), bounds.height());
        for gap in GAPS {
            for (dx, dy) in DIRECTIONS {
                let reach = radius + gap;
                // The label's nearest point lies on the ray; its box extends away from the marker.
                let nearest = (at.0 + dx * reach, at.1 + dy * reach);
                let left = nearest.0 + wide * (sign(dx) - 1.0) / 2.0;
                let middle = nearest.1 + high * sign(dy) / 2.0;
                let rect = Rect { left, right: left + wide, top: middle - high / 2.0, bottom: middle + high / 2.0 };
                if !self.bounds.contains(&rect) || self.taken.iter().any(|other| other.overlaps(&rect)) {
                    continue;
                }
                if gap >= LEADER_FROM {
                    let start = (at.0 + dx * (radius + 1.0), at.1 + dy * (radius + 1.0));
                    scene.line([start, nearest], theme::MUTED, 0.75);
                }
                text.at = (left, middle);
                text.align = Align::Left;
                scene.text(text);
                self.block(rect);
                return true;
            }
        }
        false
    }
}

fn sign(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value.signum() }
}
