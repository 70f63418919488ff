//! Labelled images in memory.

use rand::seq::SliceRandom;
use striae_spaces::Shape;

use super::normalisation::{Normalisation, NormalisationScope};
use crate::SeedTree;

/// Images and labels as files hold them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Raw {
    pub(super) shape: Shape,
    pub(super) pixels: Vec<u8>,
    pub(super) labels: Vec<u8>,
}

/// Labelled images of one shape. Pixels are kept as bytes and normalised when read.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    raw: Raw,
    classes: usize,
    normalisation: Normalisation,
}

impl Dataset {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.raw.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.raw.labels.is_empty()
    }

    /// Shape of an image.
    pub fn shape(&self) -> Shape {
        self.raw.shape
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Label of each image.
    pub fn labels(&self) -> &[u8] {
        &self.raw.labels
    }

    /// How pixels are normalised.
    pub fn normalisation(&self) -> &Normalisation {
        &self.normalisation
    }

    /// The bytes of an image, channel by channel, row by row.
    pub fn pixels(&self, index: usize) -> &[u8] {
        let len = self.raw.shape.len();
        &self.raw.pixels[index * len..][..len]
    }

    /// One image, normalised.
    pub fn image(&self, index: usize) -> Vec<f32> {
        self.images(index..index + 1)
    }

    /// Neighbouring images, normalised, one after the other.
    pub fn images(&self, range: std::ops::Range<usize>) -> Vec<f32> {
        let tables = self.normalisation.tables();
        let map = self.raw.shape.len() / tables.len();
        let mut values = Vec::with_capacity(range.len() * self.raw.shape.len());
        for pixels in range.map(|index| self.pixels(index)) {
            let tables = self.normalisation.tables_of(&tables, pixels);
            let maps = pixels.chunks_exact(map).zip(tables.iter());
            values.extend(maps.flat_map(|(map, table)| map.iter().map(|&p| table[usize::from(p)])));
        }
        values
    }

    /// The images of the given numbers, in that order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let pixels = indices.iter().flat_map(|&i| self.pixels(i)).copied().collect();
        let labels = indices.iter().map(|&i| self.raw.labels[i]).collect();
        let raw = Raw { shape: self.raw.shape, pixels, labels };
        Self { raw, classes: self.classes, normalisation: self.normalisation.clone() }
    }

    /// The first images, at most `count`.
    #[must_use]
    pub fn take(&self, count: usize) -> Self {
        self.select(&(0..count.min(self.len())).collect::<Vec<_>>())
    }
}

/// A data set in its three parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Splits {
    /// To train on.
    pub train: Dataset,
    /// Cut from the training set; all that a search may look at.
    pub validation: Dataset,
    /// Read once, for the final table.
    pub test: Dataset,
}

impl Splits {
    /// A data set from bytes in memory: pixels and labels of the training and of the test images. `held_out` training
    /// images, chosen by `seed`, become the validation set.
    ///
    /// # Panics
    /// If there are not as many pixels as the labels need: a bug of the caller.
    pub fn from_bytes(
        shape: Shape,
        train: (Vec<u8>, Vec<u8>),
        test: (Vec<u8>, Vec<u8>),
        held_out: usize,
        seed: &SeedTree,
    ) -> Self {
        let raw = |(pixels, labels): (Vec<u8>, Vec<u8>)| {
            assert_eq!(pixels.len(), labels.len() * shape.len(), "every label has an image");
            Raw { shape, pixels, labels }
        };
        Self::new(raw(train), raw(test), held_out, seed)
    }

    pub(super) fn new(train: Raw, test: Raw, held_out: usize, seed: &SeedTree) -> Self {
        let normalisation = Normalisation::of(&train);
        let classes = train.labels.iter().max().map_or(0, |&l| usize::from(l) + 1);
        let set = |raw| Dataset { raw, classes, normalisation: normalisation.clone() };
        let (all, test) = (set(train), set(test));
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.shuffle(&mut seed.rng());
        let (validation, train) = order.split_at_mut(held_out);
        // In the files' order, so that neither part depends on the shuffle beyond its membership.
        validation.sort_unstable();
        train.sort_unstable();
        Self { train: all.select(train), validation: all.select(validation), test }
    }

    /// The same images, normalised so.
    #[must_use]
    pub fn normalised(mut self, scope: NormalisationScope) -> Self {
        for part in [&mut self.train, &mut self.validation, &mut self.test] {
            part.normalisation.scope = scope;
        }
        self
    }
}
