//! Laying out one stage after the other.

use std::sync::Arc;

use striae_spaces::{AvgPool, NodeId, Op, TypedGraph};

use crate::{
    CostError, Source, SourceOp, StepWork, Strategy, StrategyChoice, ValueId,
    packing::Layout,
    program::{square_counts, window_counts},
};

use super::{
    LowerOptions,
    convs::source_desc,
    dense::Embedding,
    diagonals::rotation,
    draft::Part,
    kept::{Diagonals, Operand, kept_diagonals},
    layers::{LayerKey, Layers, LayoutId, Operator},
    places::{DiagonalId, StepPlaces},
    stages::Stage,
    step_links::operand_ciphertexts,
};

/// Lays out one stage after the other.
pub(super) struct Drafter<'a> {
    layers: &'a mut Layers,
    graph: &'a TypedGraph,
    slots: usize,
    options: &'a LowerOptions,
    recorded: std::slice::Iter<'a, Strategy>,
    layouts: Vec<LayoutId>,
    /// Linear steps so far.
    linear_steps: usize,
}

impl<'a> Drafter<'a> {
    /// A drafter of `graph`, whose encrypted image has the layout `input`, in ciphertexts of `slots` slots.
    pub(super) fn new(
        layers: &'a mut Layers,
        graph: &'a TypedGraph,
        slots: usize,
        options: &'a LowerOptions,
        recorded: &'a [Strategy],
        input: LayoutId,
    ) -> Self {
        let (recorded, layouts) = (recorded.iter(), vec![input]);
        Self { layers, graph, slots, options, recorded, layouts, linear_steps: 0 }
    }

    /// What the stages become, and the layouts of all values, the input's first.
    pub(super) fn lay_out(mut self, stages: &[Stage]) -> Result<(Vec<Part>, Vec<LayoutId>), CostError> {
        let mut parts = Vec::with_capacity(stages.len());
        for stage in stages {
            let (part, layout) = self.stage(stage)?;
            parts.push(part);
            self.layouts.push(layout);
        }
        Ok((parts, self.layouts))
    }

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
