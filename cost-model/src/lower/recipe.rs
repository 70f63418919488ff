//! A lowering on record: with it a network becomes the same program on every machine, whatever its calibration says.

use serde::{Deserialize, Serialize};
use striae_spaces::TypedGraph;

use crate::{
    Calibration, CkksParams, CostError, HeProgram, InputPacking, LinearStep, LowerOptions, Plan, Step, StepKind,
    Strategy, calibration::OpTimes, estimate, packing::Packing,
};

use super::{
    DiagonalId, Diagonals,
    draft::Draft,
    layers::Layers,
    staged::Staged,
    times::{Times, TimesKey},
};

/// The choices behind a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// [`LowerOptions::fuse`].
    pub fuse: bool,
    /// [`LowerOptions::packing`].
    pub packing: Packing,
    /// [`LowerOptions::batch`].
    pub batch: usize,
    /// [`LowerOptions::input`].
    pub input: InputPacking,
    /// How the rotations of each linear step are split, in the order of the program.
    pub strategies: Vec<Strategy>,
    /// [`LowerOptions::diagonals`] of a pruned network: those kept of each linear step, sorted; absent if all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagonals: Option<Vec<Vec<DiagonalId>>>,
}

impl Recipe {
    /// The choices that made `program`.
    pub fn of(options: &LowerOptions, program: &HeProgram) -> Self {
        let linear = |step: &'_ Step| match &step.kind {
            StepKind::Linear(linear) => Some(linear.clone()),
            StepKind::Square { .. } | StepKind::WindowSum { .. } => None,
        };
        let steps: Vec<LinearStep> = program.steps.iter().filter_map(linear).collect();
        let sorted = |step: &LinearStep| {
            let mut diagonals = program.diagonals(step);
            diagonals.sort_unstable();
            diagonals
        };
        let pruned = options.diagonals != Diagonals::All;
        Self {
            fuse: options.fuse,
            packing: options.packing,
            batch: options.batch,
            input: options.input,
            strategies: steps.iter().map(|step| step.strategy).collect(),
            diagonals: pruned.then(|| steps.iter().map(sorted).collect()),
        }
    }

    /// Lowers `graph` for `params` as recorded.
    ///
    /// # Errors
    ///
    /// Those of [`Lowerer::lower`](super::Lowerer::lower), and [`CostError::Recipe`] where the record is not of this network.
    pub fn lower(&self, graph: &TypedGraph, params: &CkksParams) -> Result<HeProgram, CostError> {
        let staged = Staged::new(graph, self.options().staging())?;
        let (levels, available) = (staged.depth(), params.max_level());
        if levels > available {
            return Err(CostError::NotEnoughLevels { levels, available });
        }
        let (steps, slots) = (staged.linear_steps(), params.slots());
        if self.strategies.len() != steps {
            let why = format!("has {} strategies, the network has {steps} linear steps", self.strategies.len());
            return Err(CostError::Recipe { why });
        }
        if let Some(diagonals) = &self.diagonals {
            if diagonals.len() != steps {
                let why = format!("has diagonals of {} steps, the network has {steps} linear steps", diagonals.len());
                return Err(CostError::Recipe { why });
            }
            if let Some(step) = diagonals.iter().position(|kept| !kept.is_sorted_by(|a, b| a < b)) {
                return Err(CostError::Recipe { why: format!("has unsorted diagonals in linear step {step}") });
            }
        }
        let impossible = |s: &&Strategy| matches!(s, Strategy::BabyGiant { babies } if !(1..=slots).contains(babies));
        if let Some(strategy) = self.strategies.iter().find(impossible) {
            return Err(CostError::Recipe { why: format!("has {strategy:?}, expected 1 to {slots} babies") });
        }
        let mut layers = Layers::default();
        let draft = Draft::new(&mut layers, graph, &staged, slots, &self.options(), &self.strategies)?;
        // Nothing is left to choose, so no times are needed.
        let unknown = vec![OpTimes::default(); levels + 1];
        Ok(draft.program(&mut layers, &Times { key: TimesKey::of(params), levels: &unknown }))
    }
}

impl Recipe {
    /// The plan that `graph` was exported with, estimated anew.
    ///
    /// # Errors
    ///
    /// Those of [`Self::lower`].
    pub fn plan(&self, graph: &TypedGraph, params: &CkksParams, calibration: &Calibration) -> Result<Plan, CostError> {
        let program = self.lower(graph, params)?;
        let estimate = estimate(&program, params, calibration);
        Ok(Plan { params: params.clone(), options: self.options(), program, estimate })
    }

    fn options(&self) -> LowerOptions {
        LowerOptions {
            fuse: self.fuse,
            packing: self.packing,
            batch: self.batch,
            input: self.input,
            diagonals: self.diagonals.as_ref().map_or(Diagonals::All, |steps| {
                Diagonals::Recorded(steps.iter().map(|kept| kept.as_slice().into()).collect())
            }),
            ..LowerOptions::default()
        }
    }
}

impl Plan {
    /// The choices behind the plan's program.
    pub fn recipe(&self) -> Recipe {
        Recipe::of(&self.options, &self.program)
    }
}
