//! The seed tree: study, trial, stage. Every random choice of a search draws from a leaf of it.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One node of the seed tree.
///
/// A child depends on its parent and its label alone, so what one trial draws never moves what another draws.
///
/// ```
/// use striae_search::Seed;
/// let trial = Seed(7).child(3);
/// assert_eq!(trial, Seed(7).child(3));
/// assert_ne!(trial.named("train"), trial.named("sample"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed(pub u64);

impl Seed {
    /// The child with a number: a trial of a study, a stage of a trial.
    #[must_use]
    pub fn child(self, label: u64) -> Self {
        let mut rng = self.rng();
        rng.set_stream(label.wrapping_add(1));
        Self(rng.next_u64())
    }

    /// The child with a name.
    #[must_use]
    pub fn named(self, label: &str) -> Self {
        label.bytes().fold(self.child(label.len() as u64), |seed, byte| seed.child(u64::from(byte)))
    }

    /// The random numbers of this node; its children use other streams.
    pub fn rng(self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn nodes_of_a_tree_differ() {
        let root = Seed(0);
        let mut seen = HashSet::from([root.0]);
        for label in 0..1000 {
            assert!(seen.insert(root.child(label).0));
            assert!(seen.insert(root.child(label).named("train").0));
        }
        assert!(seen.insert(Seed(1).child(0).0));
    }

    #[test]
    fn seeds_are_stable_across_versions() {
        // Stored studies are resumed with these: a change here is a change of the store's format.
        assert_eq!([Seed(1).child(0).0, Seed(1).named("train").0], [15715005604373573095, 9176098116847711970]);
    }
}
