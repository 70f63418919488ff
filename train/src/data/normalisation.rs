//! How pixels become inputs.
//!
//! A network of quadratics is a polynomial: `d` of them in a row make one of degree `2^d`, and an image of `r` times the
//! usual contrast enters its highest terms `r^(2^d)`-fold. Contrast differs between photographs (of CIFAR-10's, between the
//! 1st and the 99th percentile, 3.6-fold), and a few bright pixels on a dark ground stand out by 20 deviations. So deep
//! networks need each image normalised by its own contrast and clamped, which the client does before it encrypts.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::dataset::Raw;

/// Over which values mean and standard deviation are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormalisationScope {
    /// Each channel's, of the whole official training set.
    #[default]
    PerChannel,
    /// After that, all values of the one image; the result is clamped to three deviations.
    PerImage,
}

/// A value of the image: mean and standard deviation per channel of pixels scaled to 0..1, over the whole official training
/// set, then per image where the scope says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    /// Means.
    pub mean: Vec<f32>,
    /// Standard deviations.
    pub std: Vec<f32>,
    /// Whether that is all.
    #[serde(default)]
    pub scope: NormalisationScope,
}

/// Largest magnitude of a value of an image that is normalised by itself.
pub const CLAMP: f32 = 3.0;

/// The values of the 256 bytes in one channel.
pub(crate) type Table = [f32; 256];

impl Normalisation {
    pub(super) fn of(raw: &Raw) -> Self {
        let channels = raw.shape.channels();
        let (height, width) = raw.shape.spatial();
        let mut histograms = vec![[0u64; 256]; channels];
        for (i, map) in raw.pixels.chunks_exact(height * width).enumerate() {
            for &pixel in map {
                histograms[i % channels][usize::from(pixel)] += 1;
            }
        }
        let moments = histograms.iter().map(|histogram| {
            let total = histogram.iter().sum::<u64>() as f64;
            let sum = |power: i32| -> f64 {
                histogram.iter().enumerate().map(|(v, &n)| (v as f64 / 255.0).powi(power) * n as f64).sum()
            };
            let mean = sum(1) / total;
            // A constant channel would divide by zero.
            (mean as f32, (sum(2) / total - mean * mean).max(1e-12).sqrt() as f32)
        });
        let (mean, std) = moments.unzip();
        Self { mean, std, scope: NormalisationScope::PerChannel }
    }

    /// The normalised value of every byte, per channel.
    pub(crate) fn tables(&self) -> Vec<[f32; 256]> {
        let table = |(mean, std): (&f32, &f32)| std::array::from_fn(|v| (v as f32 / 255.0 - mean) / std);
        self.mean.iter().zip(&self.std).map(table).collect()
    }

    /// The tables of one image, from those of its data set.
    pub(crate) fn tables_of<'t>(&self, tables: &'t [Table], pixels: &[u8]) -> Cow<'t, [Table]> {
        match self.scope {
            NormalisationScope::PerChannel => Cow::Borrowed(tables),
            NormalisationScope::PerImage => Cow::Owned(standardised(tables, pixels)),
        }
    }

    /// What stands for a pixel outside of the image, in a channel with this table: black, or the mean where black would
    /// change the contrast.
    pub(crate) fn outside(&self, table: &Table) -> f32 {
        match self.scope {
            NormalisationScope::PerChannel => table[0],
            NormalisationScope::PerImage => 0.0,
        }
    }
}

/// `(v - m) / max(s, 1 / sqrt(n))` of the tables' values, with mean and deviation of the image's `n`, clamped to
/// [`CLAMP`]; `1 / sqrt(n)` is for images of one colour.
fn standardised(tables: &[Table], pixels: &[u8]) -> Vec<Table> {
    let n = pixels.len() as f64;
    let maps = pixels.chunks_exact(pixels.len() / tables.len()).zip(tables);
    let values = maps.flat_map(|(map, table)| map.iter().map(|&p| f64::from(table[usize::from(p)])));
    let (sum, square) = values.fold((0.0, 0.0), |(sum, square), v| (sum + v, square + v * v));
    let mean = sum / n;
    let std = (square / n - mean * mean).max(1.0 / n).sqrt();
    let value = |v: f32| (((f64::from(v) - mean) / std) as f32).clamp(-CLAMP, CLAMP);
    tables.iter().map(|table| table.map(value)).collect()
}

#[cfg(test)]
mod tests {
    use striae_spaces::Shape;

    use super::*;
    use crate::{
        SeedTree, Splits,
        augment::{Augment, Variation, batch},
    };

    /// A bright and a faint copy of one pattern, a bright spot, and one colour.
    fn images() -> Splits {
        let pattern = |base: u8, step: u8| (0..12u8).map(move |i| base + step * (i * 5 % 12));
        let spot = (0..12).map(|i| if i == 7 { 255 } else { 10 });
        let pixels: Vec<u8> = pattern(20, 10).chain(pattern(90, 6)).chain(spot).chain([77; 12]).collect();
        let all = |pixels| (pixels, vec![0, 1, 2, 3]);
        Splits::from_bytes(Shape::map(1, 3, 4), all(pixels.clone()), all(pixels), 0, &SeedTree::new(1))
            .normalised(NormalisationScope::PerImage)
    }

    #[test]
    fn images_lose_brightness_and_contrast_and_stay_within_the_clamp() {
        let Splits { train, test, .. } = images();
        let [bright, faint, spot, flat] = [0, 1, 2, 3].map(|i| train.image(i));
        for (a, b) in bright.iter().zip(&faint) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
        let mean = bright.iter().sum::<f32>() / 12.0;
        let var = bright.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 12.0;
        assert!(mean.abs() < 1e-6 && (var - 1.0).abs() < 1e-5, "mean {mean}, variance {var}");
        // It would be sqrt(11) deviations away.
        assert_eq!(spot[7], CLAMP);
        assert!(flat.iter().all(|v| v.abs() < 1e-5), "{flat:?}");
        assert_eq!(test.images(0..4), train.images(0..4));
    }

    #[test]
    fn what_enters_at_the_borders_is_the_mean() {
        let train = images().train;
        let variation = Variation { augment: Augment::CropFlip, cutout: 0 };
        let inside = train.image(0);
        for seed in 0..20 {
            let varied = batch(&train, &[0], variation, &SeedTree::new(seed));
            assert!(varied.iter().all(|v| *v == 0.0 || inside.contains(v)), "{varied:?}");
        }
    }
}
