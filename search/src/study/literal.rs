//! The unchecked form of a study, field by field as in its TOML file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use striae_train::proxies::Proxy;
use striae_train::{Augment, NormalisationScope, TrainConfig, TrainDevice};

use super::costing::{LinkName, ProtocolName};
use crate::sampler::{GenotypeOps, Nsga2, Nsga2Config, Random, Sampler, SamplerError};
use crate::{Budget, Direction, Seed};

/// A study's TOML file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyConfig {
    /// Name in the store.
    pub name: String,
    /// Data set.
    pub dataset: String,
    /// How its pixels are normalised.
    #[serde(default, skip_serializing_if = "is_default")]
    pub normalisation: NormalisationScope,
    /// Folder of the data set's files; relative to the TOML file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// A built-in space by name, or a space's TOML file, relative to this one.
    pub space: String,
    /// Who computes what.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: ProtocolName,
    /// What connects client and server under a hybrid protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkName>,
    /// How candidates may be packed: each by one of these, a parameter of its trial where there are several; the default
    /// packing if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packings: Vec<String>,
    /// Root of the seed tree.
    pub seed: u64,
    /// When to end.
    pub budget: Budget,
    /// How to propose candidates.
    #[serde(default)]
    pub sampler: SamplerConfig,
    /// What to optimise, in this order.
    #[serde(default = "both_objectives")]
    pub objectives: Vec<Objective>,
    /// What a candidate must keep.
    #[serde(default)]
    pub limits: Limits,
    /// How candidates are trained.
    pub training: TrainingConfig,
    /// How the picks are checked under encryption.
    #[serde(default)]
    pub verify: VerifyConfig,
    /// Candidates of a random search with the same evaluation, which the plots show beside this one; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_trials: Option<u64>,
    /// Networks of the zoo that are costed and trained like candidates, for comparison.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
}

fn both_objectives() -> Vec<Objective> {
    vec![Objective::Accuracy, Objective::Latency]
}

/// A quantity to optimise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Validation accuracy, between 0 and 1.
    Accuracy,
    /// Estimated latency of one image in milliseconds.
    Latency,
    /// Everything that is sent for one image, both directions, in MiB.
    Communication,
}

impl Objective {
    /// All of them, those that matter most first.
    pub const ALL: [Self; 3] = [Self::Accuracy, Self::Latency, Self::Communication];

    /// Which way is better.
    pub const fn direction(self) -> Direction {
        match self {
            Self::Accuracy => Direction::Maximize,
            Self::Latency | Self::Communication => Direction::Minimize,
        }
    }

    /// Name in tables and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Latency => "latency_ms",
            Self::Communication => "communication_mib",
        }
    }
}

/// Which sampler proposes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplerKind {
    /// Independent samples.
    Random,
    /// NSGA-II.
    #[default]
    Nsga2,
}

/// The sampler and its settings; those of NSGA-II are ignored by random search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplerConfig {
    /// Which.
    pub kind: SamplerKind,
    /// Trials per generation.
    pub population: usize,
    /// Probability that a child has two parents.
    pub crossover: f64,
    /// Probability that a child of two parents is mutated.
    pub mutation: f64,
}

impl Default for SamplerConfig {
    fn default() -> Self {
        let Nsga2Config { population, crossover, mutation } = Nsga2Config::default();
        Self { kind: SamplerKind::default(), population, crossover, mutation }
    }
}

impl SamplerConfig {
    /// The sampler over `ops`, for [`Study::seed`](super::Study::seed).
    pub fn build<'a, O>(&self, ops: O, seed: Seed) -> Result<Box<dyn Sampler<O::Genotype> + Send + 'a>, SamplerError>
    where
        O: GenotypeOps + Send + 'a,
        O::Genotype: Send,
    {
        Ok(match self.kind {
            SamplerKind::Random => Box::new(Random::new(ops, seed)),
            SamplerKind::Nsga2 => Box::new(Nsga2::new(ops, seed, self.nsga2())?),
        })
    }

