//! Whether the machine is quiet.
//!
//! Machines are shared: others take memory bandwidth and caches. A read of more memory than caches hold is timed before what
//! is measured; while it takes longer than it does undisturbed, so would everything else.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::last_level_cache;

/// Cache that is assumed where the system does not tell.
const CACHE: u64 = 32 << 20;
/// By how much the read may exceed its undisturbed time.
const TOLERANCE: f64 = 0.08;
/// Undisturbed is what the fastest so many of all reads took.
const UNDISTURBED: f64 = 0.1;
/// Reads that tell what undisturbed is.
const LOOKS: usize = 60;
/// Time between two reads while waiting.
const PAUSE: Duration = Duration::from_millis(5);

/// Memory to read, and how long that took so far.
pub struct Quiet {
    sweep: Vec<u64>,
    /// Seconds, ascending.
    seen: Vec<f64>,
}

impl Default for Quiet {
    fn default() -> Self {
        let words = 2 * last_level_cache().unwrap_or(CACHE) as usize / 8;
        Self { sweep: vec![1; words], seen: Vec::new() }
    }
}

impl Quiet {
    /// Looks a few times, to learn what undisturbed is.
    pub fn learn(&mut self) {
        for _ in 0..LOOKS {
            self.look();
        }
    }

    /// Reads the memory, which also leaves nothing else in the caches. Gives whether it went undisturbed, as far as is known.
    pub fn look(&mut self) -> bool {
        let start = Instant::now();
        black_box(self.sweep.iter().step_by(8).fold(0u64, |sum, word| sum.wrapping_add(*word)));
        let seconds = start.elapsed().as_secs_f64();
        let place = self.seen.partition_point(|s| *s < seconds);
        self.seen.insert(place, seconds);
        seconds <= (1.0 + TOLERANCE) * self.seen[(UNDISTURBED * self.seen.len() as f64) as usize]
    }

    /// Looks until the machine is quiet, or for so long. Gives whether it is.
    pub fn settle(&mut self, longest: Duration) -> bool {
        let start = Instant::now();
        loop {
            if self.look() {
                return true;
            }
            if start.elapsed() >= longest {
                return false;
            }
            std::thread::sleep(PAUSE);
        }
    }
}
