//! Recycled buffers: polynomials are megabytes, and fresh pages for each of them would cost more than the arithmetic.
//!
//! Buffers stand on shelves by size, four to an octave, so one is at most a quarter larger than what was asked for and what
//! serves one level mostly serves the next. A buffer is a whole size long and initialised for good: taking one clears
//! nothing. What lies on the shelves is never more than twice what was in use at once at some time: steps differ in what they
//! need, and each should find its own again. Beyond that the shelves used least recently are emptied first.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroize;

/// Smallest size, in words: a page.
const SMALLEST: usize = 1 << 9;
/// Shelves: up to 2^48 words.
const SHELVES: usize = 4 * 39;

/// Most words on the shelves, as a multiple of the most that were in use.
const KEEP: usize = 2;

/// Buffers of one size.
#[derive(Debug, Default)]
struct Shelf {
    buffers: Mutex<Vec<Box<[u64]>>>,
    /// When it was last asked, by the clock of the pool.
    used: AtomicU64,
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Vec<Box<[u64]>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Free buffers of one context.
#[derive(Debug)]
pub(crate) struct Pool {
    shelves: [Shelf; SHELVES],
    /// Requests so far.
    clock: AtomicU64,
    /// Words on the shelves, words in use, and the most that were in use.
    free: AtomicUsize,
    in_use: AtomicUsize,
    peak: AtomicUsize,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            shelves: std::array::from_fn(|_| Shelf::default()),
            clock: AtomicU64::default(),
            free: AtomicUsize::default(),
            in_use: AtomicUsize::default(),
            peak: AtomicUsize::default(),
        }
    }
}

/// The shelf for `len` words, and the size of its buffers: 4, 5, 6 or 7 quarters of a power of two.
const fn shelf_of(len: usize) -> (usize, usize) {
    if len <= SMALLEST {
        return (0, SMALLEST);
    }
    let octave = (len - 1).ilog2();
    let quarter = 1 << (octave - 2);
    let quarters = len.div_ceil(quarter);
    (4 * (octave - SMALLEST.ilog2()) as usize + quarters - 4, quarters * quarter)
}

impl Pool {
    /// A buffer of `len` words with arbitrary contents.
    pub(crate) fn take(self: &Arc<Self>, len: usize) -> Poly {
        let (index, size) = shelf_of(len);
        let shelf = &self.shelves[index];
        shelf.used.store(self.clock.fetch_add(1, Relaxed), Relaxed);
        self.peak.fetch_max(self.in_use.fetch_add(size, Relaxed) + size, Relaxed);
        let free = shelf.lock().pop();
        let data = match free {
            Some(data) => {
                self.free.fetch_sub(size, Relaxed);
                data
            }
            // Pages that nothing writes to are never made.
            None => vec![0; size].into_boxed_slice(),
        };
        Poly { data, len, pool: Arc::clone(self) }
    }

    /// A buffer of `len` zeros.
    pub(crate) fn zeros(self: &Arc<Self>, len: usize) -> Poly {
        let mut poly = self.take(len);
        poly.fill(0);
        poly
    }

    fn give(&self, data: Box<[u64]>) {
        let size = data.len();
        self.in_use.fetch_sub(size, Relaxed);
        // Counted before it can be taken again, so that the sum never falls below zero.
        let free = self.free.fetch_add(size, Relaxed) + size;
        self.shelves[shelf_of(size).0].lock().push(data);
        if free > self.most() {
            self.trim();
        }
    }

    /// Most words that are kept.
    fn most(&self) -> usize {
        KEEP * self.peak.load(Relaxed)
    }

    /// Empties the shelves used least recently until no more is free than is kept.
    fn trim(&self) {
        let mut by_age: Vec<&Shelf> = self.shelves.iter().collect();
        by_age.sort_by_key(|shelf| shelf.used.load(Relaxed));
        for shelf in by_age {
            while self.free.load(Relaxed) > self.most() {
                let Some(data) = shelf.lock().pop() else { break };
                self.free.fetch_sub(data.len(), Relaxed);
            }
        }
    }
}

