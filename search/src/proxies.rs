//! What proxies are worth: networks drawn from a space, scored without training, trained a little and trained longer, and
//! how far the one ranks them as the other does.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use striae_spaces::space::StriaSpace;
use striae_spaces::{GraphError, TypedGraph};
use striae_train::proxies::{Proxy, scores};
use striae_train::{Dataset, SeedTree, Splits, TrainConfig, TrainError, evaluate, train};

use crate::Seed;
use crate::rank::{interval, kendall, spearman};

/// Images per pass of an evaluation.
const EVAL_BATCH: usize = 128;
/// Name of all scores without training in [`ProxyRow::seconds`].
pub const UNTRAINED: &str = "untrained";
/// Score and accuracy of a network that diverged: below all others.
const WORST: f64 = f64::MIN;

/// How well each network comes to be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fidelity {
    /// Space that networks are drawn from.
    pub space: String,
    /// Data set.
    pub dataset: String,
    /// Root of all random choices.
    pub seed: u64,
    /// Images that the scores without training look at.
    pub batch: usize,
    /// Training images of the short trainings.
    pub short_images: usize,
    /// Epochs of each short training.
    pub short_epochs: Vec<usize>,
    /// Training images of the reference.
    pub full_images: usize,
    /// Epochs of the reference.
    pub full_epochs: usize,
    /// Validation images that all trainings are judged by.
    pub validation_images: usize,
}

/// A network and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyRow {
    /// Its id.
    pub arch_id: String,
    /// Its notation.
    pub network: String,
    /// Validation accuracy after the reference training.
    pub accuracy: f64,
    /// Scores by name of the proxy; of short trainings the validation accuracy.
    pub scores: BTreeMap<String, f64>,
    /// Seconds on one thread, by proxy, [`UNTRAINED`] together; the reference is `full`.
    pub seconds: BTreeMap<String, f64>,
}

/// How well a proxy ranks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Correlation {
    /// Its name.
    pub proxy: String,
    /// Spearman's rho with the accuracy of the reference.
    pub spearman: f64,
    /// Its 95 % bootstrap interval.
    pub spearman_interval: [f64; 2],
    /// Kendall's tau-b.
    pub kendall: f64,
    /// Its 95 % bootstrap interval.
    pub kendall_interval: [f64; 2],
    /// Mean seconds per network; those without training take theirs together.
    pub seconds: f64,
}

impl Fidelity {
    /// Name of a short training.
    pub fn short_name(epochs: usize) -> String {
        format!("{epochs}-epoch{}", if epochs == 1 { "" } else { "s" })
    }

    /// `count` different networks of the space; fewer if it seems to have no more.
    pub fn networks(&self, space: &StriaSpace, count: usize) -> Result<Vec<TypedGraph>, GraphError> {
        let mut rng = Seed(self.seed).named("networks").rng();
        let (mut seen, mut networks) = (BTreeSet::new(), Vec::new());
        for _ in 0..20 * count {
            let network = space.build(&space.sample(&mut rng))?;
            if networks.len() < count && seen.insert(network.arch_id().to_string()) {
                networks.push(network);
            }
        }
        Ok(networks)
    }

