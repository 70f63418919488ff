//! Leaving out candidates that a score without training ranks low.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use striae_spaces::TypedGraph;
use striae_train::SeedTree;
use striae_train::proxies::{Proxy, scores};

use super::{RunError, StudyRun};
use crate::{Trial, storage::StoredStudy};

/// Trial attribute: its score.
const SCORE_KEY: &str = "screen_score";
/// Images that scores look at.
const IMAGES: usize = 64;

impl StudyRun<'_> {
    /// Why a candidate is not worth training and by how much it fell short, if the study has a screen and that says so.
    /// Called in the order of proposals: a candidate is compared with those before it.
    pub(super) fn screened(
        &self,
        stored: &StoredStudy,
        trial: &Trial,
        graph: &TypedGraph,
    ) -> Result<Option<(String, f64)>, RunError> {
        let Some(screen) = &self.study.training().screen else { return Ok(None) };
        let seed = self.study.seed().named("screen").named(&graph.arch_id().to_string());
        let scores = scores(graph, &self.splits.train.take(IMAGES), &SeedTree::new(seed.0))?;
        let of_proxy = Proxy::ALL.iter().zip(scores).find(|(proxy, _)| **proxy == screen.proxy);
        // What is no number ranks below all others.
        let score = of_proxy.map_or(f64::MIN, |(_, score)| if score.is_finite() { score } else { f64::MIN });
        let trials = self.store.trials(stored.id)?;
        // By proposal, so that one which was repeated counts once.
        let before: BTreeMap<u64, f64> = (trials.iter())
            .filter(|other| other.proposal < trial.proposal)
            .filter_map(|other| Some((other.proposal, other.user_attrs.get(SCORE_KEY).and_then(Value::as_f64)?)))
            .collect();
        self.store.set_trial_attr(trial.id, SCORE_KEY, &json!(score))?;
        let shortfall = screen.shortfall(score, &before.into_values().collect::<Vec<_>>());
        let reason = |by| (format!("{} {score:.4} is not among the best {}", screen.proxy, screen.keep), by);
        Ok(shortfall.map(reason))
    }
}
