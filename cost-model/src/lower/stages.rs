//! Which nodes of a network become which steps.
//!
//! Linear operators are kept pending until something reads their value, so that a residual addition joins the step of the
//! convolution before it, and convolutions with nothing between them can be fused into one. Batch norms are part of the
//! linear operator before them, factors of average pools and the outer coefficients of activations move into the next
//! linear operator: none of these is a step.

use striae_spaces::{Activation, AvgPool, Conv2d, NodeId, Op, TypedGraph};

use crate::{CostError, Source, SourceOp, ValueId, packing::Packing};

use super::convs::fusable;

/// Most weights of one layer; VGG-16's largest has 103 million.
pub(super) const MAX_WEIGHTS: usize = 1 << 27;

/// A step before its layouts and rotations are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Sum of linear operators.
    Linear {
        /// The operators.
        sources: Vec<Source>,
        /// Node whose value it is.
        node: NodeId,
    },
    /// Square.
    Square {
        /// Operand.
        input: ValueId,
        /// The activation.
        node: NodeId,
        /// Whether a vector is added first.
        shift: bool,
    },
    /// Sums over pooling windows.
    WindowSum {
        /// Operand.
        input: ValueId,
        /// The pooling.
        node: NodeId,
    },
}

impl Stage {
    /// The node whose value it makes.
    pub(crate) fn node(&self) -> NodeId {
        match self {
            Self::Linear { node, .. } | Self::Square { node, .. } | Self::WindowSum { node, .. } => *node,
        }
    }
}

/// Choices of the splitting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Staging {
    /// Whether convolutions without an activation between them become one.
    pub(crate) fuse: bool,
    /// Whether an average pool joins the fully connected layers behind it.
    pub(crate) fold_pools: bool,
    /// Whether other pools are window sums, which take no level, or linear steps.
    pub(crate) window_sums: bool,
}

impl Staging {
    /// What a packing and a batch of `batch` images want. Planes of one channel are not summed by one rotation, nor are maps
    /// in a single-shot layout. A batch has its channels in many ciphertexts: summing windows there is cheaper than a
    /// diagonal for each of their pixels.
    pub(crate) fn of(fuse: bool, packing: Packing, batch: usize) -> Self {
        let (fold_pools, window_sums) = match packing {
            Packing::RowMajor | Packing::GroupInterleaved | Packing::Multiplexed => (batch == 1, true),
            Packing::MultiplexedBsgs => (false, false),
            Packing::Block(_) => (batch == 1, false),
        };
        Self { fuse, fold_pools, window_sums }
    }
}

/// Splits `graph` into stages.
pub(crate) fn stages(graph: &TypedGraph, staging: Staging) -> Result<Vec<Stage>, CostError> {
    let mut builder = Builder {
        graph,
        staging,
        consumers: graph.consumers(),
        exprs: vec![Expr::Value(ValueId(0))],
        stages: Vec::new(),
        linear: vec![false],
        affine: vec![false],
    };
    for id in graph.ids().skip(1) {
        let expr = builder.expr(id)?;
        builder.exprs.push(expr);
        if builder.consumers[id.index()].len() > 1 || id == graph.output() {
            builder.materialise(id);
        }
    }
    builder.finish();
    Ok(builder.stages)
}

/// What is known of a node's value.
#[derive(Clone)]
enum Expr {
    /// It is a value of the program.
    Value(ValueId),
    /// A sum of operators that no step computes yet.
    Pending(Vec<Source>),
    /// An average pool that the fully connected layer behind it will absorb.
    Pooled { input: ValueId, pool: NodeId },
}

struct Builder<'a> {
    graph: &'a TypedGraph,
    staging: Staging,
    consumers: Vec<Vec<NodeId>>,
    exprs: Vec<Expr>,
    stages: Vec<Stage>,
    /// For each value, whether a linear step made it, so that a bias can be added there.
    linear: Vec<bool>,
    /// For each value, whether the network's value differs from it by a per-element affine map.
    affine: Vec<bool>,
}

