//! The entry points of the lowering, and what they remember from one network to the next.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use striae_spaces::TypedGraph;

use crate::{
    CkksParams, CostError, Estimate, HeProgram, PlanOptions, RingType, SecurityLevel, StrategyChoice,
    calibration::{Calibration, OpTimes},
    chains,
    estimate::estimate_counted,
    packing::Packing,
};

use super::{
    draft::{Draft, Part, Staged},
    hash::HashMap,
    layers::{Layers, Times},
};

/// How the client packs the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// How maps are packed.
    pub packing: Packing,
    /// How the client packs the image.
    pub input: InputPacking,
    /// How rotations are split.
    pub strategy: StrategyChoice,
}

impl Default for LowerOptions {
    fn default() -> Self {
        Self {
            fuse: true,
            packing: Packing::default(),
            input: InputPacking::default(),
            strategy: StrategyChoice::default(),
        }
    }
}

/// What the chains of a depth depend on: ring, log2 N, depth, security, smallest and largest log2 of the scale.
type ChainKey = (RingType, u32, usize, SecurityLevel, u32, u32);

/// Times of each level, by ring, log2 N and number of special primes.
type KnownTimes = HashMap<(RingType, u32, usize), Vec<OpTimes>>;

/// Lowers networks; keeps the layers, times and modulus chains it has met.
#[derive(Clone)]
pub struct Lowerer<'a> {
    calibration: &'a Calibration,
    spread: f64,
    layers: Layers,
    times: KnownTimes,
    chains: HashMap<ChainKey, Arc<[CkksParams]>>,
}

impl<'a> Lowerer<'a> {
    /// A lowerer that chooses strategies by the times of `calibration`.
    pub fn new(calibration: &'a Calibration) -> Self {
        let spread = calibration.spread();
        let (layers, times, chains) = (Layers::default(), HashMap::default(), HashMap::default());
        Self { calibration, spread, layers, times, chains }
    }

    /// The calibration strategies are chosen by.
    pub fn calibration(&self) -> &'a Calibration {
        self.calibration
    }

    /// Levels that `graph` needs.
    pub fn depth(graph: &TypedGraph, fuse: bool) -> Result<usize, CostError> {
        Ok(Staged::new(graph, fuse)?.depth())
    }

    /// Lowers `graph` for `params`; the program starts at the level its depth needs, not at the parameters' highest.
    pub fn lower(
        &mut self,
        graph: &TypedGraph,
        params: &CkksParams,
        options: &LowerOptions,
    ) -> Result<HeProgram, CostError> {
        let staged = Staged::new(graph, options.fuse)?;
        let (levels, available) = (staged.depth(), params.max_level());
        if levels > available {
            return Err(CostError::NotEnoughLevels { levels, available });
        }
        let draft = self.draft(graph, &staged, params.slots(), options)?;
        self.meet(params, staged.depth());
        Ok(draft.program(&mut self.layers, &times_of(&self.times, params)).0)
    }

    /// Lays out `graph` for ciphertexts of `slots` slots.
    pub(crate) fn draft<'s>(
        &mut self,
        graph: &TypedGraph,
        staged: &'s Staged,
        slots: usize,
        options: &LowerOptions,
    ) -> Result<Draft<'s>, CostError> {
        Draft::new(&mut self.layers, graph, staged, slots, options, &[])
    }

    /// Seconds of a draft under `params`.
    pub(crate) fn seconds(&mut self, draft: &Draft<'_>, params: &CkksParams) -> f64 {
        self.meet(params, draft.depth());
        draft.seconds(&mut self.layers, &times_of(&self.times, params))
    }

    /// Seconds of a step of a draft under `params` if its result is at `level`, and which of its candidates that is.
    pub(super) fn price(&mut self, part: &Part, params: &CkksParams, level: usize) -> (f64, usize) {
        self.meet(params, level + 1);
        part.price(&mut self.layers, &times_of(&self.times, params), level)
    }

    /// The program of a draft under `params`, and its estimate.
    pub(crate) fn finish(&mut self, draft: &Draft<'_>, params: &CkksParams) -> (HeProgram, Estimate) {
        self.meet(params, draft.depth());
        let times = times_of(&self.times, params);
        let (program, counts) = draft.program(&mut self.layers, &times);
        let estimate = estimate_counted(&program, &counts, params, times.levels, self.spread);
        (program, estimate)
    }

    /// The modulus chains of `depth` levels in a ring of degree `2^log_n`; see [`chains`].
    pub(crate) fn chains(
        &mut self,
        ring: RingType,
        log_n: u32,
        depth: usize,
        options: &PlanOptions,
    ) -> Arc<[CkksParams]> {
        let key = (ring, log_n, depth, options.security, options.min_log_scale, options.max_log_scale);
        Arc::clone(self.chains.entry(key).or_insert_with(|| chains(ring, log_n, depth, options).into()))
    }

    /// Makes sure that the times under `params` up to `level` are known.
    fn meet(&mut self, params: &CkksParams, level: usize) {
        let times = self.times.entry((params.ring(), params.log_n(), params.log_p().len())).or_default();
        times.extend((times.len()..=level).map(|level| self.calibration.times(params, level)));
    }
}

/// Times of the levels met under `params`.
fn times_of<'t>(known: &'t KnownTimes, params: &CkksParams) -> Times<'t> {
    let (ring, special) = (params.ring(), params.log_p().len());
    Times { ring, special, levels: known.get(&(ring, params.log_n(), special)).map_or(&[], Vec::as_slice) }
}
