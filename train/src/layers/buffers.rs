//! Memory of values and gradients, used again from step to step.
//!
//! A training step of a small network writes hundreds of megabytes of short-lived maps. Fresh memory for each costs the
//! kernel's clearing of its pages, zeroing for Rust's sake and cold caches, together as much as the arithmetic. So the
//! vectors of dead values wait here for the next value of the same length.
//!
//! What [`take`] returns holds old numbers: every kernel writes all of its output.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor};

/// A vector that lay idle while so many others were taken belongs to a network that is gone.
const PATIENCE: u64 = 1 << 13;

static IDLE: Mutex<Idle> = Mutex::new(Idle { by_len: BTreeMap::new(), clock: 0 });

struct Idle {
    /// Idle vectors by length, each with the time it came, oldest first.
    by_len: BTreeMap<usize, Vec<(u64, Vec<f32>)>>,
    /// Vectors taken so far.
    clock: u64,
}

impl Idle {
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        self.clock += 1;
        if self.clock.is_multiple_of(PATIENCE) {
            let oldest = self.clock - PATIENCE;
            self.by_len.values_mut().for_each(|list| list.retain(|(came, _)| *came >= oldest));
            self.by_len.retain(|_, list| !list.is_empty());
        }
        // The vector given back last is the one most likely in a cache.
        self.by_len.get_mut(&len)?.pop().map(|(_, values)| values)
    }
}

fn idle<R>(f: impl FnOnce(&mut Idle) -> R) -> R {
    // Plain lists stay sound if a thread panics between two of their operations.
    f(&mut IDLE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A vector of `len` values that mean nothing.
pub(super) fn take(len: usize) -> Vec<f32> {
    let found = idle(|idle| idle.take(len));
    let mut values = found.unwrap_or_else(|| vec![0.0; len]);
    if cfg!(test) {
        // Whatever a kernel forgets to write shows.
        values.fill(f32::NAN);
    }
    values
}

/// Keeps a vector for later.
pub(super) fn give(values: Vec<f32>) {
    if !values.is_empty() {
        idle(|idle| {
            let came = idle.clock;
            idle.by_len.entry(values.len()).or_default().push((came, values));
        });
    }
}

/// The first `len` values of a scratch buffer, which mean nothing, at a boundary of cache lines: vectors that straddle two
/// lines cost two loads.
pub(super) fn aligned(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    const LINE: usize = 64;
    let room = LINE / size_of::<f32>();
    if buffer.len() < len + room {
        *buffer = vec![0.0; len + room];
    }
    let skip = buffer.as_ptr().align_offset(LINE).min(room);
    &mut buffer[skip..skip + len]
}

/// Releases all idle memory.
pub(crate) fn release() {
    let lists = idle(|idle| std::mem::take(&mut idle.by_len));
    drop(lists);
}

/// A tensor whose memory is given back when its last holder is gone. Clones of the tensor inside must not outlive it.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    tensor: Tensor,
    /// None if the memory came from elsewhere.
    lease: Option<Arc<Lease>>,
}

impl Value {
    /// A tensor whose memory came from [`take`].
    pub(crate) fn new(tensor: Tensor) -> Self {
        Self { lease: Some(Arc::new(Lease(tensor.clone()))), tensor }
    }

    /// A tensor whose memory goes back to where it came from.
    pub(crate) fn foreign(tensor: Tensor) -> Self {
        Self { tensor, lease: None }
    }

    /// Another shape of the same memory.
    pub(crate) fn view(&self, view: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(Self { tensor: view(&self.tensor)?, lease: self.lease.clone() })
    }
}

impl Deref for Value {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.tensor
    }
}

#[derive(Debug)]
struct Lease(Tensor);

impl Drop for Lease {
    fn drop(&mut self) {
        // A tensor elsewhere than on the CPU has nothing to give back, and says so by an error.
        let _ = self.0.inplace_op1(&GiveBack);
    }
}

struct GiveBack;

impl InplaceOp1 for GiveBack {
    fn name(&self) -> &'static str {
        "give-back"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, _: &Layout) -> Result<()> {
        if let CpuStorage::F32(values) = storage {
            give(std::mem::take(values));
        }
        Ok(())
    }
}
