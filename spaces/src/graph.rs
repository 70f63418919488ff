//! The typed graph: operations in topological order with inferred shapes.
//!
//! [`GraphBuilder::push`] infers the shape of a node when it is added and refuses what does not type-check, so every
//! [`TypedGraph`] in the program is well-typed. [`GraphLiteral`] is the unchecked form that files hold.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AvgPool, Conv2d, GraphError, Grouping, Linear, Op, Padding, Shape};

/// Most values one node may hold; products of two such sizes still fit 64 bits.
const MAX_VALUES: usize = 1 << 31;
/// Largest kernel side and stride.
const MAX_SIDE: usize = 255;

/// Index of a node in its graph; node 0 is the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u32);

impl NodeId {
    /// Position in the node list.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// One operation with its inputs and the shape of its result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// Earlier nodes it reads, in order.
    pub inputs: Vec<NodeId>,
    /// Shape of its result.
    pub shape: Shape,
}

/// A well-typed network. The last node is the output; every other node is read by a later one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TypedGraph {
    nodes: Vec<Node>,
}

impl TypedGraph {
    /// Nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Ids in topological order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Shape of a node's result.
    pub fn shape(&self, id: NodeId) -> Shape {
        self.node(id).shape
    }

    /// Shape of the image.
    pub fn input_shape(&self) -> Shape {
        self.nodes[0].shape
    }

    /// The output node.
    pub fn output(&self) -> NodeId {
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// Shape of the result.
    pub fn output_shape(&self) -> Shape {
        self.shape(self.output())
    }

    /// For each node, the nodes that read it.
    pub fn consumers(&self) -> Vec<Vec<NodeId>> {
        let mut consumers = vec![Vec::new(); self.nodes.len()];
        for id in self.ids() {
            for input in &self.node(id).inputs {
                consumers[input.index()].push(id);
            }
        }
        consumers
    }

    /// The unchecked form, for files.
    pub fn to_literal(&self) -> GraphLiteral {
        GraphLiteral {
            input: self.input_shape(),
            nodes: self.nodes[1..].iter().map(|n| NodeLiteral { op: n.op.clone(), inputs: n.inputs.clone() }).collect(),
        }
    }
}

/// Unchecked graph as files hold it; node `i` of the list is node `i + 1` of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphLiteral {
    /// Shape of the image.
    pub input: Shape,
    /// Operations in topological order.
    pub nodes: Vec<NodeLiteral>,
}

/// One operation of a [`GraphLiteral`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeLiteral {
    /// What it computes.
    pub op: Op,
    /// Earlier nodes it reads.
    pub inputs: Vec<NodeId>,
}

impl TryFrom<GraphLiteral> for TypedGraph {
    type Error = GraphError;

    fn try_from(literal: GraphLiteral) -> Result<Self, GraphError> {
        let mut builder = GraphBuilder::new(literal.input)?;
        for node in literal.nodes {
            builder.push(node.op, &node.inputs)?;
        }
        builder.build()
    }
}

/// Builds a [`TypedGraph`] node by node.
#[derive(Clone, Debug)]
pub struct GraphBuilder {
    nodes: Vec<Node>,
}

impl GraphBuilder {
    /// Starts with the image.
    pub fn new(input: Shape) -> Result<Self, GraphError> {
        check_size(input)?;
        if input.is_empty() {
            return Err(GraphError::EmptyInput { shape: input });
        }
        Ok(Self { nodes: vec![Node { op: Op::Input, inputs: Vec::new(), shape: input }] })
    }

