//! From the libraries' errors to what the user reads: one line that names the file and the field, and a hint.

use std::fmt::Display;
use std::path::Path;

use striae_cost_model::calibration::{CalibrationError, FitError};
use striae_cost_model::{CostError, ParamsError};
use striae_he_eval::{CircuitError, HeError, SessionError};
use striae_reports::ReportError;
use striae_search::StudyError;
use striae_search::run::RunError;
use striae_search::storage::StoreError;
use striae_search::verify::VerifyError;
use striae_spaces::space::SpaceError;
use striae_spaces::{GraphError, JsonError, NotationError, WeightError, zoo::ZooError};
use striae_train::{DataError, TrainError};

use super::exit::Exit;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// One line.
    pub(crate) message: String,
    /// What the user can do about it.
    pub(crate) hint: Option<String>,
}

/// What commands return.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    /// Something the user gave is wrong.
    pub(crate) fn bad_input(message: impl Display, hint: impl Into<String>) -> Self {
        Self { exit: Exit::BadInput, message: one_line(&message), hint: Some(hint.into()) }
    }

    /// Something else went wrong.
    pub(crate) fn unexpected(message: impl Display) -> Self {
        Self { exit: Exit::Failure, message: one_line(&message), hint: None }
    }

    /// The same with the file it is about in front, unless the message has it already.
    #[must_use]
    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        let path = path.display().to_string();
        if !self.message.starts_with(&path) {
            self.message = format!("{path}: {}", self.message);
        }
        self
    }

    /// The same with the network it is about in front.
    #[must_use]
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.message = format!("{name}: {}", self.message.strip_prefix("network: ").unwrap_or(&self.message));
        self
    }

    /// The same with another hint.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A file that cannot be read; for the user's own files.
    pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "check the path: there is no such file",
            std::io::ErrorKind::InvalidData => "the file is not the text it should be",
            _ => "check that the path is a file that you may read",
        };
        Self::bad_input(format!("{}: cannot be read: {}", path.display(), cause(error)), hint)
    }

    /// A file or folder that cannot be written.
    pub(crate) fn unwritable(path: &Path, error: &std::io::Error) -> Self {
        let message = format!("{}: cannot be written: {}", path.display(), cause(error));
        Self::unexpected(message).hint("check that the folder is yours to write and that the disk has room")
    }
}

/// The text on one line.
fn one_line(text: &impl Display) -> String {
    text.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the operating system said, without the path that `fs_err` adds to it.
fn cause(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(std::error::Error::source);
    inner.map_or_else(|| error.to_string(), ToString::to_string)
}

impl From<StudyError> for Failure {
    fn from(e: StudyError) -> Self {
        let hint = e.hint();
        Self::bad_input(e, hint)
    }
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        let hint = e.hint();
        Self::bad_input(e, hint)
    }
}

impl From<NotationError> for Failure {
    fn from(e: NotationError) -> Self {
        Self::bad_input(
            e,
            "a network reads like `1x28x28: conv(8,k5,s2) quad flatten linear(10)`; see `striae space show NAME`",
        )
    }
}

impl From<JsonError> for Failure {
    fn from(e: JsonError) -> Self {
        Self::bad_input(e, "give the JSON that `striae train` or `striae export` wrote")
    }
}

impl From<ZooError> for Failure {
    fn from(e: ZooError) -> Self {
        match e {
            ZooError::Unknown { .. } => {
                Self::bad_input(e, "give a name of the zoo (`striae space list`), a network in notation, or a file")
            }
            _ => Self::unexpected(e),
        }
    }
}

impl From<SpaceError> for Failure {
    fn from(e: SpaceError) -> Self {
        let hint = match &e {
            SpaceError::Unknown { .. } => "see `striae space list`, or give the TOML file of a space",
            SpaceError::Empty { .. } => "loosen the bound it names, or add smaller choices",
            _ => "compare it with a built-in space: `striae space show NAME --toml`",
        };
        Self::bad_input(e, hint)
    }
}

impl From<GraphError> for Failure {
    fn from(e: GraphError) -> Self {
        Self::bad_input(e, "correct the network")
    }
}

impl From<WeightError> for Failure {
    fn from(e: WeightError) -> Self {
        match &e {
            WeightError::Io { path, source } => Self::unreadable(path, source),
            WeightError::Format { .. } | WeightError::Type { .. } => {
                Self::bad_input(e, "give the .safetensors file that `striae train` or `striae export` wrote")
            }
            _ => Self::bad_input(e, "these weights belong to another network: give those trained for this one"),
        }
    }
}

impl From<ParamsError> for Failure {
    fn from(e: ParamsError) -> Self {
        let hint = match &e {
            ParamsError::Insecure { .. } => {
                "use fewer or smaller primes or a larger N; `--insecure` accepts them, for experiments only"
            }
            _ => "parameters read like `N=2^13 Q=45,30,30 P=46 scale=2^30`: bits of each prime, q0 first",
        };
        Self::bad_input(format!("parameters: {e}"), hint)
    }
}

