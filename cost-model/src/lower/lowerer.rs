//! From stages to a program: layouts, levels, diagonals and strategies.

use std::{collections::HashMap, sync::Arc};

use striae_spaces::{AvgPool, NodeId, Op, Shape, TypedGraph};

use crate::{
    CkksParams, CostError, HeProgram, LinearPlan, LinearStep, RotationKinds, Source, SourceOp, Step, StepKind,
    Strategy, Value, ValueId,
    calibration::Calibration,
    packing::{Grid, Layout, MapLayout, VectorLayout},
};

use super::{
    diagonals::{Cause, Link, conv_links, dense_links, rotation},
    stages::{ConvDesc, Stage, source_desc, stages},
    strategy::{StepShape, StrategyChoice, candidates, plan},
};

/// How the client packs the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InputPacking {
    /// One ciphertext for each channel, the channel in all its blocks: the first layer needs no external rotation.
    #[default]
    Replicated,
    /// Channels side by side in as few ciphertexts as they need.
    Packed,
}

/// Choices of the lowering.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LowerOptions {
    /// Convolutions with nothing between them become one.
    pub fuse: bool,
    /// Channels are multiplexed into the gaps that strides leave, where that saves ciphertexts.
    pub merge: bool,
    /// How the client packs the image.
    pub input: InputPacking,
    /// How rotations are split.
    pub strategy: StrategyChoice,
}

impl Default for LowerOptions {
    fn default() -> Self {
        Self { fuse: true, merge: true, input: InputPacking::default(), strategy: StrategyChoice::default() }
    }
}

/// Everything the plan of a linear step depends on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct PlanKey {
    log_n: u32,
    special: usize,
    level: usize,
    operators: Vec<(usize, Operator)>,
    layouts: Vec<Layout>,
    output: Layout,
    options: LowerOptions,
}

/// An operator of a step with what its diagonals depend on; the first number of a pair is the index of its input.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Operator {
    Conv(ConvDesc),
    Dense(usize),
    Copy,
}

struct Planned {
    plan: Arc<LinearPlan>,
    kinds: RotationKinds,
    strategy: Strategy,
}

/// Lowers networks; keeps the plans of the layers it has seen.
pub struct Lowerer<'a> {
    calibration: &'a Calibration,
    plans: HashMap<PlanKey, Arc<Planned>>,
}

impl<'a> Lowerer<'a> {
    /// A lowerer that chooses strategies by the times of `calibration`.
    pub fn new(calibration: &'a Calibration) -> Self {
        Self { calibration, plans: HashMap::new() }
    }

    /// The calibration strategies are chosen by.
    pub fn calibration(&self) -> &'a Calibration {
        self.calibration
    }

    /// Levels that `graph` needs.
    pub fn depth(graph: &TypedGraph, fuse: bool) -> Result<usize, CostError> {
        let stages = stages(graph, fuse)?;
        Ok(depths(&stages).last().copied().unwrap_or(0))
    }

    /// Lowers `graph` for `params`; the program starts at the level its depth needs, not at the parameters' highest.
    pub fn lower(
        &mut self,
        graph: &TypedGraph,
        params: &CkksParams,
        options: &LowerOptions,
    ) -> Result<HeProgram, CostError> {
        let stages = stages(graph, options.fuse)?;
        let depths = depths(&stages);
        let depth = depths.last().copied().unwrap_or(0);
        if depth > params.max_level() {
            return Err(CostError::NotEnoughLevels { levels: depth, available: params.max_level() });
        }
        let input = input_layout(graph, params.slots(), options)?;
        let mut pass = Pass { lowerer: self, graph, params, options, values: Vec::new(), steps: Vec::new() };
        pass.values.push(Value { layout: input, level: depth });
        for (stage, stage_depth) in stages.iter().zip(&depths[1..]) {
            pass.stage(stage, depth - stage_depth)?;
        }
        Ok(HeProgram { slots: params.slots(), values: pass.values, steps: pass.steps })
    }
}

/// How the client packs the image; a vector is repeated through the ciphertext.
fn input_layout(graph: &TypedGraph, slots: usize, options: &LowerOptions) -> Result<Layout, CostError> {
    let shape = graph.input_shape();
    match shape {
        Shape::Map { .. } => {
            let grid = Grid::fit(graph, &node_gaps(graph), slots)?;
            let replicated = options.input == InputPacking::Replicated;
            Ok(Layout::Map(MapLayout::input(grid, shape, replicated)))
        }
        Shape::Vector { features } if features.next_power_of_two() <= slots => {
            Ok(Layout::Vector(VectorLayout { features, period: features.next_power_of_two() }))
        }
        Shape::Vector { features } => {
            let (block, log_n) = (features.next_power_of_two(), slots.ilog2() + 1);
            Err(CostError::MapTooLarge { shape, block, log_n, slots })
        }
    }
}

