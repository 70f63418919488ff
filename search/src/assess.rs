//! The free and the cheap stage of an evaluation: bounds, then the calibrated estimate.

use striae_cost_model::{CostError, Lowerer, Plan, PlanOptions};
use striae_spaces::{GraphError, TypedGraph, space::StriaSpace};

use crate::{Limits, candidate::Candidate};

/// A candidate that keeps all limits.
pub struct Assessed {
    /// Its network.
    pub graph: TypedGraph,
    /// Parameters, program and estimate.
    pub plan: Plan,
}

/// A candidate that breaks one.
pub struct Rejected {
    /// Its network, where it could be built.
    pub network: Option<String>,
    /// Its plan, where there is one.
    pub plan: Option<Plan>,
    /// Which limit.
    pub reason: String,
    /// By how much, relative to the limit.
    pub excess: f64,
}

/// Checks the bounds of the space, plans the network, and checks the limits of the study.
pub fn assess(
    space: &StriaSpace,
    candidate: &Candidate,
    limits: &Limits,
    lowerer: &mut Lowerer<'_>,
) -> Result<Assessed, Box<Rejected>> {
    let Candidate { genotype, packing } = candidate;
    let rejected = |network, plan, reason, excess| Err(Box::new(Rejected { network, plan, reason, excess }));
    if let Err(violation) = space.check(genotype) {
        return rejected(None, None, violation.to_string(), 1.0);
    }
    let graph = match space.build(genotype) {
        Ok(graph) => graph,
        Err(error) => return rejected(None, None, GraphError::to_string(&error), 1.0),
    };
    let options = PlanOptions { max_log_n: limits.max_log_n, packing: Some(*packing), ..PlanOptions::default() };
    let plan = match lowerer.plan(&graph, &options) {
        Ok(plan) => plan,
        Err(error) => return rejected(Some(graph.to_string()), None, CostError::to_string(&error), 1.0),
    };
    match broken_limit(&plan, limits) {
        Some((reason, excess)) => rejected(Some(graph.to_string()), Some(plan), reason, excess),
        None => Ok(Assessed { graph, plan }),
    }
}

fn broken_limit(plan: &Plan, limits: &Limits) -> Option<(String, f64)> {
    let latency = plan.estimate.latency.0 * 1e3;
    if let Some(limit) = limits.latency_ms.filter(|limit| latency > *limit) {
        return Some((format!("latency {latency:.1} ms is above limits.latency_ms = {limit}"), latency / limit - 1.0));
    }
    let memory = plan.estimate.memory.total().0 as f64 / f64::from(1u32 << 30);
    let limit = limits.memory_gib.filter(|limit| memory > *limit)?;
    Some((format!("memory {memory:.2} GiB is above limits.memory_gib = {limit}"), memory / limit - 1.0))
}
