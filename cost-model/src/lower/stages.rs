//! Which nodes of a network become which steps.
//!
//! Linear operators are kept pending until something reads their value, so that a residual addition joins the step of the
//! convolution before it, and convolutions with nothing between them can be fused into one. Batch norms are part of the
//! linear operator before them, factors of average pools and the outer coefficients of activations move into the next
//! linear operator: none of these is a step.

use striae_spaces::{
    Activation, AvgPool, Conv2d, Grouping, Kernel, KernelMask, NodeId, Op, Padding, Shape, TypedGraph,
};

use crate::{
    CostError, Source, SourceOp, ValueId,
    packing::{Layout, Packing},
};

/// Most weights of one layer; VGG-16's largest has 103 million.
pub(super) const MAX_WEIGHTS: usize = 1 << 27;

/// A step before its layouts and rotations are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
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
    pub fn node(&self) -> NodeId {
        match self {
            Self::Linear { node, .. } | Self::Square { node, .. } | Self::WindowSum { node, .. } => *node,
        }
    }
}

/// A convolution as the lowering sees it: one of the network, a fused chain, or the identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvDesc {
    /// Shape read.
    pub input: Shape,
    /// Shape produced.
    pub output: Shape,
    /// Connectivity, taps, stride; the bias flag is not used.
    pub conv: Conv2d,
}

/// Choices of the splitting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staging {
    /// Whether convolutions without an activation between them become one.
    pub fuse: bool,
    /// Whether an average pool joins the fully connected layers behind it.
    pub fold_pools: bool,
    /// Whether other pools are window sums, which take no level, or linear steps.
    pub window_sums: bool,
}

impl Staging {
    /// What a packing and a batch of `batch` images want. Planes of one channel are not summed by one rotation, nor are maps
    /// in a single-shot layout. A batch has its channels in many ciphertexts: summing windows there is cheaper than a
    /// diagonal for each of their pixels.
    pub fn of(fuse: bool, packing: Packing, batch: usize) -> Self {
        let (fold_pools, window_sums) = match packing {
            Packing::RowMajor | Packing::GroupInterleaved | Packing::Multiplexed => (batch == 1, true),
            Packing::MultiplexedBsgs => (false, false),
            Packing::Block(_) => (batch == 1, false),
        };
        Self { fuse, fold_pools, window_sums }
    }
}

/// Splits `graph` into stages.
pub fn stages(graph: &TypedGraph, staging: Staging) -> Result<Vec<Stage>, CostError> {
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

/// Whether `next` can join the chain: at most one convolution of it reads neighbours or strides, and the groups compose.
fn fusable(graph: &TypedGraph, chain: &[NodeId], next: &Conv2d) -> bool {
    let convs: Option<Vec<&Conv2d>> = chain.iter().map(|&id| conv_of(graph, id)).collect();
    let Some(mut convs) = convs else { return false };
    convs.push(next);
    let moving = convs.iter().filter(|c| !c.kernel.is_point() || c.stride != 1).count();
    // A point convolution behind padding and stride commutes with it; one before a stride does too.
    let shifted_later = convs[1..].iter().any(|c| matches!(c.grouping, Grouping::Shifted { .. }) && c.groups > 1);
    moving <= 1 && !shifted_later && composed_groups(&convs).is_some()
}

fn conv_of(graph: &TypedGraph, id: NodeId) -> Option<&Conv2d> {
    match &graph.node(id).op {
        Op::Conv2d(conv) => Some(conv),
        Op::Input | Op::Linear(_) | Op::AvgPool(_) | Op::Activation(_) | Op::Add | Op::Flatten | Op::BatchNorm => None,
    }
}

/// Groups of a composition: those of its parts where all agree and are interleaved, none where one part is dense.
fn composed_groups(convs: &[&Conv2d]) -> Option<(usize, Grouping)> {
    let (groups, grouping) = (convs[0].groups, convs[0].grouping);
    if convs.iter().any(|c| c.groups == 1) {
        return Some((1, Grouping::Contiguous));
    }
    let interleaved = |c: &&&Conv2d| c.groups == groups && c.grouping == Grouping::Interleaved;
    let first = matches!(grouping, Grouping::Interleaved | Grouping::Shifted { .. });
    (first && convs[1..].iter().all(|c| interleaved(&c))).then_some((groups, grouping))
}

/// The convolution that a source of the step for `node` amounts to, on an operand with this layout; `None` for vectors that
/// are only copied, and for fully connected layers unless images stand in gaps of the map: where channels of one image are
/// far apart and those of another between them, a layer is a convolution with a kernel as large as the map.
pub fn source_desc(graph: &TypedGraph, op: &SourceOp, layout: &Layout, node: NodeId) -> Option<ConvDesc> {
    let Layout::Map(map) = layout else { return None };
    let input = Shape::map(map.channels, map.height, map.width);
    let chain = match op {
        SourceOp::Dense { linear, .. } => {
            let square = map.has_images_in_gaps() && map.height == map.width;
            let outputs = graph.shape(*linear).len();
            let conv = Conv2d { padding: Padding::Valid, ..Conv2d::dense(outputs, map.height) };
            return square.then(|| ConvDesc { input, output: Shape::map(outputs, 1, 1), conv });
        }
        SourceOp::Pool(pool) => {
            let Op::AvgPool(AvgPool { size, stride }) = &graph.node(*pool).op else { return None };
            let (stride, padding) = (*stride, Padding::Valid);
            let conv = Conv2d { groups: map.channels, stride, padding, ..Conv2d::dense(map.channels, *size) };
            return Some(ConvDesc { input, output: graph.shape(*pool), conv });
        }
        SourceOp::Identity => &[],
        SourceOp::Conv(chain) => chain.as_slice(),
    };
    let convs: Vec<&Conv2d> = chain.iter().filter_map(|&id| conv_of(graph, id)).collect();
    // The identity, or a batch norm that stands alone.
    if convs.is_empty() {
        return Some(ConvDesc { input, output: input, conv: depthwise_point(map.channels) });
    }
    Some(ConvDesc { input, output: graph.shape(node), conv: compose(&convs) })
}

fn depthwise_point(channels: usize) -> Conv2d {
    Conv2d { groups: channels, ..Conv2d::dense(channels, 1) }
}

fn compose(convs: &[&Conv2d]) -> Conv2d {
    let last = convs[convs.len() - 1];
    let [first] = convs else {
        let (groups, grouping) = composed_groups(convs).unwrap_or((1, Grouping::Contiguous));
        let mut kernel = Kernel { size: 1, mask: KernelMask::Full };
        let (mut stride, mut padding) = (1, Padding::Same);
        for conv in convs {
            stride *= conv.stride;
            if !conv.kernel.is_point() {
                (kernel, padding) = (conv.kernel, conv.padding);
            }
        }
        // Alternating stripes of the middle ciphertexts all reach every output of their group.
        if kernel.mask == KernelMask::Alternating {
            kernel.mask = KernelMask::Cross;
        }
        return Conv2d { out_channels: last.out_channels, kernel, stride, padding, groups, grouping, bias: false };
    };
    Conv2d { bias: false, ..(*first).clone() }
}
