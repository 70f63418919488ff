//! The free and the cheap stage of an evaluation: bounds, then the calibrated estimate.

use striae_spaces::{TypedGraph, space::StriaSpace};

use crate::{Limits, candidate::Candidate, coster::Coster, summary::CostSummary};

/// A candidate that keeps all limits.
pub struct Assessed {
    /// Its network, as the protocol runs it.
    pub graph: TypedGraph,
    /// What it costs.
    pub cost: CostSummary,
}

/// A candidate that breaks one.
pub struct Rejected {
    /// Its network, where it could be built.
    pub network: Option<String>,
    /// What it costs, where there is an estimate.
    pub cost: Option<CostSummary>,
    /// Which limit.
    pub reason: String,
    /// By how much, relative to the limit.
    pub excess: f64,
}

/// Checks the bounds of the space, costs the network, and checks the limits of the study.
pub fn assess(
    space: &StriaSpace,
    candidate: &Candidate,
    limits: &Limits,
    coster: &mut Coster<'_>,
) -> Result<Assessed, Box<Rejected>> {
    let Candidate { genotype, packing } = candidate;
    let rejected = |network, cost, reason, excess| Err(Box::new(Rejected { network, cost, reason, excess }));
    if let Err(violation) = space.check(genotype) {
        return rejected(None, None, violation.to_string(), 1.0);
    }
    let built = space.build(genotype).map_err(|e| e.to_string());
    let graph = match built.and_then(|graph| coster.network(graph).map_err(|e| e.to_string())) {
        Ok(graph) => graph,
        Err(reason) => return rejected(None, None, reason, 1.0),
    };
    let cost = match coster.cost(&graph, *packing) {
        Ok(cost) => cost,
        Err(error) => return rejected(Some(graph.to_string()), None, error.to_string(), 1.0),
    };
    match broken_limit(&cost, limits) {
        Some((reason, excess)) => rejected(Some(graph.to_string()), Some(cost), reason, excess),
        None => Ok(Assessed { graph, cost }),
    }
}

/// The first limit that `cost` breaks, and by how much, relative to the limit.
fn broken_limit(cost: &CostSummary, limits: &Limits) -> Option<(String, f64)> {
    let over = |limit: Option<f64>, value: f64| limit.filter(|limit| value > *limit).map(|limit| (limit, value));
    if let Some((limit, latency)) = over(limits.latency_ms, cost.latency_ms()) {
        return Some((format!("latency {latency:.1} ms is above limits.latency_ms = {limit}"), latency / limit - 1.0));
    }
    if let Some((limit, sent)) = over(limits.communication_mib, cost.communication_mib()) {
        let reason = format!("communication of {sent:.2} MiB is above limits.communication_mib = {limit}");
        return Some((reason, sent / limit - 1.0));
    }
    let (limit, memory) = over(limits.memory_gib, cost.memory_gib()?)?;
    Some((format!("memory {memory:.2} GiB is above limits.memory_gib = {limit}"), memory / limit - 1.0))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use striae_cost_model::Calibration;
    use striae_cost_model::hybrid::Protocol;
    use striae_spaces::space::builtin;

    use super::*;
    use crate::{Costing, LinkName, candidate::Candidates, sampler::GenotypeOps};

    #[test]
    fn the_first_limit_that_is_broken_is_named_under_every_protocol() {
        let candidates = Candidates::new(builtin("strianet-glyphs").unwrap(), &[]);
        let candidate = candidates.sample(&mut ChaCha8Rng::seed_from_u64(1));
        let calibration = Calibration::generic();
        let ckks = Costing::Ckks { packings: Vec::new(), max_log_n: 15 };
        let hybrid = Costing::Hybrid { protocol: Protocol::Cheetah, link: LinkName::Lan };
        for (costing, activation) in [(ckks, "quad"), (hybrid, "relu")] {
            let mut coster = Coster::new(&costing, &calibration);
            let mut assess = |limits: &Limits| assess(candidates.space(), &candidate, limits, &mut coster);
            let kept = assess(&Limits::default()).ok().expect("within no limits");
            assert!(kept.graph.to_string().contains(activation), "{costing}");
            let limit = kept.cost.communication_mib() / 2.0;
            let both = Limits { communication_mib: Some(limit), memory_gib: Some(1e-6), ..Limits::default() };
            let broken = assess(&both).err().expect("above the limit");
            assert!(broken.reason.contains("is above limits.communication_mib"), "{}", broken.reason);
            assert!((broken.excess - 1.0).abs() < 1e-9 && broken.cost == Some(kept.cost));
            let slow = Limits { latency_ms: Some(1e-3), ..both };
            let broken = assess(&slow).err().expect("above the limit");
            assert!(broken.reason.contains("is above limits.latency_ms"), "{}", broken.reason);
        }
    }
}
