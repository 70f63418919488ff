//! What a batch takes: seconds per image, and the memory of two orders of the same steps.
//!
//! *Resident*: every step runs for all groups of images before the next one starts, as the evaluator does it. All keys and
//! weights are held, and the ciphertexts of all groups.
//!
//! *Pipeline* (after "Towards Deep Encrypted Training", 2026): the program is cut into stages where groups merge. In a stage
//! one group after the other runs through all steps; its result waits, merged with others as soon as there are enough. Only
//! the keys and weights of the stage that runs are held, the ciphertexts of one group, and those that wait: what the stage
//! reads and what it leaves, of all groups. Images wait as files until their turn. The operations are the same; this order is
//! estimated, no evaluator of ours runs it yet.

use std::ops::Range;

use serde::Serialize;

use crate::{
    Bytes, CkksParams, HeProgram, MemoryEstimate, Seconds, StepKind,
    memory::{step_weights, step_working},
};

/// What a batch takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BatchEstimate {
    /// Images of one run.
    pub images: u64,
    /// Share of one image in the time of the run.
    pub per_image: Seconds,
    /// Peak memory where all groups run beside each other.
    pub resident: MemoryEstimate,
    /// The stages of the pipeline, in order.
    pub stages: Vec<BatchStage>,
}

/// Steps that run for one group of images after the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BatchStage {
    /// Its steps.
    pub steps: Range<usize>,
    /// Groups of images.
    pub groups: u64,
    /// Its peak memory; ciphertexts are a bound, as if all that waits did so at once.
    pub memory: MemoryEstimate,
}

impl BatchEstimate {
    /// That of a program that takes `latency` under `params`.
    pub fn of(program: &HeProgram, params: &CkksParams, latency: Seconds) -> Self {
        let images = program.batch() as u64;
        let live = Live { program, params, last_use: last_uses(program) };
        let all = 0..program.steps.len();
        let resident = MemoryEstimate { ciphertexts: live.resident(), ..held(program, params, all.clone()) };
        let stages = stages(program).into_iter().map(|steps| {
            let ciphertexts = live.staged(&steps);
            let memory = MemoryEstimate { ciphertexts, ..held(program, params, steps.clone()) };
            BatchStage { groups: program.runs(steps.start), steps, memory }
        });
        Self { images, per_image: Seconds(latency.0 / images as f64), resident, stages: stages.collect() }
    }

    /// Peak memory of the pipeline, that of its largest stage.
    pub fn pipeline(&self) -> Bytes {
        self.stages.iter().map(|stage| stage.memory.total()).max().unwrap_or_default()
    }
}

/// Runs of steps with equally many groups.
fn stages(program: &HeProgram) -> Vec<Range<usize>> {
    let mut stages: Vec<Range<usize>> = Vec::new();
    for step in 0..program.steps.len() {
        match stages.last_mut() {
            Some(stage) if program.runs(stage.start) == program.runs(step) => stage.end = step + 1,
            _ => stages.push(step..step + 1),
        }
    }
    stages
}

/// Keys and weights of some steps.
fn held(program: &HeProgram, params: &CkksParams, steps: Range<usize>) -> MemoryEstimate {
    let weights = steps.clone().map(|step| step_weights(program, step, params)).sum();
    let keys = program.keys_of(steps).levels().map(|level| params.key_bytes(level)).sum();
    MemoryEstimate { weights, keys: Bytes(keys), ciphertexts: Bytes(0) }
}

/// For every value, the last step that reads it; of the result, the number of steps.
fn last_uses(program: &HeProgram) -> Vec<usize> {
    let mut last = vec![program.steps.len(); program.values.len()];
    for (i, step) in program.steps.iter().enumerate() {
        match &step.kind {
            StepKind::Linear(linear) => linear.inputs.iter().for_each(|v| last[v.index()] = i),
            StepKind::Square { input, .. } | StepKind::WindowSum { input, .. } => last[input.index()] = i,
        }
    }
    last
}

/// Which ciphertexts are held when.
struct Live<'p> {
    program: &'p HeProgram,
    params: &'p CkksParams,
    last_use: Vec<usize>,
}

impl Live<'_> {
    /// Bytes of a value, of all groups.
    fn bytes(&self, value: usize) -> u64 {
        let value = &self.program.values[value];
        value.layout.ciphertexts() as u64 * self.params.ciphertext_bytes(value.level)
    }

    /// Whether step `step` finds the value made and something still reads it.
    fn is_live(&self, value: usize, step: usize) -> bool {
        value <= step && self.last_use[value] >= step
    }

    /// Largest sum over all steps, with what the step makes and works on.
    fn resident(&self) -> Bytes {
        let of_step = |step: usize| {
            let live = (0..=step).filter(|&value| self.is_live(value, step));
            live.map(|value| self.bytes(value)).sum::<u64>() + self.bytes(step + 1) + self.working(step)
        };
        Bytes((0..self.program.steps.len()).map(of_step).max().unwrap_or(0))
    }

    /// The same for a stage of the pipeline.
    fn staged(&self, steps: &Range<usize>) -> Bytes {
        let groups = self.program.runs(steps.start);
        let made_inside = |value: usize| value > steps.start && value <= steps.end;
        // What was made before or is read later waits for all groups; the rest is of the group that runs.
        let before = (1..=steps.start).filter(|&value| self.last_use[value] >= steps.start);
        let after = (steps.start + 1..=steps.end).filter(|&value| self.last_use[value] >= steps.end);
        let waiting: u64 = before.chain(after).map(|value| self.bytes(value)).sum();
        let inner = |value: usize| (made_inside(value) && self.last_use[value] < steps.end) || value == 0;
        let of_step = |step: usize| {
            let live = (0..=step).filter(|&value| inner(value) && self.is_live(value, step));
            let made = if inner(step + 1) { self.bytes(step + 1) } else { 0 };
            (live.map(|value| self.bytes(value)).sum::<u64>() + made) / groups + self.working(step)
        };
        Bytes(waiting + steps.clone().map(of_step).max().unwrap_or(0))
    }

    fn working(&self, step: usize) -> u64 {
        step_working(self.program, step, &self.program.step_counts(step), self.params)
    }
}
