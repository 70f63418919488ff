//! Compiling: weights into the diagonals and biases of a program.

use std::sync::Arc;

use striae_cost_model::{HeProgram, LinearStep, Step, StepKind, ValueId};
use striae_spaces::{Op, TypedGraph, WeightStore};

use crate::{HeBackend, HeError, RnsBackend, WeightSpace};

use super::{
    CircuitError,
    affine::{Affine, Quadratic, shape_of},
    precision::slots_of,
    weights::{StepContext, StepWeights},
};

/// A program with encoded weights.
pub struct Circuit<B: HeBackend> {
    pub(super) program: Arc<HeProgram>,
    pub(super) steps: Vec<EncodedStep<B>>,
    /// Scale of the encrypted image.
    pub(super) input_scale: f64,
}

/// What a step needs besides its plan.
pub(super) enum EncodedStep<B: HeBackend> {
    Linear {
        weights: B::EncodedLinear,
        bias: Vec<B::EncodedPlain>,
    },
    Square {
        shift: Option<Vec<B::EncodedPlain>>,
        /// What separates the network's activation input from the value that is read.
        operand: Affine,
    },
    WindowSum,
}

/// Values as they are known when a step is compiled.
struct Known {
    affine: Vec<Affine>,
    scale: Vec<f64>,
}

impl<B: HeBackend> Circuit<B> {
    /// Encodes the weights of a folded network for its program, in memory.
    pub fn compile(
        backend: &B,
        program: Arc<HeProgram>,
        graph: &TypedGraph,
        store: &WeightStore,
    ) -> Result<Self, CircuitError> {
        Self::compile_in(WeightSpace::memory(), backend, program, graph, store)
    }

    /// The same with the diagonals in `space`.
    pub fn compile_in(
        mut space: WeightSpace,
        backend: &B,
        program: Arc<HeProgram>,
        graph: &TypedGraph,
        store: &WeightStore,
    ) -> Result<Self, CircuitError> {
        store.check(graph)?;
        let input_scale = f64::from(backend.params().log_scale()).exp2();
        let input = Affine::identity(program.values[0].layout.len());
        let mut known = Known { affine: vec![input], scale: vec![input_scale] };
        let mut steps = Vec::with_capacity(program.steps.len());
        for (i, step) in program.steps.iter().enumerate() {
            let ctx = StepContext { graph, store, program: &program, affine: &known.affine, scale: &known.scale };
            let in_step = |source| CircuitError::Backend { step: i, node: step.node, source };
            let (encoded, affine, scale) = match &step.kind {
                StepKind::Linear(linear) => compile_linear((backend, &mut space), &ctx, i, linear, input_scale)?,
                StepKind::Square { input, shift } => {
                    compile_square(backend, &ctx, step, *input, *shift)?.map_err(in_step)?
                }
                StepKind::WindowSum { input, .. } => {
                    let Op::AvgPool(pool) = &graph.node(step.node).op else {
                        return Err(CircuitError::NotFolded { node: step.node });
                    };
                    let shape = shape_of(&program, input.index(), graph);
                    let affine = known.affine[input.index()].pooled(shape, graph.shape(step.node), pool);
                    (EncodedStep::WindowSum, affine, known.scale[input.index()])
                }
            };
            steps.push(encoded);
            known.affine.push(affine);
            known.scale.push(scale);
        }
        space.finish().map_err(CircuitError::Space)?;
        Ok(Self { program, steps, input_scale })
    }

    /// The program.
    pub fn program(&self) -> &HeProgram {
        &self.program
    }

    /// Scale the image has to be encrypted at.
    pub fn input_scale(&self) -> f64 {
        self.input_scale
    }
}

impl Circuit<RnsBackend> {
    /// Bytes of all encoded diagonals, and of those that are held in memory.
    pub fn weight_bytes(&self) -> (usize, usize) {
        let linear = |step: &EncodedStep<RnsBackend>| match step {
            EncodedStep::Linear { weights, .. } => Some((weights.bytes(), weights.held_bytes())),
            EncodedStep::Square { .. } | EncodedStep::WindowSum => None,
        };
        self.steps.iter().filter_map(linear).fold((0, 0), |sum, step| (sum.0 + step.0, sum.1 + step.1))
    }
}

type Compiled<B> = (EncodedStep<B>, Affine, f64);

fn compile_linear<B: HeBackend>(
    (backend, space): (&B, &mut WeightSpace),
    ctx: &StepContext<'_>,
    index: usize,
    linear: &LinearStep,
    target_scale: f64,
) -> Result<Compiled<B>, CircuitError> {
    let node = ctx.program.steps[index].node;
    let in_step = |source| CircuitError::Backend { step: index, node, source };
    let mut weights = StepWeights::new(ctx, index, linear)?;
    let value = ctx.program.output_of(index);
    if let Some(shift) = joined_shift(ctx, index)? {
        weights.bias.iter_mut().zip(shift).for_each(|(b, s)| *b += s);
    }
    // The result comes out at exactly the target scale after the division by the level's prime.
    let plain_scale = target_scale * backend.modulus(linear.level) / ctx.scale[linear.inputs[0].index()];
    let fill = |term: usize, slots: &mut [f64]| weights.fill(term, slots);
    let encoded = backend.encode_linear_in(space, &linear.plan, (linear.level, plain_scale), &fill).map_err(in_step)?;
    let bias = encode_vector(backend, ctx.program, index + 1, &weights.bias, target_scale).map_err(in_step)?;
    Ok((EncodedStep::Linear { weights: encoded, bias }, Affine::identity(value.layout.len()), target_scale))
}

/// The shift of the activation that squares the result of this step, where that was left to the bias.
fn joined_shift(ctx: &StepContext<'_>, index: usize) -> Result<Option<Vec<f64>>, CircuitError> {
    let result = ValueId(index as u32 + 1);
    let square = ctx.program.steps.iter().find(|s| match s.kind {
        StepKind::Square { input, shift } => input == result && !shift,
        StepKind::Linear(_) | StepKind::WindowSum { .. } => false,
    });
    let Some(square) = square else { return Ok(None) };
    let before = Affine::identity(ctx.program.value(result).layout.len());
    Ok(Some(Quadratic::of(square.node, ctx.graph, ctx.store)?.shift(&before)))
}

fn compile_square<B: HeBackend>(
    backend: &B,
    ctx: &StepContext<'_>,
    step: &Step,
    input: ValueId,
    shift: bool,
) -> Result<Result<Compiled<B>, HeError>, CircuitError> {
    let quadratic = Quadratic::of(step.node, ctx.graph, ctx.store)?;
    let (before, scale) = (&ctx.affine[input.index()], ctx.scale[input.index()]);
    let level = ctx.program.value(input).level;
    let encoded = if shift {
        encode_vector(backend, ctx.program, input.index(), &quadratic.shift(before), scale).map(Some)
    } else {
        Ok(None)
    };
    let after = scale * scale / backend.modulus(level);
    let operand = if shift { before.clone() } else { quadratic.operand(before) };
    Ok(encoded.map(|shift| (EncodedStep::Square { shift, operand }, quadratic.after(before), after)))
}

/// Encodes one number for each element of a value, at the value's slots and level.
fn encode_vector<B: HeBackend>(
    backend: &B,
    program: &HeProgram,
    value: usize,
    elements: &[f64],
    scale: f64,
) -> Result<Vec<B::EncodedPlain>, HeError> {
    let level = program.values[value].level;
    slots_of(program, value, elements).iter().map(|s| backend.encode(s, level, scale)).collect()
}
