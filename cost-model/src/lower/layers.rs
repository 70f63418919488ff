//! Linear steps that were seen before. Neither the diagonals of a step nor the strategies worth comparing depend on
//! levels or primes, so each step is laid out once for all parameters of one ring degree.

use std::sync::Arc;

use striae_spaces::{NodeId, Shape};

use crate::{
    CostError, LinearPlan, OpCounts, RotationKinds, Strategy, calibration::OpTimes, estimate::linear_parts,
    packing::Layout,
};

use super::{
    diagonals::dense_links,
    hash::HashMap,
    stages::ConvDesc,
    step_links::step_links,
    strategy::{StepShape, StrategyChoice, candidates, plan},
};

/// Index of a layout in [`Layers`].
pub(super) type LayoutId = u32;

/// Everything the diagonals of a linear step depend on.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LayerKey {
    pub(super) slots: usize,
    pub(super) shape: Shape,
    pub(super) merge: bool,
    pub(super) strategy: StrategyChoice,
    /// Operators, each with the index of its operand among the step's and the operand's layout.
    pub(super) operators: Vec<(usize, LayoutId, Operator)>,
}

/// An operator of a step with what its diagonals depend on besides layouts.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Operator {
    Conv(ConvDesc),
    Dense(usize),
    Copy,
}

/// A linear step, laid out.
pub(super) struct Layer {
    pub(super) output: LayoutId,
    /// Ways to split its rotations; at least one, and none that another beats whatever the times are.
    candidates: Vec<Candidate>,
}

/// One way to split the rotations of a step.
pub(super) struct Candidate {
    pub(super) plan: Arc<LinearPlan>,
    pub(super) kinds: RotationKinds,
    pub(super) strategy: Strategy,
    /// Operations of the step, its bias included.
    pub(super) counts: OpCounts,
}

impl Layer {
    /// The cheapest candidate where primitives take `before` at the operands' level and `after` one level lower.
    pub(super) fn cheapest(&self, before: &OpTimes, after: &OpTimes) -> (f64, &Candidate) {
        let mut best = (f64::INFINITY, &self.candidates[0]);
        for candidate in &self.candidates {
            let seconds = linear_parts(&candidate.counts, before, after).iter().map(|p| p.1.0).sum();
            if seconds < best.0 {
                best = (seconds, candidate);
            }
        }
        best
    }
}

impl Candidate {
    /// The counts a step's time is linear in, with non-negative times as factors.
    fn work(&self) -> [u64; 10] {
        let c = &self.counts;
        let joined = c.mod_downs.min(c.rescales);
        let in_q = c.plain_mults - c.plain_mults_extended;
        let mults = [c.plain_mults_extended, in_q];
        let divisions = [joined, c.mod_downs - joined, c.rescales - joined];
        let rotations = [c.hoists, c.rotations_hoisted, c.giant_steps, c.rotations_full, c.adds];
        let mut work = [0; 10];
        work.iter_mut().zip(mults.into_iter().chain(divisions).chain(rotations)).for_each(|(w, n)| *w = n);
        work
    }
}

/// Layouts and linear steps seen so far.
#[derive(Default)]
pub(super) struct Layers {
    ids: HashMap<Layout, LayoutId>,
    layouts: Vec<(Layout, usize)>,
    layers: HashMap<LayerKey, Arc<Layer>>,
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

    /// The step for `key`, which computes `node`.
    pub(super) fn layer(&mut self, key: LayerKey, node: NodeId) -> Result<Arc<Layer>, CostError> {
        if let Some(layer) = self.layers.get(&key) {
            return Ok(Arc::clone(layer));
        }
        let output = self.output_layout(&key, node)?;
        let layer = Arc::new(self.lay_out(&key, output, node)?);
        self.layers.insert(key, Arc::clone(&layer));
        Ok(layer)
    }

    /// Layout of the step's result: that of its first moving convolution, else of its first operand.
    fn output_layout(&self, key: &LayerKey, node: NodeId) -> Result<Layout, CostError> {
        let moves = |(_, _, op): &&(usize, LayoutId, Operator)| match op {
            Operator::Conv(desc) => desc.conv.groups < desc.output.channels() || desc.conv.stride > 1,
            Operator::Dense(_) => true,
            Operator::Copy => false,
        };
        let Some((_, layout, operator)) = key.operators.iter().find(moves).or(key.operators.first()) else {
            return Err(CostError::Unsupported { node, op: "linear step", why: "it has no operands".to_owned() });
        };
        match (operator, self.layout(*layout)) {
            (Operator::Dense(outputs), layout) => {
                if outputs.next_power_of_two() > key.slots {
                    let why = format!("{outputs} outputs do not fit into {} slots", key.slots);
                    return Err(CostError::Unsupported { node, op: "linear", why });
                }
                Ok(Layout::Vector(dense_links(layout, key.slots, *outputs).output))
            }
            (Operator::Conv(desc), Layout::Map(map)) => {
                // An identity keeps its own shape; every other operator has the node's.
                let shape = if desc.output.channels() == key.shape.channels() { key.shape } else { desc.output };
                let strided = map.strided(shape, desc.conv.stride);
                Ok(Layout::Map(if key.merge { strided.filled() } else { strided }))
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
        let operators = key.operators.iter().map(|(operand, _, operator)| (*operand, operator));
        let (links, folds) = step_links(operators, &inputs, &output, key.slots).ok_or_else(|| {
            let why = "its operands stand at different slots".to_owned();
            CostError::Unsupported { node, op: "add", why }
        })?;
        let (ciphertexts, outputs) = (inputs.iter().map(|l| l.ciphertexts()).sum(), output.ciphertexts());
        let shape = StepShape { slots: key.slots, inputs: ciphertexts, outputs, folds: &folds };
        let strategies = match key.strategy {
            StrategyChoice::Cheapest => candidates(&links),
            StrategyChoice::Always(strategy) => vec![strategy],
        };
        let all = strategies.into_iter().map(|strategy| {
            let (plan, kinds) = plan(&links, &shape, strategy);
            let counts = OpCounts { plain_adds: outputs as u64, ..plan.counts() };
            Candidate { plan: Arc::new(plan), kinds, strategy, counts }
        });
        let candidates = all.fold(Vec::new(), keep_unbeaten);
        Ok(Layer { output: self.intern(output), candidates })
    }
}

/// Adds a candidate unless an earlier one does no operation more often, and drops those it beats in turn.
fn keep_unbeaten(mut kept: Vec<Candidate>, new: Candidate) -> Vec<Candidate> {
    let beats = |a: &Candidate, b: &Candidate| a.work().iter().zip(b.work()).all(|(a, b)| *a <= b);
    if !kept.iter().any(|old| beats(old, &new)) {
        kept.retain(|old| !beats(&new, old));
        kept.push(new);
    }
    kept
}
