//! Choosing parameters and lowering for a network: the smallest ring degree whose security bound holds the modulus chain the
//! depth and precision need, and within it the cheapest variant by the estimate.

use std::sync::Arc;

use striae_spaces::{Shape, TypedGraph};

use crate::{
    CkksParams, CkksParamsLiteral, CostError, Estimate, HeProgram, InputPacking, LowerOptions, Lowerer, RingType,
    StrategyChoice,
    lower::{Draft, Staged, stages::Staging},
    max_log_qp,
    packing::Packing,
    params::NARROW_PRIME_BITS,
};

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
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            params: None,
            min_log_n: 12,
            max_log_n: 16,
            min_log_scale: 26,
            max_log_scale: 36,
            ring: None,
            packing: None,
            batch: 1,
            strategy: StrategyChoice::Cheapest,
            fuse: None,
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

/// A variant with parameters of one ring that it may run under.
type Fitting<'v> = (&'v Variant, Arc<[CkksParams]>);

/// The best so far: its seconds, layout, parameters and lowering.
type Best<'v> = (f64, Draft<'v>, CkksParams, LowerOptions);

impl Lowerer<'_> {
    /// Plans `graph`: smallest N first, then the cheapest of the variants that fit it.
    pub fn plan(&mut self, graph: &TypedGraph, options: &PlanOptions) -> Result<Plan, CostError> {
        let variants = variants(graph, options)?;
        if let Some(params) = &options.params {
            let (fitting, too_deep) = with_levels(&variants, params);
            return if fitting.is_empty() { Err(too_deep) } else { self.cheapest(graph, &fitting, options) };
        }
        let mut too_large = None;
        for log_n in options.min_log_n..=options.max_log_n {
            let rings = RingType::ALL.into_iter().filter(|r| options.ring.is_none_or(|ring| ring == *r));
            let combinations = rings.flat_map(|ring| variants.iter().map(move |v| (ring, v)));
            let chains = combinations.map(|(ring, v)| (v, self.chains(ring, log_n, v.staged.depth(), options)));
            let fitting: Vec<Fitting<'_>> = chains.filter(|(_, chains)| !chains.is_empty()).collect();
            if fitting.is_empty() {
                continue;
            }
            match self.cheapest(graph, &fitting, options) {
                Err(error @ CostError::MapTooLarge { .. }) => too_large = Some(error),
                result => return result,
            }
        }
        Err(too_large.unwrap_or_else(|| too_deep(&variants, options)))
    }

    /// The cheapest of the variants under their parameters, by the latency its estimate will give; only the winner's
    /// program is made.
    fn cheapest(
        &mut self,
        graph: &TypedGraph,
        fitting: &[Fitting<'_>],
        options: &PlanOptions,
    ) -> Result<Plan, CostError> {
        let mut best: Option<Best<'_>> = None;
        let mut error = None;
        for (variant, chains) in fitting {
            for &input in packings(graph) {
                let lowering = LowerOptions {
                    fuse: variant.fuse,
                    packing: options.packing.unwrap_or_default(),
                    batch: options.batch,
                    input,
                    strategy: options.strategy,
                };
                // All of one ring, so all with the same slots.
                let draft = match self.draft(graph, &variant.staged, chains[0].slots(), &lowering) {
                    Ok(draft) => draft,
                    Err(e) => {
                        error = Some(e);
                        continue;
                    }
                };
                let (seconds, params) = self.cheapest_chain(&draft, chains);
                if best.as_ref().is_none_or(|b| seconds < b.0) {
                    best = Some((seconds, draft, params.clone(), lowering));
                }
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

/// The stages worth comparing: those of the choice that was made, else fused, and factored where that differs.
fn variants(graph: &TypedGraph, options: &PlanOptions) -> Result<Vec<Variant>, CostError> {
    let packing = options.packing.unwrap_or_default();
    let variant =
        |fuse| Staged::new(graph, Staging::of(fuse, packing, options.batch)).map(|staged| Variant { fuse, staged });
    if let Some(fuse) = options.fuse {
        return Ok(vec![variant(fuse)?]);
    }
    let (fused, factored) = (variant(true)?, variant(false)?);
    Ok(if fused.staged == factored.staged { vec![fused] } else { vec![fused, factored] })
}

/// The input packings worth comparing: a grey image fills one ciphertext either way.
fn packings(graph: &TypedGraph) -> &'static [InputPacking] {
    match graph.input_shape() {
        Shape::Map { channels: 1, .. } | Shape::Vector { .. } => &[InputPacking::Replicated],
        Shape::Map { .. } => &[InputPacking::Replicated, InputPacking::Packed],
    }
}

/// The variants that `params` have levels for, and the error if there are none.
fn with_levels<'v>(variants: &'v [Variant], params: &CkksParams) -> (Vec<Fitting<'v>>, CostError) {
    let available = params.max_level();
    let levels = variants.iter().map(|v| v.staged.depth()).min().unwrap_or(0);
    let deep_enough = variants.iter().filter(|v| v.staged.depth() <= available);
    let fitting = deep_enough.map(|v| (v, [params.clone()].into())).collect();
    (fitting, CostError::NotEnoughLevels { levels, available })
}

fn too_deep(variants: &[Variant], options: &PlanOptions) -> CostError {
    let levels = variants.iter().map(|v| v.staged.depth()).min().unwrap_or(0);
    let max_log_n = options.max_log_n;
    let exists = |depth: &usize| !chains(RingType::default(), max_log_n, *depth, options).is_empty();
    let available = (1..64).take_while(exists).last().unwrap_or(0);
    CostError::TooDeep { levels, available, max_log_n }
}

/// Modulus chains of `depth` levels that are secure in a ring of degree `2^log_n`, one for each useful number of special
/// primes, each with the largest scale that fits. The special primes are as small as the largest digit, the one with q0,
/// allows.
pub fn chains(ring: RingType, log_n: u32, depth: usize, options: &PlanOptions) -> Vec<CkksParams> {
    let Some(bound) = max_log_qp(log_n) else { return Vec::new() };
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
