//! A network laid out but without levels: what all parameters of one ring degree have in common.

use std::sync::Arc;

use striae_spaces::{AvgPool, NodeId, Op, TypedGraph};

use crate::{
    CostError, HeProgram, LinearStep, OpCounts, Source, SourceOp, Step, StepKind, StepWork,
    Strategy, StrategyChoice, Value, ValueId,
    packing::{Layout, Packing},
    program::{square_counts, window_counts},
};

use super::{
    LowerOptions,
    dense::Embedding,
    diagonals::rotation,
    input::input_layout,
    kept::{Diagonals, Operand, kept_diagonals},
    layers::{Layer, LayerKey, Layers, LayoutId, Operator, StepPrice},
    places::{DiagonalId, StepPlaces},
    stages::{Stage, Staging, source_desc, stages},
    step_links::operand_ciphertexts,
    times::Times,
};

/// The stages of a network with their multiplicative depths.
#[derive(PartialEq, Eq)]
pub(crate) struct Staged {
    stages: Vec<Stage>,
    /// Of every value, the input first.
    depths: Vec<usize>,
}

impl Staged {
    /// Splits `graph` into stages.
    pub(crate) fn new(graph: &TypedGraph, staging: Staging) -> Result<Self, CostError> {
        let stages = stages(graph, staging)?;
        let mut depths = vec![0];
        for stage in &stages {
            let depth = match stage {
                Stage::Linear { sources, .. } => 1 + sources.iter().map(|s| depths[s.input.index()]).max().unwrap_or(0),
                Stage::Square { input, .. } => 1 + depths[input.index()],
                Stage::WindowSum { input, .. } => depths[input.index()],
            };
            depths.push(depth);
        }
        Ok(Self { stages, depths })
    }

    /// Stages that become linear steps.
    pub(super) fn linear_steps(&self) -> usize {
        self.stages.iter().filter(|stage| matches!(stage, Stage::Linear { .. })).count()
    }

    /// For each of some nodes in order, the depth of the last value made up to it, and how many stages there are up to it.
    pub(super) fn depths_at(&self, nodes: &[NodeId]) -> Vec<(usize, usize)> {
        let stages = |node: &NodeId| self.stages.partition_point(|stage| stage.node() <= *node);
        nodes.iter().map(stages).map(|count| (self.depths[count], count)).collect()
    }

    /// Levels of the whole network.
    pub(crate) fn depth(&self) -> usize {
        self.depths.last().copied().unwrap_or(0)
    }
}

/// A network laid out in ciphertexts of some number of slots.
pub(crate) struct Draft<'s> {
    slots: usize,
    packing: Packing,
    interleaved: usize,
    staged: &'s Staged,
    layouts: Vec<LayoutId>,
    parts: Vec<Part>,
}

/// One stage of a draft.
pub(super) struct DraftStep<'d> {
    /// The node whose value it makes.
    pub(super) node: NodeId,
    pub(super) part: &'d Part,
    /// Layout and depth of its result.
    pub(super) layout: LayoutId,
    pub(super) depth: usize,
}

/// What a stage became.
#[derive(Clone)]
pub(super) enum Part {
    Linear { inputs: Vec<ValueId>, layer: Arc<Layer> },
    Square { counts: OpCounts, work: StepWork },
    WindowSum { counts: OpCounts, work: StepWork, stages: Vec<Vec<u32>> },
}

impl<'s> Draft<'s> {
    /// Lays out `graph`, whose stages are `staged`. The strategies of the first linear steps are those `recorded`; the
    /// others are as `options` say.
    pub(super) fn new(
        layers: &mut Layers,
        graph: &TypedGraph,
        staged: &'s Staged,
        slots: usize,
        options: &LowerOptions,
        recorded: &[Strategy],
    ) -> Result<Self, CostError> {
        let (input, interleaved) = input_layout(graph, slots, options)?;
        let input = layers.intern(input);
        let image_slots = slots / interleaved;
        let mut drafter = Drafter {
            layers,
            graph,
            slots: image_slots,
            options,
            recorded: recorded.iter(),
            layouts: vec![input],
            linear_steps: 0,
        };
        let mut parts = Vec::with_capacity(staged.stages.len());
        for stage in &staged.stages {
            let (part, layout) = drafter.stage(stage)?;
            parts.push(part);
            drafter.layouts.push(layout);
        }
        let packing = options.packing;
        Ok(Self { slots, packing, interleaved, staged, layouts: drafter.layouts, parts })
    }

    /// Levels of the network.
    pub(super) fn depth(&self) -> usize {
        self.staged.depth()
    }

    /// Level of a value.
    fn level(&self, value: usize) -> usize {
        self.staged.depth() - self.staged.depths[value]
    }

    /// Seconds the network takes with these times; the estimate of its program makes the same sum.
    pub(super) fn seconds(&self, layers: &mut Layers, times: &Times<'_>) -> f64 {
        let steps = self.parts.iter().enumerate();
        steps.map(|(i, part)| part.price(layers, times, self.level(i + 1)).seconds).sum()
    }

