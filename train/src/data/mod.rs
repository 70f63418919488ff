//! Data sets: generated glyphs, and MNIST, Fashion-MNIST and CIFAR-10 from their official files.
//!
//! Files are looked for in `<folder>/<name>/` and in `<folder>`, plain or gzip-compressed; CIFAR-10 also in its archive.
//! Every malformed file is refused with the file and the field.

mod cifar;
mod dataset;
mod glyphs;
mod idx;
mod name;
mod normalisation;
mod source;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use dataset::{Dataset, Splits};
pub use glyphs::{GlyphConfig, glyphs};
pub use name::DatasetName;
pub(crate) use normalisation::Table;
pub use normalisation::{CLAMP, Normalisation, NormalisationScope};

use crate::{DataError, SeedTree};
use dataset::Raw;

/// Loads a data set. `folder` wins over the environment variable `STRIAE_DATA`; glyphs need neither. `validation` is the
/// fraction of the training set that is cut off, chosen by `seed`, which also draws the glyphs.
pub fn load(name: DatasetName, folder: Option<&Path>, validation: f64, seed: &SeedTree) -> Result<Splits, DataError> {
    if name == DatasetName::Glyphs {
        return glyphs(&GlyphConfig { validation, ..GlyphConfig::default() }, seed);
    }
    let folder = match folder {
        Some(folder) => folder.to_owned(),
        None => {
            std::env::var_os("STRIAE_DATA").map(PathBuf::from).ok_or(DataError::NoFolder { name: name.as_str() })?
        }
    };
    let (train, test) = match name {
        DatasetName::Cifar10 => cifar::load(&folder)?,
        DatasetName::Mnist | DatasetName::FashionMnist | DatasetName::Glyphs => idx::load(&folder, name.as_str())?,
    };
    split(train, test, validation, seed)
}

fn split(train: Raw, test: Raw, validation: f64, seed: &SeedTree) -> Result<Splits, DataError> {
    let held_out = (validation * train.labels.len() as f64).round() as usize;
    if !(0.0..1.0).contains(&validation) || held_out >= train.labels.len() {
        let expected = "a fraction of the training set in 0..1 that leaves images to train on";
        return Err(DataError::Config { field: "validation", value: validation, expected });
    }
    Ok(Splits::new(train, test, held_out, &seed.child("validation")))
}
