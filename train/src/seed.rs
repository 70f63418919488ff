//! The seed tree: one root seed, named children, one independent generator per leaf.
//!
//! A child's seed is a hash of its parent's seed and its name, so adding a consumer never shifts the numbers another
//! consumer sees.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// A node of the seed tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedTree {
    seed: [u8; 32],
}

impl SeedTree {
    /// The root for a seed the user chose.
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self { seed: bytes }
    }

    /// The child of that name.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        // ChaCha as a hash in a chain: each 16 bytes of the name become part of the next key. The first key is already
        // mixed, so that `child("")` differs from its parent.
        let mut seed = self.mixed(u64::MAX);
        let mut absorb = |bytes: &[u8]| {
            let mut block = [0u8; 16];
            block[..bytes.len()].copy_from_slice(bytes);
            for (s, b) in seed.seed[16..].iter_mut().zip(block) {
                *s ^= b;
            }
            seed = seed.mixed(bytes.len() as u64);
        };
        name.as_bytes().chunks(16).for_each(&mut absorb);
        seed
    }

    /// The child of that number.
    #[must_use]
    pub fn index(&self, index: u64) -> Self {
        self.mixed(index ^ 0x5eed)
    }

    /// A generator that starts here.
    pub fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(self.seed)
    }

    fn mixed(&self, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::from_seed(self.seed);
        rng.set_stream(stream.wrapping_add(1));
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Self { seed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_differ_and_repeat() {
        let root = SeedTree::new(7);
        let names = ["", "a", "b", "a long name of more than sixteen bytes", "a long name of more than sixteen bytez"];
        let seeds: Vec<SeedTree> =
            names.iter().map(|n| root.child(n)).chain([root, root.index(0), root.index(1)]).collect();
        for (i, a) in seeds.iter().enumerate() {
            assert!(seeds[i + 1..].iter().all(|b| a != b));
        }
        assert_eq!(SeedTree::new(7).child("a"), root.child("a"));
        assert_ne!(SeedTree::new(8).child("a"), root.child("a"));
    }
}
