//! Reference networks of the zoo, costed and trained like candidates.

use serde::{Deserialize, Serialize};
use striae_cost_model::{Lowerer, PlanOptions};
use striae_spaces::zoo;
use striae_train::train;

use super::{RunError, StudyRun, context::read_attr};
use crate::{storage::StoredStudy, summary::PlanSummary};

/// Study attribute that holds them.
const REFERENCES_KEY: &str = "striae:references";

/// A reference network's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceResult {
    /// Name in the zoo.
    pub name: String,
    /// In notation.
    pub network: String,
    /// Validation accuracy after the short training.
    pub accuracy: f64,
    /// Its plan.
    pub plan: PlanSummary,
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
            let graph = zoo::build(name)?;
            let options = PlanOptions { max_log_n: self.study.limits().max_log_n, ..PlanOptions::default() };
            let plan = Lowerer::new(&self.options.calibration).plan(&graph, &options)?;
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
                plan: PlanSummary::new(&plan, self.options.calibration.provenance.generic),
            });
            self.write_attr(stored, REFERENCES_KEY, &results)?;
        }
        Ok(())
    }
}