impl Builder<'_> {
    fn expr(&mut self, id: NodeId) -> Result<Expr, CostError> {
        let node = self.graph.node(id);
        let first = node.inputs[0];
        match &node.op {
            Op::Input => Ok(Expr::Value(ValueId(0))),
            Op::Conv2d(conv) => Ok(self.conv(id, first, conv)),
            Op::Linear(_) => Ok(self.dense(id, first)),
            Op::BatchNorm => Ok(self.batch_norm(id, first)),
            Op::Add => Ok(self.add(first, node.inputs[1])),
            Op::Flatten => match self.exprs[first.index()].clone() {
                pooled @ Expr::Pooled { .. } => Ok(pooled),
                Expr::Value(_) | Expr::Pending(_) => Ok(Expr::Value(self.materialise(first))),
            },
            Op::AvgPool(pool) => Ok(self.pool(id, first, pool)),
            Op::Activation(Activation::Quadratic) => Ok(Expr::Value(self.square(id, first))),
            Op::Activation(Activation::Relu) => Err(CostError::Unsupported {
                node: id,
                op: "relu",
                why: "only polynomial activations run on ciphertexts".to_owned(),
            }),
        }
    }

    fn conv(&mut self, id: NodeId, input: NodeId, conv: &Conv2d) -> Expr {
        if let Expr::Pending(sources) = &self.exprs[input.index()]
            && let [Source { input: value, op: SourceOp::Conv(chain) }] = sources.as_slice()
            && self.staging.fuse
            && fusable(self.graph, chain, conv)
        {
            let chain = chain.iter().copied().chain([id]).collect();
            return Expr::Pending(vec![Source { input: *value, op: SourceOp::Conv(chain) }]);
        }
        let value = self.materialise(input);
        Expr::Pending(vec![Source { input: value, op: SourceOp::Conv(vec![id]) }])
    }

    fn dense(&mut self, id: NodeId, input: NodeId) -> Expr {
        let (input, pool) = match self.exprs[input.index()].clone() {
            Expr::Pooled { input, pool } => (input, Some(pool)),
            Expr::Value(_) | Expr::Pending(_) => (self.materialise(input), None),
        };
        Expr::Pending(vec![Source { input, op: SourceOp::Dense { linear: id, pool } }])
    }

    /// A batch norm behind an operator nobody else reads is part of it; elsewhere it is an operator of its own.
    fn batch_norm(&mut self, id: NodeId, input: NodeId) -> Expr {
        if let Expr::Pending(sources) = &self.exprs[input.index()]
            && matches!(self.graph.node(input).op, Op::Conv2d(_) | Op::Linear(_))
        {
            return Expr::Pending(sources.clone());
        }
        let value = self.materialise(input);
        Expr::Pending(vec![Source { input: value, op: SourceOp::Conv(vec![id]) }])
    }

    fn add(&mut self, left: NodeId, right: NodeId) -> Expr {
        let mut sources = Vec::new();
        for operand in [left, right] {
            match self.exprs[operand.index()].clone() {
                Expr::Pending(pending) => sources.extend(pending),
                Expr::Value(_) | Expr::Pooled { .. } => {
                    sources.push(Source { input: self.materialise(operand), op: SourceOp::Identity });
                }
            }
        }
        Expr::Pending(sources)
    }

    fn pool(&mut self, id: NodeId, input: NodeId, pool: &AvgPool) -> Expr {
        let value = self.materialise(input);
        if self.staging.fold_pools && self.joins_dense(id, input) {
            return Expr::Pooled { input: value, pool: id };
        }
        if pool.size == 1 && pool.stride == 1 {
            return Expr::Value(value);
        }
        if !self.staging.window_sums {
            return Expr::Pending(vec![Source { input: value, op: SourceOp::Pool(id) }]);
        }
        Expr::Value(self.push(Stage::WindowSum { input: value, node: id }, false, true))
    }

    /// Whether all that reads a pool is one flatten, and all that reads that are fully connected layers, which have room for
    /// a weight for each pixel before the pool.
    fn joins_dense(&self, pool: NodeId, input: NodeId) -> bool {
        let joins = |reader: &NodeId| match &self.graph.node(*reader).op {
            Op::Linear(linear) => linear.out_features.saturating_mul(self.graph.shape(input).len()) <= MAX_WEIGHTS,
            Op::Input | Op::Conv2d(_) | Op::AvgPool(_) | Op::Activation(_) | Op::Add | Op::Flatten | Op::BatchNorm => {
                false
            }
        };
        match self.consumers[pool.index()].as_slice() {
            [flatten] if matches!(self.graph.node(*flatten).op, Op::Flatten) => {
                let readers = &self.consumers[flatten.index()];
                !readers.is_empty() && readers.iter().all(joins)
            }
            _ => false,
        }
    }

    fn square(&mut self, id: NodeId, input: NodeId) -> ValueId {
        let value = self.materialise(input);
        // The shift b / 2a of the completed square joins the bias of the step before, if that serves only this reader.
        let sole = self.consumers[input.index()].len() == 1;
        let shift = !(sole && self.linear[value.index()]);
        self.push(Stage::Square { input: value, node: id, shift }, false, true)
    }

    fn materialise(&mut self, id: NodeId) -> ValueId {
        let value = match self.exprs[id.index()].clone() {
            Expr::Value(value) => value,
            Expr::Pending(sources) => self.push(Stage::Linear { sources, node: id }, true, false),
            Expr::Pooled { input, pool } if self.staging.window_sums => {
                self.push(Stage::WindowSum { input, node: pool }, false, true)
            }
            Expr::Pooled { input, pool } => {
                let sources = vec![Source { input, op: SourceOp::Pool(pool) }];
                self.push(Stage::Linear { sources, node: pool }, true, false)
            }
        };
        self.exprs[id.index()] = Expr::Value(value);
        value
    }

    fn push(&mut self, stage: Stage, linear: bool, affine: bool) -> ValueId {
        self.stages.push(stage);
        self.linear.push(linear);
        self.affine.push(affine);
        ValueId(self.stages.len() as u32)
    }

    /// The result must be the network's value itself, so a pending affine map ends in a step of its own.
    fn finish(&mut self) {
        let output = self.graph.output();
        let value = self.materialise(output);
        let last = ValueId(self.stages.len() as u32);
        if self.affine[value.index()] || value != last {
            let sources = vec![Source { input: value, op: SourceOp::Identity }];
            self.push(Stage::Linear { sources, node: output }, true, false);
        }
    }
}
