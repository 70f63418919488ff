//! What happens during a search, as data. The loop emits events; the terminal, the log and JSON lines listen.

use std::fmt;

use serde::Serialize;

use crate::{StopReason, TrialState};

/// A stage of the evaluation, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Bounds of the space and of the study.
    Constraints,
    /// Calibrated cost.
    Estimate,
    /// A few epochs on part of the data.
    ShortTraining,
    /// Training to the end, for the front.
    FullTraining,
    /// Encrypted inference, for the picks.
    Encrypted,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Constraints => "constraints",
            Self::Estimate => "estimate",
            Self::ShortTraining => "short training",
            Self::FullTraining => "full training",
            Self::Encrypted => "encrypted check",
        })
    }
}

/// One thing that happened. Trials go by their proposal, which is the same after an interruption.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SearchEvent {
    /// The study is open.
    Started {
        /// Study.
        study: String,
        /// Proposals that were finished before.
        finished: u64,
        /// Proposals the budget allows.
        budget: u64,
    },
    /// A trial whose process had died was queued again.
    Requeued {
        /// Trial.
        proposal: u64,
    },
    /// A trial begins.
    TrialStarted {
        /// Trial.
        proposal: u64,
        /// Its network, in notation.
        network: String,
    },
    /// A stage of a trial begins.
    StageStarted {
        /// Trial.
        proposal: u64,
        /// Stage.
        stage: Stage,
    },
    /// An epoch of training ended.
    Epoch {
        /// Trial.
        proposal: u64,
        /// Stage.
        stage: Stage,
        /// Epoch, from 1.
        epoch: usize,
        /// Number of epochs.
        epochs: usize,
        /// Mean training loss.
        loss: f64,
        /// Validation accuracy, where it was measured.
        accuracy: Option<f64>,
    },
    /// A stage of a trial ended.
    StageFinished {
        /// Trial.
        proposal: u64,
        /// Stage.
        stage: Stage,
        /// Time it took.
        seconds: f64,
    },
    /// A trial ended.
    TrialFinished {
        /// Trial.
        proposal: u64,
        /// How.
        state: TrialState,
        /// Its objectives, if complete.
        values: Vec<f64>,
        /// Why it failed or was pruned.
        reason: Option<String>,
    },
    /// An image went through the encrypted check.
    ImageVerified {
        /// The network.
        arch_id: String,
        /// Images done.
        done: usize,
        /// Images in all.
        images: usize,
    },
    /// The search ended.
    Stopped {
        /// Why.
        reason: StopReason,
    },
}
