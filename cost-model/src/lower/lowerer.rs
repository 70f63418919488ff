//! The entry points of the lowering, and what they remember from one network to the next.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use striae_spaces::TypedGraph;

use crate::{
    Calibration, CkksParams, CkksParamsLiteral, CostError, Estimate, HeProgram, ParamsError, PlanOptions, RingType,
    SecurityLevel, StrategyChoice, chains, estimate::estimate_of, packing::Packing,
};

use super::{
    draft::{Draft, Part},
    hash::HashMap,
    kept::Diagonals,
    layers::{Layers, StepPrice},
    staged::Staged,
    stages::Staging,
    times::{KnownTimes, Times, TimesKey},
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
    /// Images of one run, a power of two.
    pub batch: usize,
    /// How the client packs the image.
    pub input: InputPacking,
    /// How rotations are split.
    pub strategy: StrategyChoice,
    /// Which diagonals there are.
    pub diagonals: Diagonals,
}

impl Default for LowerOptions {
    fn default() -> Self {
        Self {
            fuse: true,
            packing: Packing::default(),
            batch: 1,
            input: InputPacking::default(),
            strategy: StrategyChoice::default(),
            diagonals: Diagonals::All,
        }
    }
}

impl LowerOptions {
    /// Levels that `graph` needs.
    ///
    /// # Errors
    ///
    /// [`CostError::Unsupported`] for what does not run on ciphertexts.
    pub fn depth(&self, graph: &TypedGraph) -> Result<usize, CostError> {
        Ok(Staged::new(graph, self.staging())?.depth())
    }

    /// How they split a network into stages.
    pub(crate) fn staging(&self) -> Staging {
        Staging::of(self.fuse, self.packing, self.batch)
    }
}

/// What the chains of a depth depend on: ring, log2 N, depth, security, smallest and largest log2 of the scale.
type ChainKey = (RingType, u32, usize, SecurityLevel, u32, u32);

/// Level whose times choose strategies where programs are only counted.
const COUNTING_LEVEL: usize = 8;

/// Parameters with ciphertexts of `slots` slots, for their times alone.
fn counting_params(slots: usize) -> Result<CkksParams, CostError> {
    let log_slots = slots.max(1).ilog2();
    // The standard ring ends at 2^15 slots.
    let (ring, log_n) =
        if log_slots < 16 { (RingType::Standard, log_slots + 1) } else { (RingType::ConjugateInvariant, log_slots) };
    if !slots.is_power_of_two() {
        return Err(ParamsError::LogN { log_n }.into());
    }
    let literal = CkksParamsLiteral {
        log_n,
        log_q: vec![40; COUNTING_LEVEL + 1],
        log_p: vec![41; 2],
        log_scale: 30,
        ring,
        insecure: true,
    };
    Ok(CkksParams::try_from(literal)?)
}

/// Lowers networks; keeps the layers, times and modulus chains it has met.
#[derive(Clone)]
pub struct Lowerer<'a> {
    calibration: &'a Calibration,
    layers: Layers,
    times: KnownTimes,
    chains: HashMap<ChainKey, Arc<[CkksParams]>>,
}

impl<'a> Lowerer<'a> {
    /// A lowerer that chooses strategies by the times of `calibration`.
    pub fn new(calibration: &'a Calibration) -> Self {
        let (layers, times, chains) = Default::default();
        Self { calibration, layers, times, chains }
    }

    /// The calibration strategies are chosen by.
    pub fn calibration(&self) -> &'a Calibration {
        self.calibration
    }

    /// Levels that `graph` needs, packed as by default.
    pub fn depth(graph: &TypedGraph, fuse: bool) -> Result<usize, CostError> {
        LowerOptions { fuse, ..LowerOptions::default() }.depth(graph)
    }

    /// Lowers `graph` for `params`; the program starts at the level its depth needs, not at the parameters' highest.
    pub fn lower(
        &mut self,
        graph: &TypedGraph,
        params: &CkksParams,
        options: &LowerOptions,
    ) -> Result<HeProgram, CostError> {
        let staged = Staged::new(graph, options.staging())?;
        let (levels, available) = (staged.depth(), params.max_level());
        if levels > available {
            return Err(CostError::NotEnoughLevels { levels, available });
        }
        let draft = self.draft(graph, &staged, params.slots(), options)?;
        let times = self.times.up_to(levels, params, self.calibration);
        Ok(draft.program(&mut self.layers, &times))
    }

    /// Lowers `graph` to count its operations only: whatever its depth, for ciphertexts of `slots` slots, a power of two from
    /// 2^9 to 2^16. No modulus chain holds most of such programs, so strategies are chosen by the times of one level, the
    /// same for all steps, and nothing runs them. Bootstrappings are not counted.
    ///
    /// # Errors
    ///
    /// Those of [`Self::lower`] but for its levels, and [`CostError::Params`] for other numbers of slots.
    pub fn count(&self, graph: &TypedGraph, slots: usize, options: &LowerOptions) -> Result<HeProgram, CostError> {
        let params = counting_params(slots)?;
        let staged = Staged::new(graph, options.staging())?;
        // Choices are remembered by level, so these must not meet those of real parameters.
        let mut layers = Layers::default();
        let draft = Draft::new(&mut layers, graph, &staged, slots, options, &[])?;
        let levels = vec![self.calibration.times(&params, COUNTING_LEVEL); staged.depth() + 1];
        Ok(draft.program(&mut layers, &Times { key: TimesKey::of(&params), levels: &levels }))
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
        let times = self.times.up_to(draft.depth(), params, self.calibration);
        draft.seconds(&mut self.layers, &times)
    }

    /// What a step of a draft takes under `params` if its result is at `level`.
    pub(super) fn price(&mut self, part: &Part, params: &CkksParams, level: usize) -> StepPrice {
        let times = self.times.up_to(level + 1, params, self.calibration);
        part.price(&mut self.layers, &times, level)
    }

    /// The program of a draft under `params`, and its estimate.
    pub(crate) fn finish(&mut self, draft: &Draft<'_>, params: &CkksParams) -> (HeProgram, Estimate) {
        let times = self.times.up_to(draft.depth(), params, self.calibration);
        let (program, works) = (draft.program(&mut self.layers, &times), draft.works(&mut self.layers, &times));
        let estimate = estimate_of(&program, params, self.calibration, &works, times.levels);
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
}
