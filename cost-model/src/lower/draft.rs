//! A network laid out but without levels: what all parameters of one ring degree have in common.

use std::sync::Arc;

use striae_spaces::{NodeId, TypedGraph};

use crate::{
    CostError, HeProgram, LinearStep, OpCounts, Step, StepKind, StepWork, Strategy, Value, ValueId, packing::Packing,
};

use super::{
    LowerOptions,
    drafter::Drafter,
    input::input_layout,
    layers::{Layer, Layers, LayoutId, StepPrice},
    staged::Staged,
    stages::Stage,
    times::Times,
};

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
        let drafter = Drafter::new(layers, graph, slots / interleaved, options, recorded, input);
        let (parts, layouts) = drafter.lay_out(&staged.stages)?;
        let packing = options.packing;
        Ok(Self { slots, packing, interleaved, staged, layouts, parts })
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
