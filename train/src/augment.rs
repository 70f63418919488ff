//! Augmentation: random shifts, crops and flips while a batch is normalised.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Dataset, SeedTree};
use rand::RngExt;

/// How training images are varied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// Not at all.
    #[default]
    None,
    /// Shifted by up to two pixels; black enters at the borders.
    Shift,
    /// Shifted by up to four pixels and mirrored half of the time.
    CropFlip,
}

impl Augment {
    fn reach(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Shift => 2,
            Self::CropFlip => 4,
        }
    }
}

/// A normalised batch; the variation of an image depends on `seed` and its number only.
pub(crate) fn batch(data: &Dataset, indices: &[usize], augment: Augment, seed: &SeedTree) -> Vec<f32> {
    let tables = data.normalisation().tables();
    let len = data.shape().len();
    let (height, width) = data.shape().spatial();
    let mut out = vec![0.0; indices.len() * len];
    out.par_chunks_mut(len).with_min_len(8).zip(indices).for_each(|(out, &index)| {
        let (reach, mut rng) = (augment.reach(), seed.index(index as u64).rng());
        let (dy, dx) = match augment {
            Augment::None => (0, 0),
            Augment::Shift | Augment::CropFlip => (rng.random_range(-reach..=reach), rng.random_range(-reach..=reach)),
        };
        let (dy, dx) = (dy as isize, dx as isize);
        let flip = augment == Augment::CropFlip && rng.random_bool(0.5);
        let maps = data.pixels(index).chunks_exact(height * width).zip(out.chunks_exact_mut(height * width));
        for ((from, to), table) in maps.zip(&tables) {
            for (y, row) in to.chunks_exact_mut(width).enumerate() {
                let source = y.checked_add_signed(dy).filter(|&y| y < height).map(|y| &from[y * width..][..width]);
                for (x, value) in row.iter_mut().enumerate() {
                    let byte = source.and_then(|s| s.get(x.checked_add_signed(dx)?));
                    *value = table[usize::from(byte.copied().unwrap_or(0))];
                }
                if flip {
                    row.reverse();
                }
            }
        }
    });
    out
}