/// A polynomial, limb after limb; goes back to its pool when dropped.
#[derive(Debug)]
pub(crate) struct Poly {
    /// A whole size of the pool, of which `len` words are the polynomial.
    data: Box<[u64]>,
    len: usize,
    pool: Arc<Pool>,
}

/// For those that hold a message: it stays in a buffer that goes back to its pool otherwise.
impl Zeroize for Poly {
    fn zeroize(&mut self) {
        self.data.zeroize();
    }
}

impl Clone for Poly {
    fn clone(&self) -> Self {
        let mut copy = self.pool.take(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl Drop for Poly {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.data));
    }
}

impl Deref for Poly {
    type Target = [u64];
    fn deref(&self) -> &[u64] {
        &self.data[..self.len]
    }
}

impl DerefMut for Poly {
    fn deref_mut(&mut self) -> &mut [u64] {
        &mut self.data[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Pool {
        /// Words on the shelves, counted.
        fn shelved(&self) -> usize {
            self.shelves.iter().map(|s| s.lock().iter().map(|b| b.len()).sum::<usize>()).sum()
        }
    }

    #[test]
    fn buffers_come_back() {
        let pool = Arc::new(Pool::default());
        let first = pool.take(1000).as_ptr();
        let second = pool.take(900);
        assert_eq!(first, second.as_ptr());
        assert_eq!(second.len(), 900);
        let mut copy = second.clone();
        copy[0] = second[0] + 1;
        assert_ne!(copy[0], second[0]);
    }

    #[test]
    fn small_requests_leave_large_buffers_alone() {
        let pool = Arc::new(Pool::default());
        let large = pool.take(100_000).as_ptr();
        let small = pool.take(1000);
        assert_eq!(pool.take(99_000).as_ptr(), large);
        drop(small);
    }

    #[test]
    fn sizes_are_at_most_a_quarter_too_large_and_in_order() {
        let mut last = (0, SMALLEST);
        for len in (SMALLEST..1 << 20).step_by(37).chain((20..48).map(|bits| 1 << bits)) {
            let (shelf, size) = shelf_of(len);
            assert!(size >= len && 4 * (size - len) <= len, "{len}: {size}");
            assert!(shelf < SHELVES && (shelf, size) >= last && (shelf == last.0) == (size == last.1), "{len}");
            assert_eq!(shelf_of(size), (shelf, size));
            last = (shelf, size);
        }
    }

    #[test]
    fn no_more_is_kept_than_twice_what_was_in_use() {
        let pool = Arc::new(Pool::default());
        // Every size alone: together they are many times what is in use.
        for k in 1..200 {
            drop([pool.take(1000 * k), pool.take(1000 * k)]);
            assert!(pool.shelved() <= 2 * pool.peak.load(Relaxed));
            assert_eq!((pool.shelved(), 0), (pool.free.load(Relaxed), pool.in_use.load(Relaxed)));
        }
        // The last ones are still there.
        let before = pool.shelved();
        let again = [pool.take(199_000), pool.take(199_000)];
        assert_eq!(pool.shelved(), before - again.iter().map(|p| p.data.len()).sum::<usize>());
    }

    #[test]
    fn threads_share_a_pool() {
        let pool = Arc::new(Pool::default());
        std::thread::scope(|scope| {
            for seed in 0..4 {
                let pool = &pool;
                scope.spawn(move || {
                    let held: Vec<Poly> = (0..500).map(|i| pool.take(600 + 97 * (i * seed % 13))).collect();
                    assert!(held.iter().all(|p| p.len() >= 600));
                });
            }
        });
        assert_eq!(pool.shelved(), pool.free.load(Relaxed));
        assert_eq!(pool.in_use.load(Relaxed), 0);
    }

    #[test]
    fn messages_do_not_come_back() {
        let pool = Arc::new(Pool::default());
        let fill = |mut message: Poly| message.fill(7);
        fill(pool.take(1000));
        assert_eq!(pool.take(1000)[..], [7; 1000]);
        let wiped = zeroize::Zeroizing::new(pool.take(1000));
        drop(wiped);
        assert_eq!(pool.take(1000)[..], [0; 1000]);
    }
}
