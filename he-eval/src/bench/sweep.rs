//! Empty caches.

use std::hint::black_box;

use super::last_level_cache;

/// Cache that is assumed where the system does not tell.
const CACHE: u64 = 32 << 20;

/// More memory than the caches hold; reading it leaves nothing else there.
pub struct Sweep(Vec<u64>);

impl Default for Sweep {
    fn default() -> Self {
        Self(vec![1; 2 * last_level_cache().unwrap_or(CACHE) as usize / 8])
    }
}

impl Sweep {
    /// Reads it.
    pub fn caches(&self) {
        black_box(self.0.iter().step_by(8).fold(0u64, |sum, word| sum.wrapping_add(*word)));
    }
}
