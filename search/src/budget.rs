//! How long a search may go on, and why it ended.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of a search; the first that is reached ends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Candidates that are proposed.
    pub trials: u64,
    /// Candidates that are trained; the others end at the constraints or the estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained: Option<u64>,
    /// Time, over all runs of the study.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
}

/// What a search has used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Proposals that are finished.
    pub trials: u64,
    /// Of these, the trained.
    pub trained: u64,
    /// Time so far.
    pub elapsed: Duration,
}

impl Budget {
    /// The limit that is reached, if one is.
    pub fn reached(&self, progress: &Progress) -> Option<StopReason> {
        if progress.trials >= self.trials {
            return Some(StopReason::Trials);
        }
        if self.trained.is_some_and(|limit| progress.trained >= limit) {
            return Some(StopReason::Trained);
        }
        let over = |minutes: f64| progress.elapsed.as_secs_f64() >= 60.0 * minutes;
        self.minutes.is_some_and(over).then_some(StopReason::Time)
    }
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// All candidates were proposed.
    Trials,
    /// Enough candidates were trained.
    Trained,
    /// The time is up.
    Time,
    /// The user stopped it; running it again continues.
    Interrupted,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trials => "all trials are done",
            Self::Trained => "the budget of trained networks is used up",
            Self::Time => "the time is up",
            Self::Interrupted => "interrupted",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_limit_reached_ends_the_search() {
        let budget = Budget { trials: 10, trained: Some(3), minutes: Some(1.0) };
        let at =
            |trials, trained, secs| budget.reached(&Progress { trials, trained, elapsed: Duration::from_secs(secs) });
        assert_eq!(at(9, 2, 59), None);
        assert_eq!(at(10, 3, 60), Some(StopReason::Trials));
        assert_eq!(at(9, 3, 60), Some(StopReason::Trained));
        assert_eq!(at(9, 2, 60), Some(StopReason::Time));
        let open = Budget { trials: 10, trained: None, minutes: None };
        assert_eq!(open.reached(&Progress { trials: 9, trained: 9, elapsed: Duration::MAX }), None);
    }
}
