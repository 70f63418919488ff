//! What parameters a network needs, and what would change if it or they were a little different.

use striae_cost_model::{CostError, Lowerer, Plan, PlanOptions, SecurityLevel};
use striae_spaces::{GraphBuilder, NodeId, Op, TypedGraph};

/// A change of the network or of its parameters, with the plan that follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What is changed, in words.
    pub what: String,
    /// The plan.
    pub plan: Plan,
}

/// The plan at each level of security.
pub fn by_security(
    lowerer: &mut Lowerer<'_>,
    graph: &TypedGraph,
    options: &PlanOptions,
) -> Vec<(SecurityLevel, Result<Plan, CostError>)> {
    let levels = SecurityLevel::ALL.into_iter();
    levels.map(|security| (security, lowerer.plan(graph, &PlanOptions { security, ..options.clone() }))).collect()
}

/// What a larger ring, an activation less and a block less would change. Of the activations and of the blocks that can be
/// taken out, the one whose absence saves most is.
pub fn changes(lowerer: &mut Lowerer<'_>, graph: &TypedGraph, plan: &Plan, options: &PlanOptions) -> Vec<Change> {
    let mut changes = Vec::new();
    let min_log_n = plan.params.log_n() + 1;
    if min_log_n <= options.max_log_n
        && let Ok(plan) = lowerer.plan(graph, &PlanOptions { min_log_n, ..options.clone() })
    {
        changes.push(Change { what: format!("N = 2^{min_log_n}"), plan });
    }
    let activations = graph.ids().filter(|&id| matches!(graph.node(id).op, Op::Activation(_)));
    let one_less = activations.filter_map(|id| without(graph, graph.node(id).inputs[0], id).map(|g| (id, id, g)));
    changes.extend(cheapest(lowerer, one_less, options, |from, _| format!("without the activation {from}")));
    let blocks = blocks(graph).into_iter().filter_map(|(a, b)| without(graph, a, b).map(|g| (NodeId(a.0 + 1), b, g)));
    changes.extend(cheapest(lowerer, blocks, options, |from, to| format!("without the block {from} to {to}")));
    changes
}

fn cheapest(
    lowerer: &mut Lowerer<'_>,
    candidates: impl Iterator<Item = (NodeId, NodeId, TypedGraph)>,
    options: &PlanOptions,
    what: impl Fn(NodeId, NodeId) -> String,
) -> Option<Change> {
    let plans = candidates.filter_map(|(from, to, graph)| {
        let plan = lowerer.plan(&graph, options).ok()?;
        Some(Change { what: what(from, to), plan })
    });
    plans.min_by(|a, b| a.plan.estimate.latency.0.total_cmp(&b.plan.estimate.latency.0))
}

/// The residual blocks that keep their shape: from the value that both operands of an addition go back to, to the
/// activation behind the addition.
fn blocks(graph: &TypedGraph) -> Vec<(NodeId, NodeId)> {
    let follows = |end: &NodeId| {
        let [add] = *graph.node(*end).inputs.as_slice() else { return None };
        let start = *graph.node(add).inputs.iter().min()?;
        let is_block = matches!(graph.node(*end).op, Op::Activation(_)) && matches!(graph.node(add).op, Op::Add);
        is_block.then_some((start, *end))
    };
    graph.ids().filter_map(|end| follows(&end)).collect()
}

/// The network without the nodes behind `start` up to `end`, whose readers read `start` instead; `None` where others read
/// them too, they read others, or shapes differ.
fn without(graph: &TypedGraph, start: NodeId, end: NodeId) -> Option<TypedGraph> {
    let inside = |id: NodeId| start < id && id <= end;
    let mut builder = GraphBuilder::new(graph.input_shape()).ok()?;
    let mut places = vec![NodeId(0)];
    for id in graph.ids().skip(1) {
        let node = graph.node(id);
        if inside(id) {
            if node.inputs.iter().any(|&input| input < start) {
                return None;
            }
            places.push(places[start.index()]);
            continue;
        }
        if node.inputs.iter().any(|&input| inside(input) && input != end) {
            return None;
        }
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| places[input.index()]).collect();
        places.push(builder.push(node.op.clone(), &inputs).ok()?);
    }
    let shorter = builder.build().ok()?;
    (shorter.output_shape() == graph.output_shape()).then_some(shorter)
}

#[cfg(test)]
mod tests {
    use striae_cost_model::Calibration;
    use striae_spaces::zoo;

    use super::*;

    #[test]
    fn blocks_and_activations_are_taken_out_whole() {
        let graph: TypedGraph =
            "1x16x16: conv(8,k3) quad conv(8,k3) quad conv(8,k3) add(n2) quad flatten linear(4)".parse().unwrap();
        let [block] = blocks(&graph)[..] else { panic!("one block") };
        let shorter = without(&graph, block.0, block.1).unwrap();
        assert_eq!(shorter.to_string(), "1x16x16: conv(8,k3) quad flatten linear(4)");
        let linear = without(&graph, NodeId(3), NodeId(4)).unwrap();
        assert_eq!(linear.to_string(), "1x16x16: conv(8,k3) quad conv(8,k3) conv(8,k3) add(n2) quad flatten linear(4)");
        // A convolution that changes the shape cannot go.
        assert_eq!(without(&graph, NodeId(0), NodeId(1)).map(|g| g.to_string()), None);
    }

    #[test]
    fn every_change_of_a_strianet_costs_less_or_is_a_larger_ring() {
        let (calibration, options) = (Calibration::generic(), PlanOptions::default());
        let mut lowerer = Lowerer::new(&calibration);
        let graph = zoo::build("strianet-mnist").unwrap();
        let plan = lowerer.plan(&graph, &options).unwrap();
        let changes = changes(&mut lowerer, &graph, &plan, &options);
        assert_eq!(changes.len(), 3);
        assert_eq!(changes[0].plan.params.log_n(), plan.params.log_n() + 1);
        for change in &changes[1..] {
            assert!(change.plan.program.depth() < plan.program.depth(), "{}", change.what);
            assert!(change.plan.estimate.latency < plan.estimate.latency, "{}", change.what);
        }
        let secure = by_security(&mut lowerer, &graph, &options);
        let log_n = |i: usize| secure[i].1.as_ref().unwrap().params.log_n();
        assert!(log_n(0) <= log_n(1) && log_n(1) <= log_n(2) && log_n(0) < log_n(2));
    }
}
