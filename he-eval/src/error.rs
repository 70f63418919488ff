//! What an evaluation can refuse.

use striae_cost_model::Bytes;
use thiserror::Error;

/// An operation that would give a wrong result, or cannot be done at all.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum HeError {
    /// No prime of this size fits the ring.
    #[error("no unused prime of {bits} bits is 1 mod 2^{log_order} (at most {max} bits are supported)")]
    PrimeBits {
        /// Wanted bits.
        bits: u32,
        /// log2 of the order of the roots of unity.
        log_order: u32,
        /// Largest supported size.
        max: u32,
    },
    /// The ring degree is outside what the backend implements.
    #[error("log_n = {log_n} is outside {min}..={max}")]
    RingDegree {
        /// Ring degree.
        log_n: u32,
        /// Smallest.
        min: u32,
        /// Largest.
        max: u32,
    },
    /// The chain has no special prime, or none at all.
    #[error("the modulus chain has {q} ciphertext primes and {p} special primes, each must be at least 1")]
    EmptyChain {
        /// Ciphertext primes.
        q: usize,
        /// Special primes.
        p: usize,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no entropy: {cause}")]
    Entropy {
        /// What it said.
        cause: String,
    },
    /// The levels of two operands, or of an operand and its encoded weights, differ.
    #[error("{op}: levels {left} and {right} differ")]
    LevelMismatch {
        /// Operation.
        op: &'static str,
        /// First level.
        left: usize,
        /// Second level.
        right: usize,
    },
    /// The scales of two operands differ by more than 2^-20.
    #[error("{op}: scales {left:e} and {right:e} differ")]
    ScaleMismatch {
        /// Operation.
        op: &'static str,
        /// First scale.
        left: f64,
        /// Second scale.
        right: f64,
    },
    /// A level the parameters or the operand do not have.
    #[error("{op}: level {level} is above {max}")]
    LevelTooHigh {
        /// Operation.
        op: &'static str,
        /// Asked for.
        level: usize,
        /// Largest possible.
        max: usize,
    },
    /// A multiplication at level 0, which has no prime left to rescale by.
    #[error("{op}: level 0 has no prime left to rescale by")]
    LevelExhausted {
        /// Operation.
        op: &'static str,
    },
    /// A rotation that the evaluation keys do not cover.
    #[error("no key for rotation {rotation}")]
    MissingRotationKey {
        /// Rotation.
        rotation: u32,
    },
    /// A square that the evaluation keys do not cover.
    #[error("no key for squares")]
    MissingSquareKey,
    /// A key used above the level it was made for.
    #[error("the {key} key serves levels up to {max}, not level {level}")]
    KeyLevel {
        /// Which.
        key: &'static str,
        /// Level of the ciphertext.
        level: usize,
        /// Level of the key.
        max: usize,
    },
    /// A rotation by at least the number of slots.
    #[error("rotation {rotation} is not below the {slots} slots")]
    RotationRange {
        /// Rotation.
        rotation: u32,
        /// Slots of a ciphertext.
        slots: usize,
    },
    /// A vector of the wrong length.
    #[error("{what} has {got} values, expected {expected}")]
    Length {
        /// The vector.
        what: &'static str,
        /// Its length.
        got: usize,
        /// What it should be.
        expected: usize,
    },
    /// A NaN or an infinity.
    #[error("slot {slot} holds {value}, which is not finite")]
    NotFinite {
        /// Slot.
        slot: usize,
        /// Value.
        value: f64,
    },
    /// A scale that is not a positive finite number.
    #[error("scale {scale:e} is not positive and finite")]
    BadScale {
        /// Scale.
        scale: f64,
    },
    /// A value that does not fit the modulus of its level.
    #[error(
        "{op}: a value of 2^{log_value:.1} at the given scale does not fit level {level}, whose modulus has {log_q:.1} bits"
    )]
    TooLarge {
        /// Operation.
        op: &'static str,
        /// log2(|value| * scale).
        log_value: f64,
        /// Level.
        level: usize,
        /// Bits of the modulus.
        log_q: f64,
    },
    /// A decrypted polynomial that fills its modulus, as no sound value does.
    #[error(
        "decrypt: coefficients reach 2^{log_value:.1} of a modulus of {log_q:.1} bits at level {level}; \
         the value overflowed on the way, or another key encrypted it"
    )]
    Overflow {
        /// log2 of the largest coefficient.
        log_value: f64,
        /// Level.
        level: usize,
        /// Bits of the modulus.
        log_q: f64,
    },
    /// A linear plan that refers to something it does not have.
    #[error("linear plan: {field} = {value} is out of range (below {bound})")]
    BadPlan {
        /// Field.
        field: &'static str,
        /// Value.
        value: usize,
        /// Exclusive bound.
        bound: usize,
    },
    /// Weights encoded for another plan.
    #[error("linear: the weights were encoded for another plan")]
    PlanMismatch,
    /// The file of encoded weights.
    #[error("the file of encoded weights: {cause}")]
    WeightFile {
        /// What went wrong.
        cause: String,
    },
    /// A memory budget below what is needed besides the weights, which alone can leave memory.
    #[error("a memory budget of {budget} is too small: keys and ciphertexts need {needed}")]
    MemoryBudget {
        /// What the user allows.
        budget: Bytes,
        /// What there has to be.
        needed: Bytes,
    },
    /// An output of a linear plan without any term: its ciphertext would be a transparent zero.
    #[error("linear plan: output {output} has no term")]
    EmptyOutput {
        /// Output.
        output: usize,
    },
}

impl HeError {
    /// Something went wrong with the file of encoded weights.
    pub(crate) fn weight_file(cause: &dyn ToString) -> Self {
        Self::WeightFile { cause: cause.to_string() }
    }
}