    /// The node added last.
    pub fn last(&self) -> NodeId {
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// Shape of a node's result.
    pub fn shape(&self, id: NodeId) -> Shape {
        self.nodes[id.index()].shape
    }

    /// Adds an operation on `inputs` and returns its node.
    pub fn push(&mut self, op: Op, inputs: &[NodeId]) -> Result<NodeId, GraphError> {
        let id = NodeId(self.nodes.len() as u32);
        if let Some(&input) = inputs.iter().find(|i| i.index() >= self.nodes.len()) {
            return Err(GraphError::UnknownInput { node: id, input });
        }
        let shapes: Vec<Shape> = inputs.iter().map(|&i| self.shape(i)).collect();
        let shape = infer(&op, &shapes)?;
        check_size(shape)?;
        self.nodes.push(Node { op, inputs: inputs.to_vec(), shape });
        Ok(id)
    }

    /// Adds an operation on the node added last.
    pub fn then(&mut self, op: Op) -> Result<NodeId, GraphError> {
        self.push(op, &[self.last()])
    }

    /// Finishes the graph; the node added last is the output.
    pub fn build(self) -> Result<TypedGraph, GraphError> {
        if self.nodes.len() < 2 {
            return Err(GraphError::Empty);
        }
        let mut read = vec![false; self.nodes.len()];
        for input in self.nodes.iter().flat_map(|n| &n.inputs) {
            read[input.index()] = true;
        }
        match read[..read.len() - 1].iter().position(|r| !r) {
            Some(i) => Err(GraphError::Unused { node: NodeId(i as u32) }),
            None => Ok(TypedGraph { nodes: self.nodes }),
        }
    }
}

fn infer(op: &Op, inputs: &[Shape]) -> Result<Shape, GraphError> {
    let arity = |op, expected| {
        if inputs.len() == expected { Ok(()) } else { Err(GraphError::Arity { op, expected, got: inputs.len() }) }
    };
    match op {
        Op::Input => Err(GraphError::Arity { op: "input", expected: 0, got: inputs.len() }),
        Op::Conv2d(conv) => arity("conv", 1).and_then(|()| infer_conv(conv, inputs[0])),
        Op::Linear(linear) => arity("linear", 1).and_then(|()| infer_linear(linear, inputs[0])),
        Op::AvgPool(pool) => arity("pool", 1).and_then(|()| infer_pool(pool, inputs[0])),
        Op::Activation(_) => arity("activation", 1).map(|()| inputs[0]),
        Op::BatchNorm => arity("batch norm", 1).map(|()| inputs[0]),
        Op::Flatten => arity("flatten", 1).map(|()| Shape::vector(inputs[0].len())),
        Op::Add => {
            arity("add", 2)?;
            if inputs[0] == inputs[1] {
                Ok(inputs[0])
            } else {
                Err(GraphError::AddShapes { left: inputs[0], right: inputs[1] })
            }
        }
    }
}

fn check_size(shape: Shape) -> Result<(), GraphError> {
    match shape.checked_len() {
        Some(len) if len <= MAX_VALUES => Ok(()),
        _ => Err(GraphError::TooLarge { shape, limit: MAX_VALUES }),
    }
}

fn field(op: &'static str, field: &'static str, value: usize, why: &str) -> GraphError {
    GraphError::BadField { op, field, value, why: why.to_owned() }
}

fn infer_conv(conv: &Conv2d, input: Shape) -> Result<Shape, GraphError> {
    let Shape::Map { channels, height, width } = input else {
        return Err(GraphError::BadInput { op: "conv", shape: input, why: "it needs a map".to_owned() });
    };
    let (k, groups) = (conv.kernel.size, conv.groups);
    for (name, value) in [("kernel", k), ("stride", conv.stride), ("groups", groups), ("channels", conv.out_channels)] {
        if value == 0 {
            return Err(field("conv", name, value, "must be at least 1"));
        }
    }
    if k > MAX_SIDE || conv.stride > MAX_SIDE {
        let (name, value) = if k > MAX_SIDE { ("kernel", k) } else { ("stride", conv.stride) };
        return Err(field("conv", name, value, &format!("must be at most {MAX_SIDE}")));
    }
    if !channels.is_multiple_of(groups) || !conv.out_channels.is_multiple_of(groups) {
        let why = format!("must divide {channels} input and {} output channels", conv.out_channels);
        return Err(field("conv", "groups", groups, &why));
    }
    if let Grouping::Shifted { blocks } = conv.grouping
        && (blocks == 0 || !groups.is_multiple_of(blocks))
    {
        return Err(field("conv", "blocks", blocks, &format!("must divide {groups} groups")));
    }
    let side = |n: usize| match conv.padding {
        Padding::Same => Some(n.div_ceil(conv.stride)),
        Padding::Valid => n.checked_sub(k).map(|d| d / conv.stride + 1),
    };
    match (side(height), side(width)) {
        (Some(h), Some(w)) => Ok(Shape::map(conv.out_channels, h, w)),
        _ => Err(field("conv", "kernel", k, &format!("is larger than the {height}x{width} map"))),
    }
}

fn infer_linear(linear: &Linear, input: Shape) -> Result<Shape, GraphError> {
    match input {
        Shape::Map { .. } => Err(GraphError::BadInput {
            op: "linear",
            shape: input,
            why: "it needs a vector (add a flatten)".to_owned(),
        }),
        Shape::Vector { .. } if linear.out_features == 0 => Err(field("linear", "features", 0, "must be at least 1")),
        Shape::Vector { .. } => Ok(Shape::vector(linear.out_features)),
    }
}

fn infer_pool(pool: &AvgPool, input: Shape) -> Result<Shape, GraphError> {
    let Shape::Map { channels, height, width } = input else {
        return Err(GraphError::BadInput { op: "pool", shape: input, why: "it needs a map".to_owned() });
    };
    if pool.size == 0 || pool.stride == 0 {
        return Err(field("pool", "size", pool.size.min(pool.stride), "and stride must be at least 1"));
    }
    if pool.size > height || pool.size > width {
        return Err(field("pool", "size", pool.size, &format!("is larger than the {height}x{width} map")));
    }
    let side = |n: usize| (n - pool.size) / pool.stride + 1;
    Ok(Shape::map(channels, side(height), side(width)))
}
