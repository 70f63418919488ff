//! Choosing parameters and lowering for a network: the smallest ring degree whose security bound holds the modulus chain the
//! depth and precision need, and within it the cheapest variant by the estimate.

use striae_spaces::{Shape, TypedGraph};

use crate::{
    CkksParams, CkksParamsLiteral, CostError, Estimate, HeProgram, InputPacking, LowerOptions, Lowerer, StrategyChoice,
    estimate::estimate, max_log_qp, params::MAX_PRIME_BITS,
};

/// Bits of q0 above the scale: room for results up to 2^9 in magnitude.
const HEADROOM_BITS: u32 = 10;

/// Most special primes that are tried.
const MAX_SPECIAL: usize = 3;

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

impl Lowerer<'_> {
    /// Plans `graph`: smallest N first, then the cheapest of the variants that fit it.
    pub fn plan(&mut self, graph: &TypedGraph, options: &PlanOptions) -> Result<Plan, CostError> {
        let variants = variants(graph, options)?;
        if let Some(params) = &options.params {
            return self.cheapest(graph, variants.iter().map(|(o, _)| (params.clone(), o.clone())).collect());
        }
        let mut too_large = None;
        for log_n in options.min_log_n..=options.max_log_n {
            let candidates: Vec<(CkksParams, LowerOptions)> = variants
                .iter()
                .flat_map(|(o, depth)| chains(log_n, *depth, options).into_iter().map(|p| (p, o.clone())))
                .collect();
            if candidates.is_empty() {
                continue;
            }
            match self.cheapest(graph, candidates) {
                Err(error @ CostError::MapTooLarge { .. }) => too_large = Some(error),
                result => return result,
            }
        }
        let levels = variants.iter().map(|(_, depth)| *depth).min().unwrap_or(0);
        let max_log_n = options.max_log_n;
        let available = (1..64).take_while(|&d| !chains(max_log_n, d, options).is_empty()).last().unwrap_or(0);
        Err(too_large.unwrap_or(CostError::TooDeep { levels, available, max_log_n }))
    }

    fn cheapest(&mut self, graph: &TypedGraph, candidates: Vec<(CkksParams, LowerOptions)>) -> Result<Plan, CostError> {
        let mut best: Option<Plan> = None;
        let mut error = None;
        for (params, options) in candidates {
            let program = match self.lower(graph, &params, &options) {
                Ok(program) => program,
                Err(e) => {
                    error = Some(e);
                    continue;
                }
            };
            let estimate = estimate(&program, &params, self.calibration());
            if best.as_ref().is_none_or(|b| estimate.latency < b.estimate.latency) {
                best = Some(Plan { params, options, program, estimate });
            }
        }
        best.ok_or_else(|| error.unwrap_or(CostError::NotEnoughLevels { levels: 0, available: 0 }))
    }
}

/// The lowerings worth comparing, with their depths.
fn variants(graph: &TypedGraph, options: &PlanOptions) -> Result<Vec<(LowerOptions, usize)>, CostError> {
    let (fused, factored) = (Lowerer::depth(graph, true)?, Lowerer::depth(graph, false)?);
    let fuses = match options.fuse {
        Some(true) => vec![(true, fused)],
        Some(false) => vec![(false, factored)],
        None if fused == factored => vec![(true, fused)],
        None => vec![(true, fused), (false, factored)],
    };
    let grey = matches!(graph.input_shape(), Shape::Map { channels: 1, .. } | Shape::Vector { .. });
    let packings: &[_] =
        if grey { &[InputPacking::Replicated] } else { &[InputPacking::Replicated, InputPacking::Packed] };
    let strategy = options.strategy;
    Ok(fuses
        .iter()
        .flat_map(|&(fuse, depth)| {
            packings.iter().map(move |&input| (LowerOptions { fuse, merge: true, input, strategy }, depth))
        })
        .collect())
}

/// Modulus chains of `depth` levels that are secure at `2^log_n`, one for each useful number of special primes, each with the
/// largest scale that fits.
pub fn chains(log_n: u32, depth: usize, options: &PlanOptions) -> Vec<CkksParams> {
    let Some(bound) = max_log_qp(log_n) else { return Vec::new() };
    let chain = |special: usize, log_scale: u32| {
        let q0 = (log_scale + HEADROOM_BITS).min(MAX_PRIME_BITS - 1);
        let literal = CkksParamsLiteral {
            log_n,
            log_q: std::iter::once(q0).chain(std::iter::repeat_n(log_scale, depth)).collect(),
            log_p: vec![q0 + 1; special],
            log_scale,
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