impl From<CostError> for Failure {
    fn from(e: CostError) -> Self {
        let hint = match &e {
            CostError::Params(params) => return params.clone().into(),
            CostError::Unsupported { .. } => "replace it: `quad` in place of `relu`",
            CostError::MapTooLarge { .. } => "raise --max-log-n, or give the network smaller images",
            CostError::TooDeep { .. } => "raise --max-log-n (at most 16), or take away layers or activations",
            CostError::NotEnoughLevels { .. } => "give --params more primes in Q, or leave it out",
            _ => "correct the network",
        };
        Self::bad_input(format!("network: {e}"), hint)
    }
}

impl From<CalibrationError> for Failure {
    fn from(e: CalibrationError) -> Self {
        let hint = match &e {
            CalibrationError::Io { path, source } => return Self::unreadable(path, source),
            CalibrationError::Version { .. } => "measure again with `striae calibrate`",
            CalibrationError::Exists { .. } => "give --out a name that does not exist yet",
            _ => "give a file that `striae calibrate` wrote",
        };
        Self::bad_input(e, hint)
    }
}

impl From<FitError> for Failure {
    fn from(e: FitError) -> Self {
        Self::unexpected(e)
    }
}

impl From<DataError> for Failure {
    fn from(e: DataError) -> Self {
        let hint = match &e {
            DataError::UnknownName { .. } => "`--dataset glyphs` needs no files",
            DataError::NoFolder { .. } => "give --data-dir, or `--dataset glyphs`, which needs no files",
            DataError::NotFound { .. } => {
                "give --data-dir the folder that holds the official files, as they were downloaded"
            }
            DataError::Io { path, source } => return Self::unreadable(path, source),
            DataError::Field { .. } => "the file is damaged or not of this data set: download it again",
            _ => "correct the value",
        };
        Self::bad_input(e, hint)
    }
}

impl From<TrainError> for Failure {
    fn from(e: TrainError) -> Self {
        let hint = match e {
            TrainError::Data(e) => return e.into(),
            TrainError::Weights(e) => return e.into(),
            TrainError::Io { path, source } => return Self::unwritable(&path, &source),
            TrainError::Config { .. } => "correct the value",
            TrainError::Mismatch { .. } => "choose a network for these images, or another --dataset",
            TrainError::Checkpoint { .. } => "give a new --out folder, or go on with the settings it was begun with",
            TrainError::Diverged { .. } => return Self::unexpected(e).hint("try a lower learning rate: --lr"),
            _ => return Self::unexpected(e),
        };
        Self::bad_input(e, hint)
    }
}

impl From<ReportError> for Failure {
    fn from(e: ReportError) -> Self {
        match &e {
            ReportError::Write { path, source } => Self::unwritable(path, source),
            _ => Self::unexpected(e),
        }
    }
}

impl From<HeError> for Failure {
    fn from(e: HeError) -> Self {
        Self::unexpected(e)
    }
}

impl From<CircuitError> for Failure {
    fn from(e: CircuitError) -> Self {
        Self::unexpected(e)
    }
}

impl From<SessionError> for Failure {
    fn from(e: SessionError) -> Self {
        match e {
            SessionError::He(e) => e.into(),
            SessionError::Circuit(e) => e.into(),
            _ => Self::unexpected(e),
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(e: VerifyError) -> Self {
        match e {
            VerifyError::Cost(e) => e.into(),
            VerifyError::Session(e) => e.into(),
            VerifyError::Weights(e) => e.into(),
            VerifyError::NoImage => Self { exit: Exit::Interrupted, ..Self::unexpected(e) },
            _ => Self::unexpected(e),
        }
    }
}

impl From<RunError> for Failure {
    fn from(e: RunError) -> Self {
        match e {
            RunError::Study(e) => e.into(),
            RunError::Space { path, source } => Self::from(source).in_file(&path),
            RunError::Io { path, source } => Self::unwritable(&path, &source),
            RunError::Data(e) => e.into(),
            RunError::Store(e) => e.into(),
            RunError::Zoo(e) => e.into(),
            RunError::Train(e) => e.into(),
            RunError::Weights(e) => e.into(),
            RunError::Cost(e) => e.into(),
            RunError::Verify(e) => e.into(),
            RunError::NothingFound { .. } => {
                Self::bad_input(e, "raise `budget.trials`, or loosen the study's `limits` or the bounds of its space")
            }
            RunError::ForeignTrial { .. } | RunError::Attribute { .. } => {
                Self::bad_input(e, "the store was changed by something else: restore a copy, or start a new one with --store")
            }
            _ => Self::unexpected(e),
        }
    }
}
