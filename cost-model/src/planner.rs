//! Choosing parameters and lowering for a network: the smallest ring degree whose security bound holds the modulus chain the
//! depth and precision need, and within it the cheapest variant by the estimate.

use std::{ops::RangeInclusive, sync::Arc};

use striae_spaces::{Shape, TypedGraph};

use crate::{
    CkksParams, CkksParamsLiteral, CostError, Diagonals, Estimate, HeProgram, InputPacking, LowerOptions, Lowerer,
    RingType, StrategyChoice,
    lower::{Draft, Staged, stages::Staging},
    packing::Packing,
    params::NARROW_PRIME_BITS,
    security::SecurityLevel,
};

/// log2 of the largest ring degree there are parameters for.
pub const MAX_LOG_N: u32 = 16;

/// Bits of q0 above the scale: room for results up to 2^9 in magnitude.
const HEADROOM_BITS: u32 = 10;

/// Most special primes that are tried: with six, the longest secure chains still have several digits, and more special
/// primes would take more from the scale than fewer digits give back.
pub const MAX_SPECIAL: usize = 6;

/// Bits by which P exceeds the largest digit at least. Key switching adds errors of that digit over P times those of fresh
/// keys; at one bit they are about those of rounding, and further bits are worth more in the scale.
const SPECIAL_MARGIN_BITS: u32 = 1;

/// What the planner may choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Parameters to use instead of chosen ones.
    pub params: Option<CkksParams>,
    /// Security that chosen parameters have.
    pub security: SecurityLevel,
    /// Smallest log2 N to try.
    pub min_log_n: u32,
    /// Largest log2 N to try.
    pub max_log_n: u32,
    /// Smallest acceptable log2 of the scale: the precision.
    pub min_log_scale: u32,
    /// Largest useful log2 of the scale.
    pub max_log_scale: u32,
    /// The ring; the cheaper of both where absent.
    pub ring: Option<RingType>,
    /// How maps are packed; the default packing where absent.
    pub packing: Option<Packing>,
    /// Images of one run, a power of two.
    pub batch: usize,
    /// How rotations are split.
    pub strategy: StrategyChoice,
    /// Whether convolutions with nothing between them become one; the cheaper of both where absent.
    pub fuse: Option<bool>,
    /// Which diagonals there are.
    pub diagonals: Diagonals,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            params: None,
            security: SecurityLevel::default(),
            min_log_n: 12,
            max_log_n: MAX_LOG_N,
            min_log_scale: 26,
            max_log_scale: 36,
            ring: None,
            packing: None,
            batch: 1,
            strategy: StrategyChoice::Cheapest,
            fuse: None,
            diagonals: Diagonals::All,
        }
    }
}

/// A network lowered for chosen parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The parameters.
    pub params: CkksParams,
    /// The lowering that was chosen.
    pub options: LowerOptions,
    /// The program.
    pub program: HeProgram,
    /// What it will take.
    pub estimate: Estimate,
}

/// The stages of a network under one choice of fusing.
struct Variant {
    fuse: bool,
    staged: Staged,
}

/// Levels of a network under one choice of fusing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct VariantDepth {
    pub(crate) fuse: bool,
    pub(crate) levels: usize,
}

/// A way to lower a network, with the parameters of one ring that it may run under; at least one.
pub(crate) struct Attempt {
    pub(crate) lowering: LowerOptions,
    pub(crate) chains: Arc<[CkksParams]>,
}

/// The best so far: its seconds, layout, parameters and lowering.
type Best<'v> = (f64, Draft<'v>, CkksParams, LowerOptions);

impl Lowerer<'_> {
    /// Plans `graph`: smallest N first, then the cheapest of the variants that fit it.
    pub fn plan(&mut self, graph: &TypedGraph, options: &PlanOptions) -> Result<Plan, CostError> {
        let variants = variants(graph, options)?;
        let depths: Vec<VariantDepth> =
            variants.iter().map(|v| VariantDepth { fuse: v.fuse, levels: v.staged.depth() }).collect();
        let mut too_large = None;
        for log_n in options.ring_degrees() {
            let attempts = self.attempts(graph.input_shape(), &depths, log_n, options);
            if attempts.is_empty() {
                continue;
            }
            match self.cheapest(graph, &variants, attempts) {
                Err(error @ CostError::MapTooLarge { .. }) => too_large = Some(error),
                result => return result,
            }
        }
        Err(too_large.unwrap_or_else(|| too_deep(&depths, options)))
    }

    /// What there is to compare at ring degree `2^log_n` for networks of this input and these depths; of equally fast
    /// attempts the first is taken.
    pub(crate) fn attempts(
        &mut self,
        input: Shape,
        depths: &[VariantDepth],
        log_n: u32,
        options: &PlanOptions,
    ) -> Vec<Attempt> {
        let (packing, batch, strategy) = (options.packing.unwrap_or_default(), options.batch, options.strategy);
        let mut attempts = Vec::new();
        for ring in options.rings() {
            for &VariantDepth { fuse, levels } in depths {
                let chains = match &options.params {
                    Some(params) if levels <= params.max_level() => [params.clone()].into(),
                    Some(_) => continue,
                    None => self.chains(ring, log_n, levels, options),
                };
                if !chains.is_empty() {
                    let diagonals = || options.diagonals.clone();
                    let lowering =
                        |&input| LowerOptions { fuse, packing, batch, input, strategy, diagonals: diagonals() };
                    let attempt = |lowering| Attempt { lowering, chains: Arc::clone(&chains) };
                    attempts.extend(packings(input).iter().map(lowering).map(attempt));
                }
            }
        }
        attempts
    }

    /// The cheapest of the attempts under their parameters, by the latency its estimate will give; only the winner's
    /// program is made.
    fn cheapest(
        &mut self,
        graph: &TypedGraph,
        variants: &[Variant],
        attempts: Vec<Attempt>,
    ) -> Result<Plan, CostError> {
        let mut best: Option<Best<'_>> = None;
        let mut error = None;
        for Attempt { lowering, chains } in attempts {
            let Some(variant) = variants.iter().find(|v| v.fuse == lowering.fuse) else { continue };
            // All of one ring, so all with the same slots.
            let draft = match self.draft(graph, &variant.staged, chains[0].slots(), &lowering) {
                Ok(draft) => draft,
                Err(e) => {
                    error = Some(e);
                    continue;
                }
            };
            let (seconds, params) = self.cheapest_chain(&draft, &chains);
            if best.as_ref().is_none_or(|b| seconds < b.0) {
                best = Some((seconds, draft, params.clone(), lowering));
            }
        }
        match (best, error) {
            (Some((_, draft, params, options)), _) => {
                let (program, estimate) = self.finish(&draft, &params);
                Ok(Plan { params, options, program, estimate })
            }
            (None, Some(error)) => Err(error),
            (None, None) => Err(CostError::NotEnoughLevels { levels: 0, available: 0 }),
        }
    }

    fn cheapest_chain<'p>(&mut self, draft: &Draft<'_>, chains: &'p [CkksParams]) -> (f64, &'p CkksParams) {
        let mut best = (f64::INFINITY, &chains[0]);
        for params in chains {
            let seconds = self.seconds(draft, params);
            if seconds < best.0 {
                best = (seconds, params);
            }
        }
        best
    }
}