/// Multiplicative depth of every value, the input first.
fn depths(stages: &[Stage]) -> Vec<usize> {
    let mut depths = vec![0];
    for stage in stages {
        let depth = match stage {
            Stage::Linear { sources, .. } => 1 + sources.iter().map(|s| depths[s.input.index()]).max().unwrap_or(0),
            Stage::Square { input, .. } => 1 + depths[input.index()],
            Stage::WindowSum { input, .. } => depths[input.index()],
        };
        depths.push(depth);
    }
    depths
}

/// Distance of neighbouring pixels at every node.
fn node_gaps(graph: &TypedGraph) -> Vec<usize> {
    let mut gaps: Vec<usize> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let before = node.inputs.first().map_or(1, |i| gaps[i.index()]);
        gaps.push(match &node.op {
            Op::Conv2d(conv) => before * conv.stride,
            // A window as large as the map leaves one pixel: no gap has to fit behind it.
            Op::AvgPool(_) if node.shape.spatial() == (1, 1) => 1,
            Op::AvgPool(pool) => before * pool.stride,
            Op::Linear(_) | Op::Flatten => 1,
            Op::Input | Op::Activation(_) | Op::Add | Op::BatchNorm => before,
        });
    }
    // Vectors are no maps: they take no part in the grid.
    let flat = |n: &striae_spaces::Node| matches!(n.shape, Shape::Vector { .. });
    graph.nodes().iter().zip(gaps).map(|(n, g)| if flat(n) { 1 } else { g }).collect()
}

struct Pass<'a, 'c> {
    lowerer: &'a mut Lowerer<'c>,
    graph: &'a TypedGraph,
    params: &'a CkksParams,
    options: &'a LowerOptions,
    values: Vec<Value>,
    steps: Vec<Step>,
}

impl Pass<'_, '_> {
    fn layout(&self, id: ValueId) -> &Layout {
        &self.values[id.index()].layout
    }

    fn stage(&mut self, stage: &Stage, level: usize) -> Result<(), CostError> {
        let (node, kind, layout) = match stage {
            Stage::Square { input, node, shift } => {
                let kind = StepKind::Square { input: *input, shift: *shift };
                (*node, kind, self.layout(*input).clone())
            }
            Stage::WindowSum { input, node } => {
                let (stages, layout) = self.window(*input, *node)?;
                (*node, StepKind::WindowSum { input: *input, stages }, layout)
            }
            Stage::Linear { sources, node } => {
                let (step, layout) = self.linear(sources, *node, level + 1)?;
                (*node, StepKind::Linear(step), layout)
            }
        };
        self.steps.push(Step { node, kind });
        self.values.push(Value { layout, level });
        Ok(())
    }

    fn window(&self, input: ValueId, node: NodeId) -> Result<(Vec<Vec<u32>>, Layout), CostError> {
        let unsupported = |why: &str| CostError::Unsupported { node, op: "pool", why: why.to_owned() };
        let (Layout::Map(map), Op::AvgPool(pool)) = (self.layout(input), &self.graph.node(node).op) else {
            return Err(unsupported("its operand is not a map"));
        };
        if map.replicated {
            return Err(unsupported("the network pools its input; put a convolution first"));
        }
        let mut stages = window_stages(pool, map.gap(), map.grid.slots);
        stages.extend(window_stages(pool, map.gap() * map.grid.pitch, map.grid.slots));
        Ok((stages, Layout::Map(map.strided(self.graph.shape(node), pool.stride))))
    }

    fn linear(&mut self, sources: &[Source], node: NodeId, level: usize) -> Result<(LinearStep, Layout), CostError> {
        let mut inputs: Vec<ValueId> = Vec::new();
        for source in sources {
            if !inputs.contains(&source.input) {
                inputs.push(source.input);
            }
        }
        let layouts: Vec<Layout> = inputs.iter().map(|&v| self.layout(v).clone()).collect();
        let operators = sources
            .iter()
            .map(|s| {
                let index = inputs.iter().position(|v| *v == s.input).unwrap_or(0);
                (index, self.operator(s, &layouts[index], node))
            })
            .collect::<Vec<_>>();
        let output = self.output_layout(&operators, &layouts, node)?;
        let (log_n, special) = (self.params.log_n(), self.params.log_p().len());
        let options = self.options.clone();
        let key = PlanKey { log_n, special, level, operators, layouts, output: output.clone(), options };
        let planned = match self.lowerer.plans.get(&key) {
            Some(planned) => Arc::clone(planned),
            None => {
                let planned = Arc::new(self.plan(&key, node)?);
                self.lowerer.plans.insert(key, Arc::clone(&planned));
                planned
            }
        };
        let (plan, kinds, strategy) = (Arc::clone(&planned.plan), planned.kinds, planned.strategy);
        Ok((LinearStep { inputs, sources: sources.to_vec(), plan, kinds, strategy, level }, output))
    }

