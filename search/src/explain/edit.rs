//! A network with some operations replaced or left out.

use std::collections::BTreeMap;

use striae_spaces::{GraphBuilder, GraphError, NodeId, Op, TypedGraph};

/// Changes to make to a network.
#[derive(Clone, Debug, Default)]
pub(super) struct Edit {
    /// Other operations for these nodes.
    pub(super) replace: BTreeMap<NodeId, Op>,
    /// Nodes whose readers read another, earlier one instead.
    pub(super) skip: BTreeMap<NodeId, NodeId>,
}

impl Edit {
    /// The changed network, without the nodes that nothing reads any more; an error if it does not type-check.
    pub(super) fn apply(&self, graph: &TypedGraph) -> Result<TypedGraph, GraphError> {
        let resolve = |mut id: NodeId| {
            while let Some(&earlier) = self.skip.get(&id) {
                id = earlier;
            }
            id
        };
        let mut read = vec![false; graph.nodes().len()];
        read[resolve(graph.output()).index()] = true;
        let ids: Vec<NodeId> = graph.ids().collect();
        for id in ids.iter().rev().filter(|id| !self.skip.contains_key(id)) {
            if read[id.index()] {
                graph.node(*id).inputs.iter().for_each(|&input| read[resolve(input).index()] = true);
            }
        }
        let mut builder = GraphBuilder::new(graph.input_shape())?;
        let mut place = BTreeMap::from([(NodeId(0), NodeId(0))]);
        for &id in ids[1..].iter().filter(|id| read[id.index()]) {
            let node = graph.node(id);
            let inputs: Vec<NodeId> = node.inputs.iter().map(|&input| place[&resolve(input)]).collect();
            let op = self.replace.get(&id).unwrap_or(&node.op);
            place.insert(id, builder.push(op.clone(), &inputs)?);
        }
        builder.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(text: &str) -> TypedGraph {
        text.parse().unwrap()
    }

    #[test]
    fn skipped_nodes_take_with_them_what_only_they_read() {
        let net = graph("1x8x8: conv(4,k3) quad conv(4,k3) quad conv(4,k3) add(n2) quad flatten linear(10)");
        let add = net.ids().find(|&id| net.node(id).op == Op::Add).unwrap();
        let shortcut = *net.node(add).inputs.iter().min().unwrap();
        let edit = Edit { skip: [(add, shortcut)].into(), ..Edit::default() };
        let shorter = edit.apply(&net).unwrap();
        assert_eq!(shorter, graph("1x8x8: conv(4,k3) quad quad flatten linear(10)"));
    }

    #[test]
    fn what_does_not_type_check_is_an_error() {
        let net = graph("1x8x8: conv(4,k3) quad flatten linear(10)");
        let edit = Edit { replace: [(NodeId(3), Op::BatchNorm)].into(), ..Edit::default() };
        assert!(edit.apply(&net).is_err());
    }
}
