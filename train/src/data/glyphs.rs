//! Generated digits: polylines under random affine maps with jitter, noise and clutter.
//!
//! Each image depends on the seed and its number alone, so a larger set starts with the same images. Hard enough that a
//! linear classifier stays below 90 % and a small convolutional network passes 97 %.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use striae_spaces::Shape;

use super::{dataset::Raw, split};
use crate::{DataError, SeedTree, Splits};

const SIDE: usize = 28;

type Point = (f32, f32);

/// How many glyphs to draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlyphConfig {
    /// Training images, validation included.
    pub train: usize,
    /// Test images.
    pub test: usize,
    /// Fraction of the training images that is cut off for validation.
    pub validation: f64,
}

impl Default for GlyphConfig {
    fn default() -> Self {
        Self { train: 10_000, test: 2_000, validation: 0.1 }
    }
}

/// Draws a data set; every class has the same number of images, give or take one.
pub fn glyphs(config: &GlyphConfig, seed: &SeedTree) -> Result<Splits, DataError> {
    for (field, count) in [("train", config.train), ("test", config.test)] {
        if !(10..=1_000_000).contains(&count) {
            return Err(DataError::Config { field, value: count as f64, expected: "10 to 1000000 glyphs" });
        }
    }
    let (train, test) = (draw_set(config.train, &seed.child("train")), draw_set(config.test, &seed.child("test")));
    split(train, test, config.validation, seed)
}

fn draw_set(count: usize, seed: &SeedTree) -> Raw {
    let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
    let images: Vec<Vec<u8>> =
        labels.par_iter().enumerate().map(|(i, &label)| draw(label, &mut seed.index(i as u64).rng())).collect();
    Raw { shape: Shape::map(1, SIDE, SIDE), pixels: images.concat(), labels }
}

/// The strokes of a digit in the unit square, x to the right, y down.
fn strokes(digit: u8) -> Vec<Vec<Point>> {
    let ellipse = |cx: f32, cy: f32, rx: f32, ry: f32| -> Vec<Point> {
        let at = |i: i32| (i as f32 / 12.0 * std::f32::consts::TAU).sin_cos();
        (0..=12).map(|i| (cx + rx * at(i).0, cy - ry * at(i).1)).collect()
    };
    let six = [(0.66, 0.1), (0.45, 0.24), (0.31, 0.48), (0.27, 0.7), (0.37, 0.87), (0.55, 0.91), (0.71, 0.8)];
    let six_end = [(0.72, 0.62), (0.58, 0.5), (0.42, 0.53), (0.29, 0.66)];
    match digit {
        0 => vec![ellipse(0.5, 0.5, 0.27, 0.41)],
        1 => vec![vec![(0.33, 0.27), (0.53, 0.09), (0.53, 0.91)]],
        2 => vec![vec![
            (0.25, 0.3),
            (0.31, 0.15),
            (0.5, 0.09),
            (0.7, 0.17),
            (0.72, 0.35),
            (0.58, 0.57),
            (0.24, 0.9),
            (0.78, 0.9),
        ]],
        3 => vec![
            vec![(0.26, 0.17), (0.45, 0.09), (0.67, 0.16), (0.7, 0.32), (0.6, 0.44), (0.42, 0.48)],
            vec![(0.42, 0.48), (0.64, 0.53), (0.75, 0.69), (0.65, 0.86), (0.45, 0.91), (0.24, 0.82)],
        ],
        4 => vec![vec![(0.62, 0.92), (0.62, 0.08), (0.2, 0.65), (0.82, 0.65)]],
        5 => vec![vec![
            (0.73, 0.1),
            (0.33, 0.1),
            (0.29, 0.46),
            (0.5, 0.4),
            (0.7, 0.5),
            (0.74, 0.69),
            (0.6, 0.87),
            (0.42, 0.91),
            (0.24, 0.82),
        ]],
        6 => vec![six.into_iter().chain(six_end).collect()],
        7 => vec![vec![(0.22, 0.11), (0.78, 0.11), (0.53, 0.5), (0.4, 0.91)]],
        8 => vec![ellipse(0.5, 0.29, 0.19, 0.19), ellipse(0.5, 0.7, 0.24, 0.21)],
        _ => vec![six.into_iter().chain(six_end).map(|(x, y)| (1.0 - x, 1.0 - y)).collect()],
    }
}

fn draw(digit: u8, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut segments = Vec::new();
    let place = placement(rng);
    let thickness = rng.random_range(0.7..1.7);
    for stroke in strokes(digit) {
        let points: Vec<Point> = stroke.into_iter().map(|p| place(jitter(p, 0.025, rng))).collect();
        segments.extend(points.windows(2).map(|w| (w[0], w[1], thickness, 1.0)));
    }
    // Clutter: short faint strokes anywhere.
    for _ in 0..rng.random_range(0..4) {
        let start = (rng.random_range(0.0..SIDE as f32), rng.random_range(0.0..SIDE as f32));
        let end = jitter(start, 6.0, rng);
        segments.push((start, end, rng.random_range(0.5..1.2), rng.random_range(0.3..0.8)));
    }
    let (ink, noise) = (rng.random_range(0.65..1.0), rng.random_range(0.02..0.14));
    let mut image = Vec::with_capacity(SIDE * SIDE);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let pixel = (x as f32 + 0.5, y as f32 + 0.5);
            let cover = |&(a, b, thickness, ink): &(Point, Point, f32, f32)| {
                ink * (thickness + 0.5 - distance(pixel, a, b)).clamp(0.0, 1.0)
            };
            let stroke = segments.iter().map(cover).fold(0.0, f32::max);
            let value = ink * stroke + noise * (rng.random_range(-1.0..1.0f32) + rng.random_range(-1.0..1.0f32));
            image.push((value.clamp(0.0, 1.0) * 255.0) as u8);
        }
    }
    image
}

/// A random affine map from the unit square to pixels.
fn placement(rng: &mut ChaCha8Rng) -> impl Fn(Point) -> Point + use<> {
    let angle: f32 = rng.random_range(-0.35..0.35);
    let shear: f32 = rng.random_range(-0.3..0.3);
    let (sx, sy): (f32, f32) = (rng.random_range(14.0..23.0), rng.random_range(16.0..23.0));
    let (cx, cy): (f32, f32) = (rng.random_range(11.0..17.0), rng.random_range(11.5..16.5));
    let (sin, cos) = angle.sin_cos();
    move |(x, y)| {
        let (x, y) = ((x - 0.5) * sx, (y - 0.5) * sy);
        let x = x - shear * y;
        (cx + cos * x - sin * y, cy + sin * x + cos * y)
    }
}

fn jitter((x, y): Point, by: f32, rng: &mut ChaCha8Rng) -> Point {
    (x + rng.random_range(-by..by), y + rng.random_range(-by..by))
}

/// Distance of a point from a segment.
fn distance((px, py): Point, (ax, ay): Point, (bx, by): Point) -> f32 {
    let (dx, dy) = (bx - ax, by - ay);
    let along = ((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy).max(1e-9);
    let t = along.clamp(0.0, 1.0);
    ((px - ax - t * dx).powi(2) + (py - ay - t * dy).powi(2)).sqrt()
}