    /// Settings of NSGA-II.
    pub const fn nsga2(&self) -> Nsga2Config {
        Nsga2Config { population: self.population, crossover: self.crossover, mutation: self.mutation }
    }
}

/// Limits on a candidate; those that are broken end its trial before anything is trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Estimated latency of one image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Everything that is sent for one image, both directions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub communication_mib: Option<f64>,
    /// Estimated peak memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_gib: Option<f64>,
    /// Largest ring degree, as a power of two; 15 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_log_n: Option<u32>,
}

/// The two trainings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Of each candidate that keeps the limits.
    pub short: TrainingStage,
    /// Of the front.
    pub full: TrainingStage,
    /// Where both run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub device: TrainDevice,
    /// Which candidates are not worth the short training; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen: Option<Screen>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl TrainingConfig {
    /// The trainer's configuration for the short training of one network.
    pub fn short_config(&self, seed: Seed) -> TrainConfig {
        TrainConfig { device: self.device, ..self.short.config(seed) }
    }

    /// The trainer's configuration for the full training of one network.
    pub fn full_config(&self, seed: Seed) -> TrainConfig {
        TrainConfig { device: self.device, ..self.full.config(seed) }
    }
}

/// Leaves out candidates that a score without training ranks low among those before them. Off by default: what a score is
/// worth in a space has to be measured first, by `striae proxies`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Screen {
    /// The score; if absent, the one that ranked best where `striae proxies` compared them (docs/proxies).
    #[serde(default = "best_proxy")]
    pub proxy: Proxy,
    /// Share of the candidates that is trained.
    pub keep: f64,
    /// Candidates that are trained before the first is left out.
    #[serde(default = "default_warm_up")]
    pub warm_up: usize,
}

const fn best_proxy() -> Proxy {
    Proxy::Alignment
}

const fn default_warm_up() -> usize {
    8
}

impl Screen {
    /// How far a candidate falls short of being trained, given its score and those of the candidates before it; none if it
    /// does not.
    pub fn shortfall(&self, score: f64, before: &[f64]) -> Option<f64> {
        let better = before.iter().filter(|other| other.total_cmp(&score).is_gt()).count();
        let share = better as f64 / before.len().max(1) as f64;
        (before.len() >= self.warm_up && share >= self.keep).then_some(share - self.keep + f64::EPSILON)
    }
}

/// One training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingStage {
    /// Passes over the images.
    pub epochs: usize,
    /// Number of training images used; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<usize>,
    /// Images per step; the trainer's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Peak learning rate; the trainer's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Weight decay; the trainer's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// How images are varied: none, shift or crop-flip.
    #[serde(default)]
    pub augment: Augment,
    /// Share of the target that is spread over all classes.
    #[serde(default)]
    pub label_smoothing: f32,
    /// Weight of the penalty on large inputs of quadratic activations.
    #[serde(default)]
    pub range_penalty: f64,
}

impl TrainingStage {
    /// The trainer's configuration for one network, on the CPU.
    fn config(&self, seed: Seed) -> TrainConfig {
        let default = TrainConfig::default();
        TrainConfig {
            epochs: self.epochs,
            subset: self.subset,
            batch: self.batch.unwrap_or(default.batch),
            lr: self.learning_rate.unwrap_or(default.lr),
            weight_decay: self.weight_decay.map_or(default.weight_decay, |w| w as f32),
            augment: self.augment,
            label_smoothing: self.label_smoothing,
            range_penalty: self.range_penalty,
            seed: seed.0,
            ..default
        }
    }
}

/// The encrypted check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifyConfig {
    /// Test images encrypted per network; 16 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<usize>,
    /// Networks of the front that are trained to the end and, where that can be done, checked.
    pub top: usize,
}

impl VerifyConfig {
    /// Test images encrypted per network.
    pub fn images(&self) -> usize {
        self.images.unwrap_or(16)
    }
}

impl Default for VerifyConfig {
    fn default() -> Self {
        Self { images: None, top: 1 }
    }
}
