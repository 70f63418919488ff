//! Reference networks of the zoo, costed and trained like candidates.

use serde::{Deserialize, Serialize};
use striae_cost_model::Packing;
use striae_spaces::zoo;
use striae_train::train;

use super::{RunError, StudyRun, context::read_attr};
use crate::{storage::StoredStudy, summary::CostSummary};

/// Study attribute that holds them.
const REFERENCES_KEY: &str = "striae:references";

/// A reference network's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceResult {
    /// Name in the zoo.
    pub name: String,
    /// In notation, as the study's protocol runs it.
    pub network: String,
    /// Validation accuracy after the short training.
    pub accuracy: f64,
    /// What it costs.
    #[serde(rename = "plan")]
    pub cost: CostSummary,
}

/// The reference results a study has so far.
pub fn references_of(stored: &StoredStudy) -> Result<Vec<ReferenceResult>, RunError> {
    Ok(read_attr(stored, REFERENCES_KEY)?.unwrap_or_default())
}

impl StudyRun<'_> {
    pub(super) fn references(&self, stored: &StoredStudy) -> Result<(), RunError> {
        let mut results: Vec<ReferenceResult> = self.read_attr(self.study.name(), REFERENCES_KEY)?.unwrap_or_default();
        for name in &self.study.config().references {
            if results.iter().any(|r| r.name == *name) {
                continue;
            }
            let mut coster = self.coster();
            let graph = coster.network(zoo::build(name)?)?;
            let cost = coster.cost(&graph, Packing::default())?;
            let seed = self.study.seed().named("short").named(&graph.arch_id().to_string());
            let config = self.study.training().short_config(seed);
            let trained = train(&graph, &self.splits, &config, None, &mut |_| self.flow())?;
            if trained.stopped {
                return Ok(());
            }
            results.push(ReferenceResult {
                name: name.clone(),
                network: graph.to_string(),
                accuracy: trained.validation_accuracy(),
                cost,
            });
            self.write_attr(stored, REFERENCES_KEY, &results)?;
        }
        Ok(())
    }
}