    /// Scores and trains a network on this thread's pool; none if `stop` said so.
    pub fn measure(
        &self,
        network: &TypedGraph,
        splits: &Splits,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<ProxyRow>, TrainError> {
        let arch_id = network.arch_id().to_string();
        let seed = Seed(self.seed).named(&arch_id);
        // Validation waits for the end of each training: here it would cost as much as an epoch.
        let quick = Splits { validation: splits.validation.take(0), ..splits.clone() };
        let validation = splits.validation.take(self.validation_images);
        let (mut values, mut seconds) = (BTreeMap::new(), BTreeMap::new());
        let start = Instant::now();
        let untrained = scores(network, &splits.train.take(self.batch), &SeedTree::new(seed.0))?;
        for (proxy, score) in Proxy::ALL.iter().zip(untrained) {
            values.insert(proxy.name().to_owned(), if score.is_finite() { score } else { WORST });
        }
        seconds.insert(UNTRAINED.to_owned(), start.elapsed().as_secs_f64());
        let short = self.short_epochs.iter().map(|&epochs| (Self::short_name(epochs), epochs, self.short_images));
        for (name, epochs, images) in short.chain([("full".to_owned(), self.full_epochs, self.full_images)]) {
            let start = Instant::now();
            let config =
                TrainConfig { epochs, subset: Some(images), seed: seed.named(&name).0, ..TrainConfig::default() };
            let Some(accuracy) = learn(network, &quick, &validation, &config, stop)? else { return Ok(None) };
            seconds.insert(name.clone(), start.elapsed().as_secs_f64());
            values.insert(name, accuracy);
        }
        let accuracy = values.remove("full").unwrap_or(WORST);
        Ok(Some(ProxyRow { arch_id, network: network.to_string(), accuracy, scores: values, seconds }))
    }
}

/// Validation accuracy after a training; none if it was stopped.
fn learn(
    network: &TypedGraph,
    quick: &Splits,
    validation: &Dataset,
    config: &TrainConfig,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<f64>, TrainError> {
    let mut observer = |_: &_| if stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    match train(network, quick, config, None, &mut observer) {
        Ok(trained) if trained.stopped => Ok(None),
        Ok(trained) => Ok(Some(evaluate(network, &trained.weights, validation, EVAL_BATCH)?.accuracy)),
        Err(TrainError::Diverged { .. }) => Ok(Some(WORST)),
        Err(error) => Err(error),
    }
}

/// How well each proxy ranks the networks, the best first.
pub fn correlations(rows: &[ProxyRow], seed: Seed) -> Vec<Correlation> {
    let accuracies: Vec<f64> = rows.iter().map(|row| row.accuracy).collect();
    let names: BTreeSet<&String> = rows.iter().flat_map(|row| row.scores.keys()).collect();
    let correlation = |name: &String| {
        let scores: Vec<f64> = rows.iter().map(|row| row.scores.get(name).copied().unwrap_or(WORST)).collect();
        let time = |row: &ProxyRow| row.seconds.get(name).or(row.seconds.get(UNTRAINED)).copied().unwrap_or(f64::NAN);
        let seed = seed.named(name);
        Correlation {
            proxy: name.clone(),
            spearman: spearman(&scores, &accuracies),
            spearman_interval: interval(&scores, &accuracies, spearman, seed),
            kendall: kendall(&scores, &accuracies),
            kendall_interval: interval(&scores, &accuracies, kendall, seed),
            seconds: rows.iter().map(time).sum::<f64>() / rows.len() as f64,
        }
    };
    let mut found: Vec<Correlation> = names.into_iter().map(correlation).collect();
    // Not a number, where everything is equal, comes last.
    found.sort_by(|a, b| b.spearman.max(-2.0).total_cmp(&a.spearman.max(-2.0)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(i: u32, accuracy: f64) -> ProxyRow {
        let scores = [("good", accuracy), ("bad", -accuracy), ("flat", 1.0)];
        ProxyRow {
            arch_id: i.to_string(),
            network: String::new(),
            accuracy,
            scores: scores.map(|(name, score)| (name.to_owned(), score)).into(),
            seconds: [(UNTRAINED, 0.5), ("good", 2.0)].map(|(name, s)| (name.to_owned(), s)).into(),
        }
    }

    #[test]
    fn proxies_are_ranked_by_their_correlation() {
        let rows: Vec<ProxyRow> = (0..20).map(|i| row(i, f64::from(i * i % 17))).collect();
        let found = correlations(&rows, Seed(1));
        let names: Vec<&str> = found.iter().map(|c| c.proxy.as_str()).collect();
        assert_eq!(names, ["good", "bad", "flat"]);
        assert_eq!([found[0].spearman, found[1].spearman], [1.0, -1.0]);
        assert!(found[2].spearman.is_nan());
        assert_eq!([found[0].seconds, found[1].seconds], [2.0, 0.5]);
    }
}
