//! `striae cost --json` under the ckks protocol.

use serde::Serialize;
use striae_cost_model::{BatchEstimate, Estimate, OpCounts, Packing, RotationKinds, Security};
use striae_reports::view::NetworkView;

use super::super::calibration::{Chosen, Source};
use super::super::explain::Explanation;
use super::ckks::{Blocks, Comparison, Costed};

/// The JSON form.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    calibration: Source<'a>,
    networks: Vec<NetworkJson<'a>>,
    /// One per plain counterpart, in the order of the networks.
    blocks: Vec<Blocks>,
    /// With `--explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<&'a Explanation>,
}

#[derive(Serialize)]
struct NetworkJson<'a> {
    params: String,
    insecure: bool,
    packing: Packing,
    rotations: RotationKinds,
    counts: OpCounts,
    steps: Vec<StepJson>,
    estimate: &'a Estimate,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<BatchEstimate>,
    network: &'a NetworkView,
}

#[derive(Serialize)]
struct StepJson {
    node: String,
    rotations: RotationKinds,
    counts: OpCounts,
}

impl<'a> Document<'a> {
    pub(super) fn new(
        network: &'a Costed,
        comparisons: &'a [Comparison],
        chosen: &'a Chosen,
        explanation: Option<&'a Explanation>,
    ) -> Self {
        let all = std::iter::once(network).chain(comparisons.iter().map(|(costed, _)| costed));
        let blocks = comparisons.iter().filter_map(|(c, b)| b.as_ref().map(|b| Blocks::of(network, c, b)));
        Self {
            calibration: chosen.as_source(),
            networks: all.map(NetworkJson::new).collect(),
            blocks: blocks.collect(),
            explanation,
        }
    }
}

impl<'a> NetworkJson<'a> {
    fn new(costed: &'a Costed) -> Self {
        let program = &costed.plan.program;
        let step = |i: usize| StepJson {
            node: program.steps[i].node.to_string(),
            rotations: program.step_rotation_kinds(i),
            counts: program.step_counts(i),
        };
        Self {
            params: costed.plan.params.to_string(),
            packing: program.packing,
            insecure: costed.plan.params.security() == Security::Insecure,
            rotations: program.rotation_kinds(),
            counts: program.counts(),
            steps: (0..program.steps.len()).map(step).collect(),
            estimate: &costed.plan.estimate,
            batch: (program.batch() > 1)
                .then(|| BatchEstimate::of(program, &costed.plan.params, costed.plan.estimate.latency)),
            network: &costed.view,
        }
    }
}