impl PlanOptions {
    /// log2 of the ring degrees to try, in order.
    pub(crate) fn ring_degrees(&self) -> RangeInclusive<u32> {
        self.params.as_ref().map_or(self.min_log_n..=self.max_log_n, |p| p.log_n()..=p.log_n())
    }

    /// How networks are split into stages.
    pub(crate) fn staging(&self, fuse: bool) -> Staging {
        Staging::of(fuse, self.packing.unwrap_or_default(), self.batch)
    }

    /// The rings to try.
    fn rings(&self) -> impl Iterator<Item = RingType> {
        let only = self.params.as_ref().map(CkksParams::ring).or(self.ring);
        RingType::ALL.into_iter().filter(move |r| only.is_none_or(|ring| ring == *r))
    }
}

/// The stages worth comparing: those of the choice that was made, else fused, and factored where that differs.
fn variants(graph: &TypedGraph, options: &PlanOptions) -> Result<Vec<Variant>, CostError> {
    let variant = |fuse| Staged::new(graph, options.staging(fuse)).map(|staged| Variant { fuse, staged });
    if let Some(fuse) = options.fuse {
        return Ok(vec![variant(fuse)?]);
    }
    let (fused, factored) = (variant(true)?, variant(false)?);
    Ok(if fused.staged == factored.staged { vec![fused] } else { vec![fused, factored] })
}

/// The input packings worth comparing: a grey image fills one ciphertext either way.
fn packings(input: Shape) -> &'static [InputPacking] {
    match input {
        Shape::Map { channels: 1, .. } | Shape::Vector { .. } => &[InputPacking::Replicated],
        Shape::Map { .. } => &[InputPacking::Replicated, InputPacking::Packed],
    }
}

/// What is wrong where no attempt has the levels.
fn too_deep(depths: &[VariantDepth], options: &PlanOptions) -> CostError {
    let levels = depths.iter().map(|v| v.levels).min().unwrap_or(0);
    if let Some(params) = &options.params {
        return CostError::NotEnoughLevels { levels, available: params.max_level() };
    }
    let max_log_n = options.max_log_n;
    let available = max_levels(max_log_n, options);
    let fits = (max_log_n + 1..=MAX_LOG_N).find(|&log_n| max_levels(log_n, options) >= levels);
    CostError::TooDeep { levels, available, max_log_n, bits: options.security.bits(), fits }
}

/// Levels that chains of these options offer in a ring of degree `2^log_n`.
pub fn max_levels(log_n: u32, options: &PlanOptions) -> usize {
    let exists = |depth: &usize| !chains(RingType::default(), log_n, *depth, options).is_empty();
    (1..64).take_while(exists).last().unwrap_or(0)
}

/// Modulus chains of `depth` levels that are secure in a ring of degree `2^log_n`, one for each useful number of special
/// primes, each with the largest scale that fits. The special primes are as small as the largest digit, the one with q0,
/// allows.
pub fn chains(ring: RingType, log_n: u32, depth: usize, options: &PlanOptions) -> Vec<CkksParams> {
    let Some(bound) = options.security.max_log_qp(log_n) else { return Vec::new() };
    let chain = |special: usize, log_scale: u32| {
        let q0 = (log_scale + HEADROOM_BITS).min(NARROW_PRIME_BITS - 1);
        let digit = q0 + (special as u32 - 1) * log_scale;
        let literal = CkksParamsLiteral {
            log_n,
            log_q: std::iter::once(q0).chain(std::iter::repeat_n(log_scale, depth)).collect(),
            log_p: vec![(digit + SPECIAL_MARGIN_BITS).div_ceil(special as u32); special],
            log_scale,
            ring,
            insecure: false,
        };
        let bits: u32 = literal.log_q.iter().chain(&literal.log_p).sum();
        (bits <= bound).then(|| CkksParams::try_from(literal).ok()).flatten()
    };
    (1..=MAX_SPECIAL.min(depth + 1))
        .filter_map(|special| {
            (options.min_log_scale..=options.max_log_scale).rev().find_map(|log_scale| chain(special, log_scale))
        })
        .collect()
}
