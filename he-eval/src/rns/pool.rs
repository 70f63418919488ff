//! Recycled buffers: polynomials are megabytes, and fresh pages for each of them would cost more than the arithmetic.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroize;

/// Buffers kept for reuse; beyond this they are freed.
const KEEP: usize = 256;

/// Free buffers of one context.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Mutex<Vec<Vec<u64>>>,
}

impl Pool {
    /// A buffer of `len` words with arbitrary contents.
    pub(crate) fn take(self: &Arc<Self>, len: usize) -> Poly {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // Best fit, so that small requests do not eat the large buffers.
        let best = free.iter().enumerate().filter(|(_, b)| b.capacity() >= len).min_by_key(|(_, b)| b.capacity());
        let mut data = match best.map(|(i, _)| i) {
            Some(i) => free.swap_remove(i),
            None => Vec::new(),
        };
        drop(free);
        data.resize(len, 0);
        Poly { data, pool: Arc::clone(self) }
    }

    /// A buffer of `len` zeros.
    pub(crate) fn zeros(self: &Arc<Self>, len: usize) -> Poly {
        let mut poly = self.take(len);
        poly.fill(0);
        poly
    }

    fn give(&self, data: Vec<u64>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEEP {
            free.push(data);
        }
    }
}

/// A polynomial, limb after limb; goes back to its pool when dropped.
#[derive(Debug)]
pub(crate) struct Poly {
    data: Vec<u64>,
    pool: Arc<Pool>,
}

impl Poly {
    /// Shortens to `len` words.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.data.truncate(len);
    }
}

/// For those that hold a message: it stays in a buffer that goes back to its pool otherwise.
impl Zeroize for Poly {
    fn zeroize(&mut self) {
        self.data.as_mut_slice().zeroize();
    }
}

impl Clone for Poly {
    fn clone(&self) -> Self {
        let mut copy = self.pool.take(self.data.len());
        copy.copy_from_slice(&self.data);
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
        &self.data
    }
}

impl DerefMut for Poly {
    fn deref_mut(&mut self) -> &mut [u64] {
        &mut self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