    fn operator(&self, source: &Source, layout: &Layout, node: NodeId) -> Operator {
        match &source.op {
            SourceOp::Dense { linear, .. } => Operator::Dense(self.graph.shape(*linear).len()),
            SourceOp::Identity | SourceOp::Conv(_) => {
                source_desc(self.graph, &source.op, layout, node).map_or(Operator::Copy, Operator::Conv)
            }
        }
    }

    /// Layout of the step's result: that of its first moving convolution, else of its first operand.
    fn output_layout(
        &self,
        operators: &[(usize, Operator)],
        layouts: &[Layout],
        node: NodeId,
    ) -> Result<Layout, CostError> {
        let shape = self.graph.shape(node);
        let slots = self.params.slots();
        let first = operators.iter().find(|(_, op)| match op {
            Operator::Conv(desc) => desc.conv.groups < desc.output.channels() || desc.conv.stride > 1,
            Operator::Dense(_) => true,
            Operator::Copy => false,
        });
        let (index, operator) = first.unwrap_or(&operators[0]);
        match (operator, &layouts[*index]) {
            (Operator::Dense(outputs), layout) => {
                if outputs.next_power_of_two() > slots {
                    let why = format!("{outputs} outputs do not fit into {slots} slots");
                    return Err(CostError::Unsupported { node, op: "linear", why });
                }
                Ok(Layout::Vector(dense_links(layout, slots, *outputs).output))
            }
            (Operator::Conv(desc), Layout::Map(map)) => {
                let strided = map.strided(shape_of(desc, shape), desc.conv.stride);
                Ok(Layout::Map(if self.options.merge { strided.filled() } else { strided }))
            }
            (Operator::Copy | Operator::Conv(_), layout) => Ok(layout.clone()),
        }
    }

    fn plan(&self, key: &PlanKey, node: NodeId) -> Result<Planned, CostError> {
        let slots = self.params.slots();
        let (links, folds) = links(key, slots).ok_or_else(|| CostError::Unsupported {
            node,
            op: "add",
            why: "its operands stand at different slots".to_owned(),
        })?;
        let inputs = key.layouts.iter().map(Layout::ciphertexts).sum();
        let shape = StepShape { slots, inputs, outputs: key.output.ciphertexts(), folds: &folds };
        let strategies = match self.options.strategy {
            StrategyChoice::Cheapest => candidates(&links),
            StrategyChoice::Always(strategy) => vec![strategy],
        };
        let times = self.lowerer.calibration.times(self.params, key.level);
        let mut best: Option<(f64, Planned)> = None;
        for strategy in strategies {
            let (plan, kinds) = plan(&links, &shape, strategy);
            let cost = times.seconds(&plan.counts()).0;
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, Planned { plan: Arc::new(plan), kinds, strategy }));
            }
        }
        best.map(|(_, planned)| planned).ok_or_else(|| CostError::Unsupported {
            node,
            op: "linear step",
            why: "it has no operands".to_owned(),
        })
    }
}

/// An identity keeps its own shape; every other operator has the node's.
fn shape_of(desc: &ConvDesc, node: Shape) -> Shape {
    if desc.output.channels() == node.channels() { node } else { desc.output }
}

/// All links of a step and its folds; `None` if a vector would have to move.
fn links(key: &PlanKey, slots: usize) -> Option<(Vec<Link>, Vec<u32>)> {
    let firsts: Vec<usize> = key
        .layouts
        .iter()
        .scan(0, |next, layout| {
            let first = *next;
            *next += layout.ciphertexts();
            Some(first)
        })
        .collect();
    let (mut links, mut folds) = (Vec::new(), Vec::new());
    for (index, operator) in &key.operators {
        let first = firsts[*index];
        match (operator, &key.layouts[*index], &key.output) {
            (Operator::Conv(desc), Layout::Map(input), Layout::Map(output)) => {
                links.extend(conv_links(desc, input, output, first));
            }
            (Operator::Dense(outputs), layout, Layout::Vector(_)) => {
                let dense = dense_links(layout, slots, *outputs);
                if !folds.is_empty() && folds != dense.folds {
                    return None;
                }
                folds.clone_from(&dense.folds);
                links.extend(dense_step_links(&dense.rotations, first, slots));
            }
            (Operator::Copy, layout, output) if layout == output && folds.is_empty() => {
                links.extend(dense_step_links(&[vec![0]], first, slots));
            }
            _ => return None,
        }
    }
    Some((links, folds))
}

fn dense_step_links(rotations: &[Vec<u32>], first: usize, slots: usize) -> Vec<Link> {
    let of_input = |(i, rotations): (usize, &Vec<u32>)| {
        let input = (first + i) as u16;
        let link = move |&r: &u32| Link {
            output: 0,
            input,
            position: rotation(i64::from(r), slots),
            cause: Cause::Dense,
            unit: 1,
            taps: vec![0],
        };
        rotations.iter().map(link).collect::<Vec<_>>()
    };
    rotations.iter().enumerate().flat_map(of_input).collect()
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
