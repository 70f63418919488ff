//! A lowering on record: with it a network becomes the same program on every machine, whatever its calibration says.

use serde::{Deserialize, Serialize};
use striae_spaces::TypedGraph;

use crate::{
    Calibration, CkksParams, CostError, HeProgram, InputPacking, LowerOptions, Plan, StepKind, Strategy,
    cache::LevelTimes, estimate, packing::Packing,
};

use super::{
    draft::{Draft, Staged},
    layers::Layers,
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
}

impl Recipe {
    /// The choices that made `program`.
    pub fn of(options: &LowerOptions, program: &HeProgram) -> Self {
        let strategy = |kind: &StepKind| match kind {
            StepKind::Linear(linear) => Some(linear.strategy),
            StepKind::Square { .. } | StepKind::WindowSum { .. } => None,
        };
        let strategies = program.steps.iter().filter_map(|step| strategy(&step.kind)).collect();
        Self { fuse: options.fuse, packing: options.packing, batch: options.batch, input: options.input, strategies }
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
        let impossible = |s: &&Strategy| matches!(s, Strategy::BabyGiant { babies } if !(1..=slots).contains(babies));
        if let Some(strategy) = self.strategies.iter().find(impossible) {
            return Err(CostError::Recipe { why: format!("has {strategy:?}, expected 1 to {slots} babies") });
        }
        let mut layers = Layers::default();
        let draft = Draft::new(&mut layers, graph, &staged, slots, &self.options(), &self.strategies)?;
        // Nothing is left to choose, so no times are needed.
        let unknown = vec![LevelTimes::default(); levels + 1];
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
