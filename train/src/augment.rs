//! Augmentation: random shifts, turns, crops, flips and blanked squares while a batch is normalised, and `MixUp`.

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Dataset, SeedTree, data::Table};

/// How training images are varied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// Not at all.
    #[default]
    None,
    /// Shifted by up to two pixels; black enters at the borders.
    Shift,
    /// Shifted by up to two pixels, turned by up to 10 degrees, stretched and sheared by up to 10 %.
    Affine,
    /// Shifted by up to four pixels and mirrored half of the time.
    CropFlip,
}

/// All that is done to an image of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variation {
    pub(crate) augment: Augment,
    /// Side of the blanked square; 0 for none.
    pub(crate) cutout: usize,
}

/// A normalised batch; the variation of an image depends on `seed` and its number only.
pub(crate) fn batch(data: &Dataset, indices: &[usize], variation: Variation, seed: &SeedTree) -> Vec<f32> {
    let normalisation = data.normalisation();
    let tables = normalisation.tables();
    let len = data.shape().len();
    let (height, width) = data.shape().spatial();
    let mut out = vec![0.0; indices.len() * len];
    out.par_chunks_mut(len).with_min_len(8).zip(indices).for_each(|(out, &index)| {
        let mut rng = seed.index(index as u64).rng();
        let mut within = |reach: f32| rng.random_range(-reach..=reach);
        let view = View::draw(variation.augment, &mut within);
        let flip = variation.augment == Augment::CropFlip && within(1.0) < 0.0;
        let hole = Hole::draw(variation.cutout, (height, width), &mut within);
        let pixels = data.pixels(index);
        let tables = normalisation.tables_of(&tables, pixels);
        let maps = pixels.chunks_exact(height * width).zip(out.chunks_exact_mut(height * width));
        for ((from, to), table) in maps.zip(tables.iter()) {
            let from = Map { pixels: from, width, table, outside: normalisation.outside(table) };
            match view {
                View::Shifted(dy, dx) => shift(from, to, (dy, dx)),
                View::Affine { matrix, offset } => resample(from, to, matrix, offset),
            }
            if flip {
                to.chunks_exact_mut(width).for_each(<[f32]>::reverse);
            }
            hole.blank(to, width);
        }
    });
    out
}

/// Where the pixels of a varied image come from.
#[derive(Clone, Copy)]
enum View {
    /// Rows and columns further.
    Shifted(isize, isize),
    /// `matrix (p - centre) + centre + offset`, coordinates y, x.
    Affine { matrix: [[f32; 2]; 2], offset: [f32; 2] },
}

impl View {
    fn draw(augment: Augment, within: &mut impl FnMut(f32) -> f32) -> Self {
        let mut pixels = |reach: f32| (within(reach + 0.5).round() as isize).clamp(-(reach as isize), reach as isize);
        match augment {
            Augment::None => Self::Shifted(0, 0),
            Augment::Shift => Self::Shifted(pixels(2.0), pixels(2.0)),
            Augment::CropFlip => Self::Shifted(pixels(4.0), pixels(4.0)),
            Augment::Affine => {
                let offset = [within(2.0), within(2.0)];
                let (sin, cos) = within(10f32.to_radians()).sin_cos();
                let (shear, tall, wide) = (within(0.1), 1.0 + within(0.1), 1.0 + within(0.1));
                let turned = [[cos, -sin], [sin, cos]];
                // Turn, then shear along x, then stretch.
                let matrix = turned.map(|[y, x]| [tall * (y + shear * x), wide * x]);
                Self::Affine { matrix, offset }
            }
        }
    }
}

/// One channel of an image.
#[derive(Clone, Copy)]
struct Map<'a> {
    pixels: &'a [u8],
    width: usize,
    /// Value of each byte.
    table: &'a Table,
    /// Value beyond the borders.
    outside: f32,
}

fn shift(from: Map<'_>, to: &mut [f32], (dy, dx): (isize, isize)) {
    let Map { pixels, width, table, outside } = from;
    for (y, row) in to.chunks_exact_mut(width).enumerate() {
        let source = y.checked_add_signed(dy).and_then(|y| pixels.chunks_exact(width).nth(y));
        for (x, value) in row.iter_mut().enumerate() {
            let byte = source.and_then(|s| s.get(x.checked_add_signed(dx)?));
            *value = byte.map_or(outside, |&byte| table[usize::from(byte)]);
        }
    }
}

/// Bilinear between the four nearest pixels.
fn resample(from: Map<'_>, to: &mut [f32], matrix: [[f32; 2]; 2], offset: [f32; 2]) {
    let Map { pixels, width, table, outside } = from;
    let height = pixels.len() / width;
    let centre = [(height - 1) as f32 / 2.0, (width - 1) as f32 / 2.0];
    let pixel = |y: isize, x: isize| {
        let inside = y >= 0 && x >= 0 && (y as usize) < height && (x as usize) < width;
        if inside { table[usize::from(pixels[y as usize * width + x as usize])] } else { outside }
    };
    for (i, value) in to.iter_mut().enumerate() {
        let (py, px) = ((i / width) as f32 - centre[0], (i % width) as f32 - centre[1]);
        let [y, x] = [0, 1].map(|k| matrix[k][0] * py + matrix[k][1] * px + centre[k] + offset[k]);
        let (top, left) = (y.floor(), x.floor());
        let (fy, fx) = (y - top, x - left);
        let (top, left) = (top as isize, left as isize);
        let row = |y| (1.0 - fx) * pixel(y, left) + fx * pixel(y, left + 1);
        *value = (1.0 - fy) * row(top) + fy * row(top + 1);
    }
}