    /// What each step of its program does.
    pub(super) fn works(&self, layers: &mut Layers, times: &Times<'_>) -> Vec<(StepWork, StepWork)> {
        let work = |(i, part): (usize, &Part)| match part {
            Part::Linear { layer, .. } => layer.candidate(layers.choose(layer, times, self.level(i + 1)).chosen).work,
            Part::Square { work, .. } | Part::WindowSum { work, .. } => (*work, StepWork::default()),
        };
        self.parts.iter().enumerate().map(work).collect()
    }

    /// Layout of the encrypted image.
    pub(super) fn input(&self) -> LayoutId {
        self.layouts[0]
    }

    /// What the stages became, in order.
    pub(super) fn steps(&self) -> impl Iterator<Item = DraftStep<'_>> {
        let results = self.layouts.iter().zip(&self.staged.depths).skip(1);
        let stages = self.staged.stages.iter().zip(&self.parts).zip(results);
        stages.map(|((stage, part), (&layout, &depth))| DraftStep { node: stage.node(), part, layout, depth })
    }

    /// The program, with the cheapest strategy of each step by these times.
    pub(super) fn program(&self, layers: &mut Layers, times: &Times<'_>) -> HeProgram {
        let value = |(i, id): (usize, &LayoutId)| Value { layout: layers.layout(*id).clone(), level: self.level(i) };
        let values = self.layouts.iter().enumerate().map(value).collect();
        let parts = self.staged.stages.iter().zip(&self.parts).enumerate();
        let steps = parts.map(|(i, (stage, part))| self.step(layers, stage, part, self.level(i + 1), times)).collect();
        let Self { slots, packing, interleaved, .. } = *self;
        HeProgram { slots, packing, interleaved, values, steps }
    }

    /// One step whose result is at `level`.
    fn step(&self, layers: &mut Layers, stage: &Stage, part: &Part, level: usize, times: &Times<'_>) -> Step {
        let kind = match (stage, part) {
            (Stage::Linear { sources, .. }, Part::Linear { inputs, layer }) => {
                let chosen = layer.candidate(layers.choose(layer, times, level).chosen);
                let plan = match self.interleaved {
                    1 => Arc::clone(&chosen.plan),
                    images => Arc::new(chosen.plan.spread(images)),
                };
                let (kinds, strategy) = (chosen.kinds, chosen.strategy);
                let (inputs, sources) = (inputs.clone(), sources.clone());
                StepKind::Linear(LinearStep { inputs, sources, plan, kinds, strategy, level: level + 1 })
            }
            (Stage::Square { input, shift, .. }, Part::Square { .. }) => {
                StepKind::Square { input: *input, shift: *shift }
            }
            (Stage::WindowSum { input, .. }, Part::WindowSum { stages, .. }) => {
                let spread = |rotations: &Vec<u32>| rotations.iter().map(|r| r * self.interleaved as u32).collect();
                StepKind::WindowSum { input: *input, stages: stages.iter().map(spread).collect() }
            }
            _ => unreachable!("a draft has one part of the same kind for each stage"),
        };
        Step { node: stage.node(), kind }
    }
}

impl Part {
    /// Operations of the step; of a linear step, of one of its candidates.
    pub(super) fn counts(&self, chosen: usize) -> OpCounts {
        match self {
            Self::Linear { layer, .. } => layer.candidate(chosen).counts * layer.groups,
            Self::Square { counts, .. } | Self::WindowSum { counts, .. } => *counts,
        }
    }

    /// What the step takes if its result is at `level`.
    pub(super) fn price(&self, layers: &mut Layers, times: &Times<'_>, level: usize) -> StepPrice {
        let (work, level) = match self {
            Self::Linear { layer, .. } => return layers.choose(layer, times, level),
            Self::Square { work, .. } => (work, level + 1),
            Self::WindowSum { work, .. } => (work, level),
        };
        StepPrice { seconds: times.levels[level].seconds(work).0, chosen: 0 }
    }
}

/// Lays out one stage after the other.
struct Drafter<'a> {
    layers: &'a mut Layers,
    graph: &'a TypedGraph,
    slots: usize,
    options: &'a LowerOptions,
    recorded: std::slice::Iter<'a, Strategy>,
    layouts: Vec<LayoutId>,
    /// Linear steps so far.
    linear_steps: usize,
}

