//! Parts of files mapped read-only: what does not fit memory stays on disk, and the system keeps of it what it can.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};

use memmap2::{Mmap, MmapOptions};

/// A mapped part of a file.
#[derive(Debug)]
pub(crate) struct Mapped(Mmap);

impl Mapped {
    /// Maps `len` bytes from `offset` on.
    #[expect(unsafe_code, reason = "memory maps are unsafe: what they show can change outside of Rust's rules")]
    pub(crate) fn new(file: &File, offset: u64, len: usize) -> io::Result<Self> {
        // SAFETY: the map is only read, and as bytes that are all valid, so that even a file changed by another process
        // gives wrong numbers, not undefined values of a type. Files written here have no name until they are complete,
        // and nothing here writes to a part once it is mapped. A file that another process cuts short ends this one with
        // a signal, as running out of disk space under a map does: no memory is corrupted by it.
        let map = unsafe { MmapOptions::new().offset(offset).len(len).map(file)? };
        #[cfg(unix)]
        map.advise(memmap2::Advice::Sequential)?;
        Ok(Self(map))
    }

    /// Tells the system that a range is read next; that it may not listen changes nothing but the time.
    pub(crate) fn will_need(&self, range: Range<usize>) {
        #[cfg(unix)]
        let _ = self.0.advise_range(memmap2::Advice::WillNeed, range.start, range.len());
        #[cfg(not(unix))]
        let _ = range;
    }
}

impl Deref for Mapped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}
