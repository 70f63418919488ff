//! Linear steps that were seen before. Neither the diagonals of a step nor the strategies worth comparing depend on
//! levels or primes, so each step is laid out once for all parameters of one ring degree.

use std::sync::Arc;

use striae_spaces::{NodeId, Shape};

use crate::{
    CostError, LinearPlan, OpCounts, RotationKinds, StepWork, Strategy,
    calibration::OpTimes,
    estimate::linear_parts,
    packing::{Layout, Packing},
};

use super::{
    convs::ConvDesc,
    dense::{Embedding, dense_links},
    hash::HashMap,
    kept::keep,
    places::DiagonalId,
    stages::MAX_WEIGHTS,
    step_links::{operand_ciphertexts, step_links},
    strategy::{StepShape, StrategyChoice, balanced, candidates, plan},
    times::{Times, TimesKey},
};

/// Ciphertexts that the indices of [`Term`](crate::Term) can tell apart.
const MAX_CIPHERTEXTS: usize = 1 << 16;

/// Index of a layout in [`Layers`].
pub(super) type LayoutId = u32;

/// Everything the diagonals of a linear step depend on.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LayerKey {
    pub(super) slots: usize,
    pub(super) shape: Shape,
    pub(super) packing: Packing,
    pub(super) strategy: StrategyChoice,
    /// Operators, each with the index of its operand among the step's and the operand's layout.
    pub(super) operators: Vec<(usize, LayoutId, Operator)>,
    /// The diagonals that are kept, sorted; all if absent.
    pub(super) kept: Option<Arc<[DiagonalId]>>,
}

/// An operator of a step with what its diagonals depend on besides layouts.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Operator {
    Conv(ConvDesc),
    /// A fully connected layer with so many outputs.
    Dense(usize, Embedding),
    Copy,
}

/// A linear step, laid out.
pub(super) struct Layer {
    pub(super) output: LayoutId,
    /// Groups of images, each a run of the plan.
    pub(super) groups: u64,
    /// Which it is of those known.
    index: usize,
    /// Ways to split its rotations; at least one, and none that another beats whatever the times are.
    candidates: Vec<Candidate>,
}

/// What a step takes where its result is at some level.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepPrice {
    pub(super) seconds: f64,
    /// Which of a linear step's candidates it is of: the cheapest.
    pub(super) chosen: usize,
}

/// What a choice depends on, besides the calibration: the layer, the parameters, the level of the result.
type ChoiceKey = (usize, TimesKey, usize);

/// One way to split the rotations of a step.
pub(super) struct Candidate {
    pub(super) plan: Arc<LinearPlan>,
    pub(super) kinds: RotationKinds,
    pub(super) strategy: Strategy,
    /// Operations of the step, its bias included.
    pub(super) counts: OpCounts,
    /// What its time depends on, at its level and behind its rescaling.
    pub(super) work: (StepWork, StepWork),
}

impl Layer {
    /// The cheapest candidate where `before` are the times at the operands' level and `after` those one level lower.
    fn cheapest(&self, before: &OpTimes, after: &OpTimes) -> StepPrice {
        let price = |(chosen, candidate): (usize, &Candidate)| {
            let parts = linear_parts(&candidate.work, self.groups, before, after);
            StepPrice { seconds: parts.iter().map(|part| part.1.0).sum(), chosen }
        };
        let all = self.candidates.iter().enumerate().map(price);
        let none = StepPrice { seconds: f64::INFINITY, chosen: 0 };
        all.min_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap_or(none)
    }

    /// Which it is of those known.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// A candidate by index.
    pub(super) fn candidate(&self, index: usize) -> &Candidate {
        &self.candidates[index]
    }
}

/// Layouts and linear steps seen so far.
#[derive(Clone, Default)]
pub(super) struct Layers {
    ids: HashMap<Layout, LayoutId>,
    layouts: Vec<(Layout, usize)>,
    known: HashMap<LayerKey, Arc<Layer>>,
    /// What each layer's cheapest candidate takes.
    choices: HashMap<ChoiceKey, StepPrice>,
}

impl Layers {
    /// The id of a layout.
    pub(super) fn intern(&mut self, layout: Layout) -> LayoutId {
        if let Some(&id) = self.ids.get(&layout) {
            return id;
        }
        let id = self.layouts.len() as LayoutId;
        self.ids.insert(layout.clone(), id);
        let ciphertexts = layout.ciphertexts();
        self.layouts.push((layout, ciphertexts));
        id
    }

    /// A layout by id.
    pub(super) fn layout(&self, id: LayoutId) -> &Layout {
        &self.layouts[id as usize].0
    }

    /// Ciphertexts of a layout.
    pub(super) fn ciphertexts(&self, id: LayoutId) -> usize {
        self.layouts[id as usize].1
    }

    /// What the cheapest candidate of a layer takes if its result is at `level`.
    pub(super) fn choose(&mut self, layer: &Layer, times: &Times<'_>, level: usize) -> StepPrice {
        let (before, after) = (&times.levels[level + 1], &times.levels[level]);
        *self.choices.entry((layer.index, times.key, level)).or_insert_with(|| layer.cheapest(before, after))
    }

    /// The step for `key`, which computes `node`.
    pub(super) fn layer(&mut self, key: LayerKey, node: NodeId) -> Result<Arc<Layer>, CostError> {
        if let Some(layer) = self.known.get(&key) {
            return Ok(Arc::clone(layer));
        }
        self.check_size(&key, node)?;
        let output = self.output_layout(&key, node)?;
        let layer = Arc::new(self.lay_out(&key, output, node)?);
        self.known.insert(key, Arc::clone(&layer));
        Ok(layer)
    }