/// A square that is set to the mean.
#[derive(Clone, Copy)]
struct Hole {
    rows: (usize, usize),
    columns: (usize, usize),
}

impl Hole {
    /// Its centre lies anywhere in the image, so that it may stick out.
    fn draw(side: usize, (height, width): (usize, usize), within: &mut impl FnMut(f32) -> f32) -> Self {
        if side == 0 {
            return Self { rows: (0, 0), columns: (0, 0) };
        }
        let mut span = |length: usize| {
            let centre = ((0.5 + within(0.5)) * length as f32) as usize;
            (centre.saturating_sub(side / 2).min(length), (centre + side.div_ceil(2)).min(length))
        };
        Self { rows: span(height), columns: span(width) }
    }

    fn blank(self, map: &mut [f32], width: usize) {
        for row in map.chunks_exact_mut(width).take(self.rows.1).skip(self.rows.0) {
            row[self.columns.0..self.columns.1].fill(0.0);
        }
    }
}

/// Replaces each image and its target by `lambda` of it and the rest of its neighbour, the last one's being the first.
/// `lambda`, one per batch, is drawn from Beta(alpha, alpha) (Zhang et al. 2018).
pub(crate) fn mix(images: &mut [f32], targets: &mut [f32], count: usize, alpha: f64, seed: &SeedTree) {
    let lambda = beta(alpha, seed) as f32;
    for values in [images, targets] {
        let row = values.len() / count;
        let first = values[..row].to_vec();
        for i in 0..count {
            let (now, after) = values[i * row..].split_at_mut(row);
            let neighbour = if i + 1 < count { &after[..row] } else { &first[..] };
            now.iter_mut().zip(neighbour).for_each(|(v, other)| *v = lambda * *v + (1.0 - lambda) * other);
        }
    }
}

/// A draw from Beta(alpha, alpha) by Jöhnk's method; for large alpha, where that rejects nearly all, one half.
fn beta(alpha: f64, seed: &SeedTree) -> f64 {
    let mut rng = seed.rng();
    for _ in 0..1000 {
        let [u, v] = [0, 1].map(|_| rng.random::<f64>().powf(1.0 / alpha));
        if u + v > 0.0 && u + v <= 1.0 {
            return u / (u + v);
        }
    }
    0.5
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GlyphConfig, glyphs};

    fn images() -> Dataset {
        glyphs(&GlyphConfig { train: 40, test: 10, validation: 0.0 }, &SeedTree::new(1)).unwrap().train
    }

    #[test]
    fn variations_keep_the_image_and_differ_by_seed() {
        let data = images();
        let indices: Vec<usize> = (0..40).collect();
        let plain = data.images(0..40);
        let varied =
            |augment, cutout, seed| batch(&data, &indices, Variation { augment, cutout }, &SeedTree::new(seed));
        assert_eq!(varied(Augment::None, 0, 1), plain);
        let ink = |values: &[f32]| values.iter().map(|v| f64::from(*v)).sum::<f64>();
        for augment in [Augment::Shift, Augment::Affine, Augment::CropFlip] {
            let one = varied(augment, 0, 1);
            assert!(one == varied(augment, 0, 1) && one != varied(augment, 0, 2) && one != plain);
            // The glyphs move within their black margins, nearly all of the ink stays.
            let black = f64::from(plain[0]) * plain.len() as f64;
            let kept = (ink(&one) - black) / (ink(&plain) - black);
            assert!((0.85..1.15).contains(&kept), "{augment:?} keeps {kept} of the ink");
        }
        let holes = varied(Augment::None, 8, 1);
        let blanked = holes.iter().zip(&plain).filter(|(h, p)| h != p).count();
        assert!(holes.iter().zip(&plain).all(|(h, p)| h == p || *h == 0.0));
        assert!((40 * 16..=40 * 64).contains(&blanked), "{blanked}");
    }

    #[test]
    fn mixing_keeps_sums_of_targets_and_stays_between_neighbours() {
        for (alpha, spread) in [(0.1, 0.3), (1.0, 0.15), (200.0, 0.0)] {
            let lambdas: Vec<f64> = (0..200).map(|i| beta(alpha, &SeedTree::new(i))).collect();
            let mean = lambdas.iter().sum::<f64>() / 200.0;
            let wide = lambdas.iter().map(|l| (l - 0.5).abs()).sum::<f64>() / 200.0;
            assert!((mean - 0.5).abs() < 0.1 && wide >= spread, "alpha {alpha}: mean {mean}, spread {wide}");
        }
        let (mut images, mut targets) = (vec![0.0, 1.0, 2.0], vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
        mix(&mut images, &mut targets, 3, 1.0, &SeedTree::new(4));
        assert!(targets.chunks(2).all(|t| (t[0] + t[1] - 1.0).abs() < 1e-6), "{targets:?}");
        let lambda = 1.0 - images[0];
        assert!((images[1] - (lambda + 2.0 * (1.0 - lambda))).abs() < 1e-6);
        assert!((images[2] - 2.0 * lambda).abs() < 1e-6, "the last one's neighbour is the first as it was");
    }
}
