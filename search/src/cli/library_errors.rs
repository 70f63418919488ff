//! From the libraries' errors to [`Failure`]: which are bad input, and what the user can do about them.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the libraries' error enums are non-exhaustive; what is not named gets the general answer"
)]

use striae_cost_model::calibration::{CalibrationError, FitError};
use striae_cost_model::hybrid::HybridError;
use striae_cost_model::{CostError, ParamsError};
use striae_he_eval::{CircuitError, HeError, SessionError};
use striae_reports::ReportError;
use striae_search::StudyError;
use striae_search::bundle::LoweringError;
use striae_search::coster::CosterError;
use striae_search::headroom::HeadroomError;
use striae_search::recipe::{Recipe, RecipeError};
use striae_search::run::RunError;
use striae_search::storage::StoreError;
use striae_search::verify::VerifyError;
use striae_spaces::space::SpaceError;
use striae_spaces::{GraphError, JsonError, NotationError, WeightError, zoo::ZooError};
use striae_train::{DataError, TrainError};

use super::exit::Exit;
use super::failure::Failure;

impl From<StudyError> for Failure {
    fn from(e: StudyError) -> Self {
        let hint = e.hint();
        Self::bad_input(e, hint)
    }
}

impl From<RecipeError> for Failure {
    fn from(e: RecipeError) -> Self {
        match e {
            RecipeError::Io { path, source } => Self::unreadable(&path, &source),
            e => Self::bad_input(e, Recipe::HINT),
        }
    }
}

impl From<HeadroomError> for Failure {
    fn from(e: HeadroomError) -> Self {
        match e {
            HeadroomError::Weights(e) => e.into(),
            e => Self::bad_input(
                e,
                "train it again with a range penalty (range_penalty = 30) or in Hermite form (quadratics = \"hermite\")",
            ),
        }
    }
}

impl From<LoweringError> for Failure {
    fn from(e: LoweringError) -> Self {
        match e {
            LoweringError::Cost(e) => e.into(),
            e => Self::bad_input(e, "use the version of striae that wrote the bundle, or export it again"),
        }
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

impl From<HybridError> for Failure {
    fn from(e: HybridError) -> Self {
        Self::bad_input(e, "give the network smaller images or kernels, or choose another protocol")
    }
}

impl From<CostError> for Failure {
    fn from(e: CostError) -> Self {
        let hint = match &e {
            CostError::Params(params) => return params.clone().into(),
            CostError::Unsupported { .. } => "replace it: `quad` in place of `relu`",
            CostError::MapTooLarge { .. } => {
                "raise --max-log-n, split maps over ciphertexts with --packing block:2, or give the network smaller images"
            }
            CostError::TooDeep { fits: Some(_), .. } => "raise --max-log-n, or take away layers or activations",
            CostError::TooDeep { .. } => "take away layers or activations, or only count it: --count 32768",
            CostError::Batch { .. } => "give a power of two",
            CostError::Recipe { .. } => "give the files of one bundle, as `striae export` wrote them",
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
            TrainError::BelowBound { .. } => "give a lower --accuracy-bound, or train the network further",
            TrainError::UnknownDevice { .. } => "give --device cpu, auto, or cuda:0 for the first GPU",
            TrainError::NoCuda { .. } => {
                "train with --device cpu, or build striae with `--features cuda`: scripts/build-cuda.sh"
            }
            TrainError::Device { .. } => "`nvidia-smi` lists the GPUs; --device cpu needs none",
            TrainError::Mismatch { .. } => "choose a network for these images, or another --dataset",
            TrainError::Checkpoint { .. } => "give a new --out folder, or go on with the settings it was begun with",
            TrainError::Diverged { .. } => {
                return Self::unexpected(e)
                    .hint("try a lower learning rate (--lr 0.02), --set clip=1, or --set quadratics=hermite");
            }
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
        match e {
            HeError::MemoryBudget { .. } => {
                Self::bad_input(e, "raise --memory, or choose a network with fewer rotations or smaller parameters")
            }
            HeError::WeightFile { .. } => {
                Self::bad_input(e, "check that the folder exists, is yours to write, and that its disk has room")
            }
            _ => Self::unexpected(e),
        }
    }
}

impl From<CircuitError> for Failure {
    fn from(e: CircuitError) -> Self {
        match e {
            CircuitError::Space(e) | CircuitError::Backend { source: e @ HeError::WeightFile { .. }, .. } => e.into(),
            _ => Self::unexpected(e),
        }
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
            RunError::Train(e) | RunError::Coster(CosterError::Twin(e)) => e.into(),
            RunError::Weights(e) => e.into(),
            RunError::Coster(CosterError::Ckks(e)) => e.into(),
            RunError::Coster(CosterError::Hybrid(e)) => e.into(),
            RunError::Verify(e) => e.into(),
            RunError::NothingFound { .. } => {
                Self::bad_input(e, "raise `budget.trials`, or loosen the study's `limits` or the bounds of its space")
            }
            RunError::ForeignTrial { .. } | RunError::Attribute { .. } => Self::bad_input(
                e,
                "the store was changed by something else: restore a copy, or start a new one with --store",
            ),
            _ => Self::unexpected(e),
        }
    }
}
