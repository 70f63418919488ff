//! Bits and rounds of the two-party protocols, for one value.
//!
//! Values have [`VALUE_BITS`] bits, of which [`FRACTION_BITS`] are the fraction: those that Cheetah's public code gives to both
//! protocols (`scripts/common.sh`). A round is a message and its answer.
//!
//! | | bits | rounds | source |
//! |---|---|---|---|
//! | CrypTFlow2, ReLU in Z_n | 3/2 k (l + 1) + 31 l | log l + 4 | CrypTFlow2, Table 2 |
//! | CrypTFlow2, division by d in Z_n | (3/2 k + 34) (l + 2 log 6d) | log(l log 6d) + 6 | CrypTFlow2, Table 3 |
//! | Cheetah, ReLU in Z_2^l | 11 l + 2 (l + 1) | log l + 2 | comparison (its section on silent OT: under 11 l), two correlated OTs |
//! | Cheetah, truncation | 11 l + f + 1 | log l + 1 | comparison for the carry, one correlated OT; may be off by one unit |
//! | Cheetah, truncation of known sign | f + 4 | 2 | one OT of a bit, one correlated OT |
//!
//! `k` = 128 is the security parameter, `l` the bits of a value, `f` those of the fraction, logarithms are to base 2 and rounded up.
//! The published figures are upper bounds; for l = 32 the paper gives 5288 bits for its ReLU (bound 7328) and 7796 for the division by
//! 49 (bound 11300). A correlated OT of `b` bits sends `b + 1`.

use striae_spaces::{NodeId, Op, TypedGraph};

use super::Protocol;

/// Bits of a shared value.
pub const VALUE_BITS: u32 = 37;
/// Bits of its fraction.
pub const FRACTION_BITS: u32 = 12;
/// Computational security parameter.
const SECURITY: u64 = 128;

/// What a protocol exchanges, all values of a layer side by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Exchange {
    /// Bits per value, of both directions.
    pub(super) bits: u64,
    /// Rounds.
    pub(super) rounds: u64,
}

/// A ReLU.
pub(super) fn relu(protocol: Protocol, bits: u32) -> Exchange {
    let (l, log) = (u64::from(bits), log2_up(u64::from(bits)));
    match protocol {
        Protocol::CrypTFlow2 => Exchange { bits: 3 * SECURITY * (l + 1) / 2 + 31 * l, rounds: log + 4 },
        Protocol::Cheetah => Exchange { bits: 11 * l + 2 * (l + 1), rounds: log + 2 },
    }
}

/// Division by `d`, which for Cheetah is a power of two. CrypTFlow2's field protocol does not use a known sign.
fn division(protocol: Protocol, bits: u32, d: u64, sign_known: bool) -> Exchange {
    let l = u64::from(bits);
    match protocol {
        Protocol::CrypTFlow2 => {
            let delta = log2_up(6 * d);
            Exchange { bits: (3 * SECURITY / 2 + 34) * (l + 2 * delta), rounds: log2_up(l * delta) + 6 }
        }
        Protocol::Cheetah if sign_known => Exchange { bits: log2_up(d) + 4, rounds: 2 },
        Protocol::Cheetah => Exchange { bits: 11 * l + log2_up(d) + 1, rounds: log2_up(l) + 1 },
    }
}

/// Truncation of what a linear layer leaves.
pub(super) fn truncation(protocol: Protocol, sign_known: bool) -> Exchange {
    division(protocol, VALUE_BITS, 1 << FRACTION_BITS, sign_known)
}

/// Whether what a linear layer leaves only goes into one activation, so that it may be truncated after it, when its sign is known.
/// Norms are folded and additions local, so they may stand between.
pub(super) fn feeds_activation(graph: &TypedGraph, consumers: &[Vec<NodeId>], mut node: NodeId) -> bool {
    while let [next] = consumers[node.index()].as_slice() {
        match &graph.node(*next).op {
            Op::BatchNorm | Op::Add => node = *next,
            Op::Activation(_) => return true,
            Op::Input | Op::Conv2d(_) | Op::Linear(_) | Op::AvgPool(_) | Op::Flatten => return false,
        }
    }
    false
}

fn log2_up(x: u64) -> u64 {
    u64::from(x.next_power_of_two().trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_lie_above_the_published_figures() {
        // CrypTFlow2, Tables 2 and 3: l = 32, division by 49.
        let (relu, division) = (relu(Protocol::CrypTFlow2, 32), division(Protocol::CrypTFlow2, 32, 49, false));
        assert_eq!((relu.bits, relu.rounds), (7328, 9));
        assert_eq!((division.bits, division.rounds), (11_300, 15));
        assert!(relu.bits > 5288 && division.bits > 7796);
    }

    #[test]
    fn values_of_37_bits() {
        let [ours, cheetah] = Protocol::ALL.map(|p| (relu(p, VALUE_BITS), truncation(p, true), truncation(p, false)));
        assert_eq!([ours.0.bits, ours.1.bits, ours.2.bits], [8443, 15_142, 15_142]);
        assert_eq!([cheetah.0.bits, cheetah.1.bits, cheetah.2.bits], [483, 16, 420]);
    }
}