impl Drafter<'_> {
    fn stage(&mut self, stage: &Stage) -> Result<(Part, LayoutId), CostError> {
        match stage {
            Stage::Square { input, shift, .. } => {
                let layout = self.layouts[input.index()];
                let ciphertexts = self.layers.ciphertexts(layout);
                let work = StepWork::squares(ciphertexts, *shift);
                Ok((Part::Square { counts: square_counts(ciphertexts as u64, *shift), work }, layout))
            }
            Stage::WindowSum { input, node } => {
                let layout = self.layouts[input.index()];
                let (stages, output) = self.window(layout, *node)?;
                let ciphertexts = self.layers.ciphertexts(layout) as u64;
                let counts = stages.iter().map(|stage| window_counts(stage.len() as u64, ciphertexts)).sum();
                let work = StepWork::windows(ciphertexts as usize, stages.iter().map(Vec::len));
                Ok((Part::WindowSum { counts, work, stages }, self.layers.intern(output)))
            }
            Stage::Linear { sources, node } => self.linear(sources, *node),
        }
    }

    fn window(&self, input: LayoutId, node: NodeId) -> Result<(Vec<Vec<u32>>, Layout), CostError> {
        let unsupported = |why: &str| CostError::Unsupported { node, op: "pool", why: why.to_owned() };
        let (Layout::Map(map), Op::AvgPool(pool)) = (self.layers.layout(input), &self.graph.node(node).op) else {
            return Err(unsupported("its operand is not a map"));
        };
        if map.replicated {
            return Err(unsupported("the network pools its input; put a convolution first"));
        }
        let mut stages = window_stages(pool, map.gap(), map.grid.slots);
        stages.extend(window_stages(pool, map.gap() * map.grid.pitch, map.grid.slots));
        let shape = self.graph.shape(node);
        // One pixel is left of a window: what gap there is, is the window's.
        let stride = if shape.spatial() == (1, 1) { pool.stride.min(pool.size) } else { pool.stride };
        Ok((stages, Layout::Map(map.strided(shape, stride))))
    }

    fn linear(&mut self, sources: &[Source], node: NodeId) -> Result<(Part, LayoutId), CostError> {
        let mut inputs: Vec<ValueId> = Vec::with_capacity(sources.len());
        let mut operators = Vec::with_capacity(sources.len());
        for source in sources {
            let operand = inputs.iter().position(|v| *v == source.input).unwrap_or(inputs.len());
            if operand == inputs.len() {
                inputs.push(source.input);
            }
            let layout = self.layouts[source.input.index()];
            operators.push((operand, layout, self.operator(source, self.layers.layout(layout), node)?));
        }
        let packing = self.options.packing;
        let strategy = self.recorded.next().map_or(self.options.strategy, |s| StrategyChoice::Always(*s));
        let shape = self.graph.shape(node);
        let mut key = LayerKey { slots: self.slots, shape, packing, strategy, operators, kept: None };
        key.kept = self.kept(&key, (sources, &inputs), node)?;
        self.linear_steps += 1;
        let layer = self.layers.layer(key, node)?;
        let output = layer.output;
        Ok((Part::Linear { inputs, layer }, output))
    }

    /// The diagonals that the step keeps; `None` for all.
    fn kept(
        &self,
        key: &LayerKey,
        (sources, inputs): (&[Source], &[ValueId]),
        node: NodeId,
    ) -> Result<Option<Arc<[DiagonalId]>>, CostError> {
        let mask = match &self.options.diagonals {
            Diagonals::All => return Ok(None),
            Diagonals::Recorded(steps) => return Ok(steps.get(self.linear_steps).cloned()),
            Diagonals::Of(mask) => mask,
        };
        let output = &self.layers.output_layout(key, node)?;
        let mut operands: Vec<Operand<'_>> = Vec::with_capacity(sources.len());
        let mut first = 0;
        for input in inputs {
            let layout = self.layers.layout(self.layouts[input.index()]);
            let own = sources.iter().filter(|source| source.input == *input);
            operands.extend(own.map(|source| (&source.op, layout, first)));
            // What cannot be added is refused when the step is laid out.
            first += operand_ciphertexts(layout, output).unwrap_or(0);
        }
        let (graph, packing, slots) = (self.graph, self.options.packing, self.slots);
        Ok(kept_diagonals(&StepPlaces { graph, packing, slots, node, output }, &operands, mask))
    }

    fn operator(&self, source: &Source, layout: &Layout, node: NodeId) -> Result<Operator, CostError> {
        if let Some(desc) = source_desc(self.graph, &source.op, layout, node) {
            return Ok(Operator::Conv(desc));
        }
        match (&source.op, layout) {
            (SourceOp::Dense { .. }, Layout::Map(map)) if map.has_images_in_gaps() => {
                let why = format!("a batch needs square maps, these are {}x{}", map.height, map.width);
                Err(CostError::Unsupported { node, op: "linear", why })
            }
            (SourceOp::Dense { linear, .. }, _) => {
                let embedding = Embedding::of(self.options.packing, node == self.graph.output());
                Ok(Operator::Dense(self.graph.shape(*linear).len(), embedding))
            }
            (SourceOp::Identity | SourceOp::Conv(_) | SourceOp::Pool(_), _) => Ok(Operator::Copy),
        }
    }
}

/// Rotations that sum `size` neighbours `unit` slots apart: doubling where the size is a power of two.
fn window_stages(pool: &AvgPool, unit: usize, slots: usize) -> Vec<Vec<u32>> {
    let at = |i: usize| rotation((i * unit) as i64, slots);
    match pool.size {
        1 => Vec::new(),
        size if size.is_power_of_two() => (0..size.ilog2()).map(|k| vec![at(1 << k)]).collect(),
        size => vec![(1..size).map(at).collect()],
    }
}
