//! One trial: its parameters, its state, and what it came to.
//!
//! A trial has two numbers. `number` is its row in the study, as Optuna counts. `proposal` is the question its sampler
//! answered: a trial that was killed and is run again gets a new `number` and keeps its `proposal`, so a search that was
//! interrupted asks the same questions as one that was not.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// Key of a trial in its store; unique over all studies of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrialId(pub i64);

impl fmt::Display for TrialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Whether larger or smaller values of an objective are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Smaller is better.
    Minimize,
    /// Larger is better.
    Maximize,
}

impl Direction {
    /// A value as a loss: smaller is better.
    pub fn loss(self, value: f64) -> f64 {
        match self {
            Self::Minimize => value,
            Self::Maximize => -value,
        }
    }
}

/// State of a trial, as Optuna names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialState {
    /// Being evaluated.
    Running,
    /// To be evaluated.
    Waiting,
    /// Has a value for every objective.
    Complete,
    /// Stopped early: over a limit, or not promising.
    Pruned,
    /// Ended by an error.
    Fail,
}

impl TrialState {
    /// Whether the trial will not change any more.
    pub const fn is_finished(self) -> bool {
        match self {
            Self::Running | Self::Waiting => false,
            Self::Complete | Self::Pruned | Self::Fail => true,
        }
    }
}

/// How a trial ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// One value per objective, in the study's order. A NaN turns it into a failure, as in Optuna.
    Complete(Vec<f64>),
    /// Stopped early.
    Pruned {
        /// Why.
        reason: String,
    },
    /// Ended by an error.
    Failed {
        /// What went wrong.
        error: String,
    },
}

/// A categorical parameter of a trial: the choices it had and the one it took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Param {
    name: String,
    choices: Vec<Value>,
    index: usize,
}

/// A parameter that a study cannot hold.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ParamError {
    /// The index is not one of a choice.
    #[error("parameter {name}: index {index} is not below its {choices} choices")]
    Index {
        /// Parameter.
        name: String,
        /// The index.
        index: usize,
        /// Number of choices.
        choices: usize,
    },
    /// Optuna holds scalars only.
    #[error("parameter {name}: choice {choice} is a list or an object, not a scalar")]
    Choice {
        /// Parameter.
        name: String,
        /// The choice.
        choice: Value,
    },
}

impl Param {
    /// A parameter that took `choices[index]`; choices are null, booleans, numbers or strings.
    pub fn new(name: impl Into<String>, choices: Vec<Value>, index: usize) -> Result<Self, ParamError> {
        let name = name.into();
        if index >= choices.len() {
            return Err(ParamError::Index { name, index, choices: choices.len() });
        }
        match choices.iter().find(|c| c.is_array() || c.is_object()) {
            Some(choice) => Err(ParamError::Choice { name, choice: choice.clone() }),
            None => Ok(Self { name, choices, index }),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it could be.
    pub fn choices(&self) -> &[Value] {
        &self.choices
    }

    /// Position of what it is among the choices.
    pub fn index(&self) -> usize {
        self.index
    }

    /// What it is.
    pub fn value(&self) -> &Value {
        &self.choices[self.index]
    }
}

/// A trial as its store holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Key in the store.
    pub id: TrialId,
    /// Row in the study, from 0.
    pub number: u64,
    /// The question the sampler answered with these parameters, from 0.
    pub proposal: u64,
    /// State.
    pub state: TrialState,
    /// Parameters in the order they were added.
    pub params: Vec<Param>,
    /// One value per objective when complete, else none.
    pub values: Vec<f64>,
    /// Values reported on the way, by step.
    pub intermediate: BTreeMap<i64, f64>,
    /// Anything the evaluation notes.
    pub user_attrs: BTreeMap<String, Value>,
    /// What Optuna and the store note.
    pub system_attrs: BTreeMap<String, Value>,
    /// When it began to run.
    pub started: Option<Timestamp>,
    /// When it was finished.
    pub finished: Option<Timestamp>,
}

impl Trial {
    /// By how much it breaks its constraints: 0 for a feasible trial, the sum of the positive constraint values else.
    pub fn violation(&self) -> f64 {
        let constraints = self.system_attrs.get(crate::storage::CONSTRAINTS_KEY).and_then(Value::as_array);
        constraints.into_iter().flatten().filter_map(Value::as_f64).map(|c| c.max(0.0)).sum()
    }

    /// The numbers of the trials this one repeats, oldest first.
    pub fn retries(&self) -> Vec<u64> {
        let history = self.system_attrs.get(crate::storage::RETRY_HISTORY_KEY).and_then(Value::as_array);
        history.into_iter().flatten().filter_map(Value::as_u64).collect()
    }
}
