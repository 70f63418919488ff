//! What is wrong with a space, a genotype or a set of trial parameters.

use thiserror::Error;

/// A space that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// Not TOML, or not the fields of a space.
    #[error("space, line {line}: {message}")]
    Toml {
        /// Line of the file, counted from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A field out of range.
    #[error("space {space}: {field}: {why}")]
    Field {
        /// Name of the space.
        space: String,
        /// The field, for example `stages[1].kernels`.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// The bounds admit nothing.
    #[error("space {space}: no network within [bounds] found; of the nearest, {nearest}")]
    Empty {
        /// Name of the space.
        space: String,
        /// What the cheapest network found violates.
        nearest: BoundViolation,
    },
    /// Not a built-in space.
    #[error("unknown space `{name}`{hint}; built in are {known}")]
    Unknown {
        /// The name.
        name: String,
        /// Nearest name, as a question.
        hint: String,
        /// All names.
        known: String,
    },
}

/// A network outside the bounds of its space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BoundViolation {
    /// A kernel has too many taps.
    #[error("bounds.max_taps: a kernel has {taps} taps, at most {limit} are allowed")]
    Taps {
        /// Taps of the largest kernel.
        taps: usize,
        /// The bound.
        limit: usize,
    },
    /// Too many external rotations.
    #[error("bounds.max_external_rotations: the network needs {rotations}, at most {limit} are allowed")]
    ExternalRotations {
        /// Rotations of all convolutions after the stem.
        rotations: usize,
        /// The bound.
        limit: usize,
    },
    /// A stage is too wide.
    #[error("bounds.max_ciphertexts: a stage fills {ciphertexts} ciphertexts, at most {limit} are allowed")]
    Ciphertexts {
        /// Ciphertexts of the widest stage.
        ciphertexts: usize,
        /// The bound.
        limit: usize,
    },
    /// Too deep.
    #[error("bounds.max_levels: the network needs {levels} levels, at most {limit} are allowed")]
    Levels {
        /// Levels it needs.
        levels: usize,
        /// The bound.
        limit: usize,
    },
    /// A bottleneck that is none.
    #[error("a bottleneck of {middle} channels is wider than its stage of {channels}")]
    Bottleneck {
        /// Channels of the bottleneck.
        middle: usize,
        /// Channels of the stage.
        channels: usize,
    },
}

/// Trial parameters that are no network of the space.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParamError {
    /// A parameter is missing.
    #[error("parameter `{name}` is missing")]
    Missing {
        /// The parameter.
        name: String,
    },
    /// A parameter the space does not have.
    #[error("parameter `{name}` is not one of space {space}")]
    Unknown {
        /// The parameter.
        name: String,
        /// The space.
        space: String,
    },
    /// A parameter that is given more than once.
    #[error("parameter `{name}` is given twice")]
    Twice {
        /// The parameter.
        name: String,
    },
    /// A value that is not a choice.
    #[error("parameter `{name}` = {value}, expected one of {choices}")]
    Choice {
        /// The parameter.
        name: String,
        /// Its value.
        value: String,
        /// Its choices.
        choices: String,
    },
    /// A network outside the bounds.
    #[error("{0}")]
    Bound(#[from] BoundViolation),
}
