//! The bytes of one limb's diagonals, in memory or in a mapped file.

use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::rns::mapped::Mapped;

/// Diagonals of one limb.
#[derive(Clone, Debug)]
pub(super) enum Stored {
    /// Held.
    Memory(Vec<u8>),
    /// Part of a mapped file.
    Mapped(Arc<Mapped>, Range<usize>),
}

impl Stored {
    /// Limbs of these sizes, one after the other in a map.
    pub(super) fn limbs(map: Mapped, sizes: &[usize]) -> Vec<Self> {
        let map = Arc::new(map);
        let mut end = 0;
        let limb = |&size: &usize| {
            let start = end;
            end += size;
            Self::Mapped(Arc::clone(&map), start..end)
        };
        sizes.iter().map(limb).collect()
    }

    /// Bytes that take memory of this process and cannot be given up.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::Mapped(..) => 0,
        }
    }

    /// Starts reading what is not in memory.
    pub(super) fn prefetch(&self) {
        if let Self::Mapped(map, range) = self {
            map.will_need(range.clone());
        }
    }
}

impl Deref for Stored {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Memory(bytes) => bytes,
            Self::Mapped(map, range) => &map[range.clone()],
        }
    }
}
