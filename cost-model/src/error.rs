//! Errors of parameters and of lowering.

use striae_spaces::{NodeId, Shape};
use thiserror::Error;

/// A parameter set that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// Ring degree outside the security table.
    #[error("log_n = {log_n} is outside 10..=16")]
    LogN {
        /// The value.
        log_n: u32,
    },
    /// A list of primes is empty.
    #[error("{field} is empty, at least one prime is needed")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// A prime size the evaluator cannot use.
    #[error("{field} has a prime of {bits} bits, supported are {min}..={max}")]
    PrimeBits {
        /// The field.
        field: &'static str,
        /// The size.
        bits: u32,
        /// Smallest.
        min: u32,
        /// Largest.
        max: u32,
    },
    /// The special modulus does not cover a digit.
    #[error("log_p sums to {special} bits, a key-switching digit has {digit}")]
    SpecialTooSmall {
        /// Bits of P.
        special: u32,
        /// Bits of the largest digit.
        digit: u32,
    },
    /// The scale leaves no room in q0.
    #[error("log_scale = {log_scale} must be at least 1 and below the {log_q0} bits of q0")]
    Scale {
        /// The scale.
        log_scale: u32,
        /// Bits of q0.
        log_q0: u32,
    },
    /// Below 128 bits of security.
    #[error("log QP = {log_qp} bits at N = 2^{log_n} is below 128-bit security, which allows {bound} bits")]
    Insecure {
        /// log2 N.
        log_n: u32,
        /// Bits of QP.
        log_qp: u32,
        /// Bits allowed.
        bound: u32,
    },
    /// Text that is not a parameter set.
    #[error("{field} is missing or malformed in {text:?}")]
    Parse {
        /// The field.
        field: &'static str,
        /// The text.
        text: String,
    },
}

/// A network that cannot be lowered or costed.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum CostError {
    /// Parameters.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// An operation that CKKS cannot run.
    #[error("node {node} ({op}) cannot run under the ckks protocol: {why}")]
    Unsupported {
        /// The node.
        node: NodeId,
        /// Its operation.
        op: &'static str,
        /// Why.
        why: String,
    },
    /// A map larger than a ciphertext.
    #[error("a {shape} map needs blocks of {block} slots, a ciphertext has {slots}")]
    MapTooLarge {
        /// The shape.
        shape: Shape,
        /// Slots of a block.
        block: usize,
        /// Slots of a ciphertext.
        slots: usize,
    },
    /// More levels than any allowed parameters offer.
    #[error(
        "the network needs {levels} levels, {} more than the {available} that {bits}-bit parameters up to N = 2^{max_log_n} \
         offer; {}",
        levels - available,
        fits.map_or_else(
            || "no larger ring holds it, and there is no bootstrapping".to_owned(),
            |log_n| format!("N = 2^{log_n} would hold it")
        )
    )]
    TooDeep {
        /// Levels needed.
        levels: usize,
        /// Levels there are.
        available: usize,
        /// Largest ring degree tried.
        max_log_n: u32,
        /// Bits of security asked for.
        bits: u32,
        /// log2 of the smallest ring degree above that would hold it, if one does.
        fits: Option<u32>,
    },
    /// A batch that no packing lays out.
    #[error("a batch of {batch} images: only powers of two are packed")]
    Batch {
        /// Its images.
        batch: usize,
    },
    /// A recorded lowering that is not of this network.
    #[error("the recorded lowering {why}")]
    Recipe {
        /// What does not fit.
        why: String,
    },
    /// More levels than the given parameters offer.
    #[error("the network needs {levels} levels, the parameters offer {available}")]
    NotEnoughLevels {
        /// Levels needed.
        levels: usize,
        /// Levels there are.
        available: usize,
    },
}
