//! What networks cost under the protocol of a study.

use striae_cost_model::hybrid::{Fusion, HybridError, HybridEstimate, Protocol};
use striae_cost_model::{Calibration, CostError, Lowerer, Packing, PlanOptions};
use striae_spaces::TypedGraph;
use striae_train::{TrainError, rectifier_twin};
use thiserror::Error;

use crate::summary::{CostSummary, HybridSummary, PlanSummary};
use crate::{Costing, LinkName};

/// A network without an estimate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CosterError {
    /// It cannot be planned under CKKS.
    #[error(transparent)]
    Ckks(#[from] CostError),
    /// The hybrid protocol has no packing for a layer.
    #[error(transparent)]
    Hybrid(#[from] HybridError),
    /// It has no rectifier twin.
    #[error(transparent)]
    Twin(#[from] TrainError),
}

/// Estimates networks, all under one protocol.
pub struct Coster<'c> {
    way: Way<'c>,
    calibration: &'c Calibration,
}

enum Way<'c> {
    Ckks { lowerer: Box<Lowerer<'c>>, max_log_n: u32 },
    Hybrid { protocol: Protocol, link: LinkName },
}

impl<'c> Coster<'c> {
    /// Estimates with the times of `calibration`.
    pub fn new(costing: &Costing, calibration: &'c Calibration) -> Self {
        let way = match *costing {
            Costing::Ckks { max_log_n, .. } => Way::Ckks { lowerer: Box::new(Lowerer::new(calibration)), max_log_n },
            Costing::Hybrid { protocol, link } => Way::Hybrid { protocol, link },
        };
        Self { way, calibration }
    }

    /// The network as it is trained for the protocol: two-party computation has rectifiers where CKKS has quadratics.
    pub fn network(&self, graph: TypedGraph) -> Result<TypedGraph, CosterError> {
        match self.way {
            Way::Ckks { .. } => Ok(graph),
            Way::Hybrid { .. } => Ok(rectifier_twin(&graph)?),
        }
    }

    /// What one image takes; a hybrid protocol has a packing of its own.
    pub fn cost(&mut self, graph: &TypedGraph, packing: Packing) -> Result<CostSummary, CosterError> {
        let generic = self.calibration.provenance.generic;
        match &mut self.way {
            Way::Ckks { lowerer, max_log_n } => {
                let options = plan_options(*max_log_n, packing);
                Ok(CostSummary::Ckks(PlanSummary::new(&lowerer.plan(graph, &options)?, generic)))
            }
            Way::Hybrid { protocol, link } => {
                let estimate = HybridEstimate::of(graph, *protocol, Fusion::Cheapest, self.calibration)?;
                Ok(CostSummary::Hybrid(HybridSummary::new(&estimate, *link, generic)))
            }
        }
    }
}

/// How a study plans its networks under CKKS.
pub(crate) fn plan_options(max_log_n: u32, packing: Packing) -> PlanOptions {
    PlanOptions { max_log_n, packing: Some(packing), ..PlanOptions::default() }
}
