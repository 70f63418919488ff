//! From the literal to the checked study.

use std::path::{Path, PathBuf};

use serde_json::Value;
use striae_cost_model::Packing;

use super::{
    Costing, Limits, Objective, SamplerConfig, StudyConfig, StudyError, StudyErrorKind, TrainingConfig, VerifyConfig,
};
use crate::sampler::{Nsga2Config, SamplerError};
use crate::{Budget, Direction, Seed};

/// Longest name that Optuna's schema holds.
const MAX_NAME: usize = 512;
/// Ring degrees that the security table has: 2^12 to 2^16.
const LOG_N: std::ops::RangeInclusive<u32> = 12..=16;

/// Fields that may change while a study runs.
const FREE: [&str; 3] = ["budget", "verify", "data_dir"];

/// Where a study's space comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpaceRef {
    /// By name.
    Builtin(String),
    /// A TOML file.
    File(PathBuf),
}

/// A checked study: every field is in range.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    path: PathBuf,
    config: StudyConfig,
    costing: Costing,
}

impl Study {
    /// Reads and checks a TOML file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, StudyError> {
        let path = path.as_ref();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::from_toml(&text, path),
            Err(e) => Err(StudyError { path: path.to_owned(), kind: e.into() }),
        }
    }

    /// Checks TOML text; `path` is where it came from, for messages and relative paths.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, StudyError> {
        match toml::from_str(text) {
            Ok(config) => Self::from_config(config, path),
            Err(e) => {
                let line = e.span().map(|span| text[..span.start].matches('\n').count() + 1);
                let message = e.message().split_whitespace().collect::<Vec<_>>().join(" ");
                Err(StudyError { path: path.to_owned(), kind: StudyErrorKind::Toml { line, message } })
            }
        }
    }

    /// Checks a literal.
    pub fn from_config(config: StudyConfig, path: &Path) -> Result<Self, StudyError> {
        match check(&config).and_then(|()| Costing::of(&config)) {
            Ok(costing) => Ok(Self { path: path.to_owned(), config: complete(config, &costing), costing }),
            Err(kind) => Err(StudyError { path: path.to_owned(), kind }),
        }
    }

    /// The file it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All fields, as the store keeps them.
    pub fn config(&self) -> &StudyConfig {
        &self.config
    }

    /// Name in the store.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Data set.
    pub fn dataset(&self) -> &str {
        &self.config.dataset
    }

    /// Folder of the data set's files.
    pub fn data_dir(&self) -> Option<PathBuf> {
        self.config.data_dir.as_deref().map(|dir| self.beside(dir))
    }

    /// Space: a file if it ends in `.toml` or has more than one path component.
    pub fn space(&self) -> SpaceRef {
        let path = Path::new(&self.config.space);
        if path.extension().is_some_and(|e| e == "toml") || path.components().count() > 1 {
            SpaceRef::File(self.beside(path))
        } else {
            SpaceRef::Builtin(self.config.space.clone())
        }
    }

    /// How candidates are costed.
    pub fn costing(&self) -> &Costing {
        &self.costing
    }

    /// Root of the seed tree.
    pub fn seed(&self) -> Seed {
        Seed(self.config.seed)
    }

    /// When to end.
    pub fn budget(&self) -> &Budget {
        &self.config.budget
    }

    /// How to propose candidates.
    pub fn sampler(&self) -> &SamplerConfig {
        &self.config.sampler
    }

    /// What to optimise.
    pub fn objectives(&self) -> &[Objective] {
        &self.config.objectives
    }

    /// Which way each objective is better.
    pub fn directions(&self) -> Vec<Direction> {
        self.config.objectives.iter().map(|o| o.direction()).collect()
    }

    /// What a candidate must keep.
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// How candidates are trained.
    pub fn training(&self) -> &TrainingConfig {
        &self.config.training
    }

    /// How the picks are checked.
    pub fn verify(&self) -> &VerifyConfig {
        &self.config.verify
    }

    /// Refuses to go on with a study that was begun with other settings. `stored` is [`Study::config`] as JSON. The
    /// budget, the encrypted check and the folder of the data may change: they do not move what a trial comes to.
    pub fn check_resumes(&self, stored: &Value) -> Result<(), StudyError> {
        // Under another protocol other fields have other values too; it says most.
        self.check_protocol(stored)?;
        let wanted = serde_json::to_value(&self.config).unwrap_or_default();
        let fields = [&wanted, stored].into_iter().filter_map(Value::as_object).flat_map(serde_json::Map::keys);
        self.check_same(fields.map(String::as_str).filter(|field| !FREE.contains(field)), stored)
    }

    /// Refuses to show what was found under another protocol.
    pub fn check_protocol(&self, stored: &Value) -> Result<(), StudyError> {
        self.check_same(["protocol", "link"], stored)
    }

    fn check_same<'f>(&self, fields: impl IntoIterator<Item = &'f str>, stored: &Value) -> Result<(), StudyError> {
        let config = serde_json::to_value(&self.config).unwrap_or_default();
        let show = |value: Option<&Value>| value.map_or("absent".to_owned(), Value::to_string);
        match fields.into_iter().find(|field| config.get(field) != stored.get(field)) {
            None => Ok(()),
            Some(field) => {
                let (wanted, stored) = (show(config.get(field)), show(stored.get(field)));
                let kind = StudyErrorKind::Changed { field: field.to_owned(), wanted, stored };
                Err(StudyError { path: self.path.clone(), kind })
            }
        }
    }

    fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

