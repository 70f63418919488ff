//! One run of a step, a row or a unit, timed, on data like that of a real program.

mod rows;
mod steps;

use std::hint::black_box;
use std::time::Instant;

use striae_cost_model::{LinearPlan, Term};

use crate::HeError;
use crate::backend::{CheckedPlan, HeBackend};

use super::evaluator::RnsBackend;
use super::linear::{IndexedTerms, RnsLinear};
use super::parallel;
use super::simd::Tiling;

pub(crate) use rows::{RowProbe, Unit};
pub(crate) use steps::StepProbe;

/// Rotation keys the probe cycles through.
const KEYS: u32 = 8;
/// Rotated inputs of the measured products: as many terms per sum as a small convolution has.
const INPUTS: u16 = 3;
/// Bytes of diagonals that no cache holds.
const COLD_BYTES: usize = 64 << 20;

/// A linear step's multiplications without its rotations.
struct Product {
    terms: [IndexedTerms; 2],
    weights: RnsLinear,
    count: usize,
    operands: usize,
}

/// Every output reads every rotation of every input (in QP), or as many inputs as they are (in Q).
fn plan(outputs: usize, inputs: u16, extended: bool) -> LinearPlan {
    let babies: Vec<u32> = if extended { (1..=KEYS).collect() } else { vec![0] };
    let inputs = if extended { inputs } else { inputs * KEYS as u16 };
    let mut terms = Vec::new();
    for output in 0..outputs as u16 {
        for input in 0..inputs {
            terms.extend((0..babies.len() as u16).map(|baby| Term { output, giant: 0, input, baby }));
        }
    }
    LinearPlan {
        inputs: inputs.into(),
        outputs,
        babies: vec![babies; inputs.into()],
        giants: vec![0],
        terms,
        folds: vec![],
    }
}

impl Product {
    fn new(backend: &RnsBackend, level: usize, extended: bool, values: &[f64]) -> Result<Self, HeError> {
        let limbs = if extended { backend.ctx.extended_limbs(level) } else { level + 1 };
        let operands = usize::from(INPUTS) * KEYS as usize;
        let diagonal = |t: usize| Tiling::count(backend.ctx.n) * backend.ctx.tiling(level, t).bytes();
        let bytes_per_output = operands * (0..limbs).map(diagonal).sum::<usize>();
        let outputs = (COLD_BYTES / bytes_per_output).clamp(2, 64);
        let plan = plan(outputs, INPUTS, extended);
        let scale = 2f64.powi(backend.params().log_scale() as i32);
        let fill = |_: usize, slots: &mut [f64]| slots.copy_from_slice(values);
        let weights = backend.encode_linear(&plan, level, scale, &fill)?;
        let checked = CheckedPlan::new(&plan, backend.ctx.slots())?;
        let terms = [false, true].map(|special| IndexedTerms::of_limb(&checked, special));
        Ok(Self { terms, weights, count: plan.terms.len(), operands })
    }

    /// Bytes of one diagonal.
    fn diagonal_bytes(&self) -> f64 {
        self.weights.bytes() as f64 / self.count as f64
    }

    /// Seconds per diagonal.
    fn time(&self, backend: &RnsBackend, level: usize) -> f64 {
        let ctx = &*backend.ctx;
        let stride = 2 * ctx.n * (self.count / self.operands);
        let mut out = ctx.pool.take(stride * self.weights.limb_count());
        let operands = ctx.pool.zeros(self.terms[0].operand_words(ctx.n));
        let start = Instant::now();
        parallel::each_limb(stride, &mut out, |t, out| {
            let terms = &self.terms[usize::from(t > level)];
            terms.multiply(ctx, (level, t), self.weights.limb(t), &operands, out);
        });
        start.elapsed().as_secs_f64() / self.count as f64
    }
}

fn timed<T>(f: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    let result = black_box(f());
    let seconds = start.elapsed().as_secs_f64();
    drop(result);
    seconds
}

fn fallible<T>(f: impl FnOnce() -> Result<T, HeError>) -> Result<f64, HeError> {
    let start = Instant::now();
    let result = black_box(f()?);
    let seconds = start.elapsed().as_secs_f64();
    drop(result);
    Ok(seconds)
}
