//! How many networks a space has, and how many of them each bound removes.

use std::collections::HashMap;

use striae_spaces::space::{Bounds, HeSize, Trellis};

/// The bounds of a Focused Constraint, in the order of a [`BoundCounts`].
pub const BOUNDS: [&str; 4] = ["max_taps", "max_ciphertexts", "max_levels", "max_external_rotations"];

/// Networks of a space by the bounds they break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundCounts {
    /// For each set of broken bounds, as bits in the order of [`BOUNDS`], the networks that break just these.
    by_broken: [u128; 1 << BOUNDS.len()],
}

impl BoundCounts {
    /// Counts every network of a space by which of `bounds` it breaks: all distinct combinations of choices whose
    /// bottlenecks are no wider than their stages. The count is exact; it goes through the trellis once, since networks that
    /// agree in their maps and in what the bounds are about go on alike.
    pub fn of(trellis: &Trellis, bounds: &Bounds) -> Self {
        let mut here: HashMap<(u32, Capped), u128> = HashMap::from([((0, Capped::default()), 1)]);
        for column in trellis.columns() {
            let mut next: HashMap<(u32, Capped), u128> = HashMap::new();
            for ((state, size), networks) in here {
                for branch in &column.states[state as usize].branches {
                    if branch.size.misfit().is_none() {
                        *next.entry((branch.next, size.then(&branch.size, bounds))).or_default() += networks;
                    }
                }
            }
            here = next;
        }
        let mut by_broken = [0; 1 << BOUNDS.len()];
        here.into_iter().for_each(|((_, size), networks)| by_broken[size.broken(bounds)] += networks);
        Self { by_broken }
    }

    /// All networks.
    pub fn all(&self) -> u128 {
        self.by_broken.iter().sum()
    }

    /// Those within the bounds.
    pub fn within(&self) -> u128 {
        self.by_broken[0]
    }

    /// Those that break a bound, whatever others they break: what it removes alone.
    pub fn removed_alone(&self, bound: usize) -> u128 {
        (0..self.by_broken.len()).filter(|set| set >> bound & 1 == 1).map(|set| self.by_broken[set]).sum()
    }

    /// Those that break a bound and no other: what would come back without it.
    pub fn removed_marginally(&self, bound: usize) -> u128 {
        self.by_broken[1 << bound]
    }
}

/// What the bounds are about; beyond a bound all values are alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Capped {
    taps: bool,
    ciphertexts: bool,
    levels: usize,
    external_rotations: usize,
}

impl Capped {
    fn then(self, next: &HeSize, bounds: &Bounds) -> Self {
        Self {
            taps: self.taps || next.taps > bounds.max_taps,
            ciphertexts: self.ciphertexts || next.ciphertexts > bounds.max_ciphertexts,
            levels: (self.levels + next.levels).min(bounds.max_levels + 1),
            external_rotations: (self.external_rotations + next.external_rotations)
                .min(bounds.max_external_rotations + 1),
        }
    }

    fn broken(self, bounds: &Bounds) -> usize {
        let broken = [
            self.taps,
            self.ciphertexts,
            self.levels > bounds.max_levels,
            self.external_rotations > bounds.max_external_rotations,
        ];
        broken.iter().enumerate().map(|(i, &broken)| usize::from(broken) << i).sum()
    }
}