/// Stores have always held the largest ring, given or not.
fn complete(config: StudyConfig, costing: &Costing) -> StudyConfig {
    match costing {
        Costing::Ckks { max_log_n, .. } => {
            let limits = Limits { max_log_n: Some(*max_log_n), ..config.limits };
            StudyConfig { limits, ..config }
        }
        Costing::Hybrid { .. } => config,
    }
}

fn check(config: &StudyConfig) -> Result<(), StudyErrorKind> {
    let StudyConfig { name, dataset, space, seed, .. } = config;
    need(!name.trim().is_empty() && name.len() <= MAX_NAME, "name", name, "it must have 1 to 512 bytes")?;
    need(!dataset.is_empty(), "dataset", dataset, "it must name a data set")?;
    need(!space.is_empty(), "space", space, "it must name a space or a file")?;
    // SQLite and TOML have signed 64-bit integers only.
    need(i64::try_from(*seed).is_ok(), "seed", seed, "it must be below 2^63")?;
    check_packings(&config.packings)?;
    check_budget(&config.budget)?;
    check_sampler(&config.sampler)?;
    check_objectives(&config.objectives)?;
    check_limits(&config.limits)?;
    let TrainingConfig { short, full, screen, device: _ } = &config.training;
    let stage = |stage: &super::TrainingStage, names: [&'static str; 5]| {
        need(stage.epochs > 0, names[0], stage.epochs, "it must be at least 1")?;
        need(stage.subset != Some(0), names[1], 0, "it must be at least 1, or absent for all images")?;
        need(stage.batch != Some(0), names[2], 0, "it must be at least 1")?;
        positive(stage.learning_rate, names[3])?;
        let decay = stage.weight_decay.unwrap_or(0.0);
        need(decay >= 0.0 && decay.is_finite(), names[4], decay, "it must be finite and not negative")
    };
    stage(
        short,
        [
            "training.short.epochs",
            "training.short.subset",
            "training.short.batch",
            "training.short.learning_rate",
            "training.short.weight_decay",
        ],
    )?;
    stage(
        full,
        [
            "training.full.epochs",
            "training.full.subset",
            "training.full.batch",
            "training.full.learning_rate",
            "training.full.weight_decay",
        ],
    )?;
    if let Some(screen) = screen {
        let keep = screen.keep;
        need(keep > 0.0 && keep <= 1.0, "training.screen.keep", keep, "it must be above 0 and at most 1")?;
    }
    need(config.verify.images != Some(0), "verify.images", 0, "it must be at least 1")?;
    need(config.verify.top > 0, "verify.top", 0, "it must be at least 1")
}

fn check_packings(packings: &[String]) -> Result<(), StudyErrorKind> {
    for (i, name) in packings.iter().enumerate() {
        let why =
            "it must be row-major, group-interleaved, multiplexed, multiplexed-bsgs or block:S with S from 2 to 64";
        need(name.parse::<Packing>().is_ok(), "packings", name, why)?;
        need(!packings[..i].contains(name), "packings", name, "it must be listed once")?;
    }
    Ok(())
}

fn check_budget(budget: &Budget) -> Result<(), StudyErrorKind> {
    need(budget.trials > 0, "budget.trials", 0, "it must be at least 1")?;
    need(budget.trained != Some(0), "budget.trained", 0, "it must be at least 1, or absent for no limit")?;
    positive(budget.minutes, "budget.minutes")
}

fn check_sampler(sampler: &SamplerConfig) -> Result<(), StudyErrorKind> {
    // The sampler's own rules, so that there is one copy of them.
    let Err(e) = sampler.nsga2().check() else { return Ok(()) };
    let Nsga2Config { population, crossover, mutation } = sampler.nsga2();
    match e {
        SamplerError::Probability { field: "crossover", .. } => {
            need(false, "sampler.crossover", crossover, "it must lie between 0 and 1")
        }
        SamplerError::Probability { .. } => need(false, "sampler.mutation", mutation, "it must lie between 0 and 1"),
        SamplerError::Population(_) | SamplerError::NotFinished { .. } | SamplerError::Repeated { .. } => {
            need(false, "sampler.population", population, "it must be at least 2")
        }
    }
}

fn check_objectives(objectives: &[Objective]) -> Result<(), StudyErrorKind> {
    let distinct = objectives.iter().enumerate().all(|(i, o)| !objectives[..i].contains(o));
    let why = "it must list some of accuracy, latency and communication, each once";
    need(distinct && !objectives.is_empty(), "objectives", format!("{objectives:?}").to_lowercase(), why)
}

fn check_limits(limits: &Limits) -> Result<(), StudyErrorKind> {
    positive(limits.latency_ms, "limits.latency_ms")?;
    positive(limits.communication_mib, "limits.communication_mib")?;
    positive(limits.memory_gib, "limits.memory_gib")?;
    let log_n = limits.max_log_n.unwrap_or(*LOG_N.start());
    need(LOG_N.contains(&log_n), "limits.max_log_n", log_n, "it must lie between 12 and 16")
}

fn positive(value: Option<f64>, field: &'static str) -> Result<(), StudyErrorKind> {
    let value = value.unwrap_or(1.0);
    need(value > 0.0 && value.is_finite(), field, value, "it must be positive and finite")
}

fn need(
    holds: bool,
    field: &'static str,
    value: impl std::fmt::Display,
    why: &'static str,
) -> Result<(), StudyErrorKind> {
    if holds { Ok(()) } else { Err(StudyErrorKind::Field { field, value: value.to_string(), why }) }
}