    /// Refuses layers whose diagonals would take minutes to list and gigabytes to keep.
    fn check_size(&self, key: &LayerKey, node: NodeId) -> Result<(), CostError> {
        for (_, layout, operator) in &key.operators {
            let (op, weights) = match operator {
                Operator::Conv(ConvDesc { input, conv, .. }) => {
                    let pairs = conv.out_channels.saturating_mul(input.channels() / conv.groups);
                    ("conv", pairs.saturating_mul(conv.kernel.tap_count()))
                }
                Operator::Dense(outputs, _) => ("linear", self.layout(*layout).len().saturating_mul(*outputs)),
                Operator::Copy => ("add", 0),
            };
            if weights > MAX_WEIGHTS {
                let why = format!("it has {weights} weights, at most {MAX_WEIGHTS} are supported");
                return Err(CostError::Unsupported { node, op, why });
            }
        }
        Ok(())
    }

    /// Layout of the step's result: that of its first moving convolution, else of its first operand.
    pub(super) fn output_layout(&self, key: &LayerKey, node: NodeId) -> Result<Layout, CostError> {
        let moves = |(_, _, op): &&(usize, LayoutId, Operator)| match op {
            Operator::Conv(desc) => desc.conv.groups < desc.output.channels() || desc.conv.stride > 1,
            Operator::Dense(..) => true,
            Operator::Copy => false,
        };
        let Some((_, layout, operator)) = key.operators.iter().find(moves).or(key.operators.first()) else {
            return Err(CostError::Unsupported { node, op: "linear step", why: "it has no operands".to_owned() });
        };
        match (operator, self.layout(*layout)) {
            (Operator::Dense(outputs, embedding), layout) => {
                if outputs.next_power_of_two() > key.slots {
                    let why = format!("{outputs} outputs do not fit into {} slots", key.slots);
                    return Err(CostError::Unsupported { node, op: "linear", why });
                }
                Ok(Layout::Vector(dense_links(layout, key.slots, *outputs, *embedding).output))
            }
            (Operator::Conv(desc), Layout::Map(map)) => {
                // An identity keeps its own shape; every other operator has the node's.
                let of_node = desc.output.channels() == key.shape.channels() && matches!(key.shape, Shape::Map { .. });
                let shape = if of_node { key.shape } else { desc.output };
                let strided = map.strided(shape, desc.conv.stride);
                let single_shot = key.packing == Packing::MultiplexedBsgs;
                let channels = key.packing.multiplexes();
                Ok(Layout::Map(if single_shot { strided.gathered() } else { strided.filled(channels) }))
            }
            (Operator::Copy | Operator::Conv(_), layout) => Ok(layout.clone()),
        }
    }

    fn lay_out(&mut self, key: &LayerKey, output: Layout, node: NodeId) -> Result<Layer, CostError> {
        let mut inputs: Vec<&Layout> = Vec::new();
        for (operand, layout, _) in &key.operators {
            if *operand == inputs.len() {
                inputs.push(self.layout(*layout));
            }
        }
        let apart = || {
            let why = "its operands stand at different slots".to_owned();
            CostError::Unsupported { node, op: "add", why }
        };
        let read: Option<Vec<usize>> = inputs.iter().map(|input| operand_ciphertexts(input, &output)).collect();
        let ciphertexts = read.ok_or_else(apart)?.iter().sum();
        let outputs = output.group_ciphertexts();
        check_ciphertexts(ciphertexts, node)?;
        check_ciphertexts(outputs, node)?;
        let operators = key.operators.iter().map(|(operand, _, operator)| (*operand, operator));
        let (links, folds) = step_links(operators, &inputs, &output, key.slots).ok_or_else(apart)?;
        let links = match &key.kept {
            Some(kept) => keep(links, kept, key.slots)?,
            None => links,
        };
        let shape = StepShape { slots: key.slots, inputs: ciphertexts, outputs, folds: &folds };
        let strategies = match key.strategy {
            StrategyChoice::Cheapest => candidates(&links),
            StrategyChoice::Balanced => vec![balanced(&links)],
            StrategyChoice::Always(strategy) => vec![strategy],
        };
        let all = strategies.into_iter().map(|strategy| {
            let (plan, kinds) = plan(&links, &shape, strategy);
            let counts = OpCounts { plain_adds: outputs as u64, ..plan.counts() };
            let work = (StepWork::linear(&plan), StepWork::behind(&plan));
            Candidate { plan: Arc::new(plan), kinds, strategy, counts, work }
        });
        let candidates = all.fold(Vec::new(), keep_unbeaten);
        let groups = output.groups() as u64;
        Ok(Layer { output: self.intern(output), groups, index: self.known.len(), candidates })
    }
}

fn check_ciphertexts(ciphertexts: usize, node: NodeId) -> Result<(), CostError> {
    if ciphertexts <= MAX_CIPHERTEXTS {
        return Ok(());
    }
    let why = format!("it spans {ciphertexts} ciphertexts, at most {MAX_CIPHERTEXTS} are supported");
    Err(CostError::Unsupported { node, op: "linear step", why })
}

/// Adds a candidate unless an earlier one does no operation more often, and drops those it beats in turn.
fn keep_unbeaten(mut kept: Vec<Candidate>, new: Candidate) -> Vec<Candidate> {
    let counts = |c: &Candidate| c.work.0.counts().iter().chain(c.work.1.counts()).copied().collect::<Vec<u32>>();
    let beats = |a: &Candidate, b: &Candidate| counts(a).iter().zip(counts(b)).all(|(a, b)| *a <= b);
    if !kept.iter().any(|old| beats(old, &new)) {
        kept.retain(|old| !beats(&new, old));
        kept.push(new);
    }
    kept
}
