//! Recipes: everything about one training in a TOML file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use striae_train::{DatasetName, NormalisationScope, TrainConfig};
use thiserror::Error;

/// Share of the training images that is held out for validation unless a recipe says otherwise.
pub const VALIDATION: f64 = 0.1;

/// One training: a network, a data set, and how the one learns the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Network: a name of the zoo, the notation, or a .json or .txt file.
    pub network: String,
    /// Data set.
    #[serde(default = "glyphs")]
    pub dataset: String,
    /// How its pixels are normalised.
    #[serde(default)]
    pub normalisation: NormalisationScope,
    /// Share of the training images that is held out for validation.
    #[serde(default = "validation")]
    pub validation: f64,
    /// How to train.
    #[serde(default)]
    pub training: TrainConfig,
}

fn glyphs() -> String {
    DatasetName::Glyphs.as_str().to_owned()
}

const fn validation() -> f64 {
    VALIDATION
}

/// A recipe that cannot be used. One line: the file, the field, what is wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// Not TOML, or not the fields of a recipe.
    #[error("{}: {}{message}", path.display(), line.map(|l| format!("line {l}: ")).unwrap_or_default())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: Option<usize>,
        /// What the parser says, on one line.
        message: String,
    },
    /// A setting of the command line is none of a recipe.
    #[error("{field} = {value}: {message}")]
    Setting {
        /// The field.
        field: String,
        /// The value.
        value: String,
        /// What is wrong with it.
        message: String,
    },
}

impl Recipe {
    /// The trainer's defaults for a network.
    pub fn of(network: &str) -> Self {
        let network = network.to_owned();
        let normalisation = NormalisationScope::default();
        Self { network, dataset: glyphs(), normalisation, validation: VALIDATION, training: TrainConfig::default() }
    }

    /// Reads a TOML file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is no recipe.
    pub fn from_file(path: &Path) -> Result<Self, RecipeError> {
        let text = std::fs::read_to_string(path).map_err(|source| RecipeError::Io { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|e| {
            let line = e.span().map(|span| text[..span.start].matches('\n').count() + 1);
            RecipeError::Toml { path: path.to_owned(), line, message: one_line(e.message()) }
        })
    }

    /// The recipe with another value in one field: both as in the TOML, but `training.` may be left out, and the quotes
    /// of text.
    ///
    /// # Errors
    ///
    /// There is no such field, or it takes other values.
    pub fn set(&self, field: &str, value: &str) -> Result<Self, RecipeError> {
        let bad = |message: &str| {
            let (field, value) = (field.to_owned(), value.to_owned());
            RecipeError::Setting { field, value, message: one_line(message) }
        };
        let mut table = toml::Table::try_from(self).map_err(|e| bad(&e.to_string()))?;
        let whole = table.contains_key(field) || field.starts_with("training.");
        let path = if whole { field.to_owned() } else { format!("training.{field}") };
        let parsed = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"));
        let parsed = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
        let (tables, last) = path.rsplit_once('.').unwrap_or(("", &path));
        let mut place = &mut table;
        for part in tables.split('.').filter(|part| !part.is_empty()) {
            let inner = place.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            place = inner.as_table_mut().ok_or_else(|| bad(&format!("{part} has no fields")))?;
        }
        place.insert(last.to_owned(), parsed);
        table.try_into().map_err(|e: toml::de::Error| bad(e.message()))
    }

    /// What the user can do about an error.
    pub const HINT: &'static str = "compare it with a recipe of the folder examples/recipes";
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use striae_train::Quadratics;

    use super::*;

    #[test]
    fn settings_change_single_fields() {
        let recipe = Recipe::of("strianet-mnist");
        let set = |settings: &[(&str, &str)]| {
            settings.iter().try_fold(recipe.clone(), |r, (field, value)| r.set(field, value)).unwrap()
        };
        let changed = set(&[("lr", "0.1"), ("training.epochs", "7"), ("quadratics", "hermite"), ("dataset", "mnist")]);
        assert_eq!((changed.training.lr, changed.training.epochs), (0.1, 7));
        assert_eq!((changed.dataset.as_str(), changed.training.quadratics), ("mnist", Quadratics::Hermite));
        let teacher = set(&[("teacher.epochs", "3"), ("teacher.share", "0.25")]).training.teacher.unwrap();
        assert_eq!((teacher.epochs, teacher.share, teacher.temperature), (3, 0.25, 4.0));
        assert_eq!(set(&[("seed", "5"), ("mixup", "1")]).training.mixup, 1.0);
        for (field, value, words) in
            [("lrr", "1", "unknown field `lrr`"), ("epochs", "few", "invalid type"), ("lr.x", "1", "lr has no fields")]
        {
            let message = recipe.set(field, value).unwrap_err().to_string();
            assert!(message.starts_with(&format!("{field} = {value}: ")) && message.contains(words), "{message}");
        }
    }

    #[test]
    fn the_examples_are_recipes_of_known_networks() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/recipes");
        let files = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
        let recipes: Vec<Recipe> = files.map(|path| Recipe::from_file(&path).unwrap()).collect();
        assert!(recipes.len() >= 5, "{}", recipes.len());
        for Recipe { network, dataset, .. } in recipes {
            assert!(dataset.parse::<DatasetName>().is_ok() && striae_spaces::zoo::build(&network).is_ok(), "{network}");
        }
    }
}
