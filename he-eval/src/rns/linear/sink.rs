//! Where diagonals go while they are encoded: a batch of terms at a time, in each tile side by side.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

/// Bytes of coefficients that may be held while encoding into a file: longer batches are longer runs on disk.
const BATCH_BYTES: usize = 32 << 20;
/// Diagonals encoded in one batch in memory.
const BATCH: usize = 32;

/// One limb being encoded.
pub(super) enum Sink<'f> {
    /// In memory.
    Memory(Vec<u8>),
    /// In a file, from this offset on.
    File(&'f Mutex<File>, u64),
}

impl Sink<'_> {
    /// Diagonals to encode in one batch, of ring degree n.
    pub(super) fn batch(&self, n: usize) -> usize {
        match self {
            Self::Memory(_) => BATCH,
            Self::File(..) => (BATCH_BYTES / (8 * n)).max(BATCH),
        }
    }

    /// Puts `runs`, one for each tile, `start` bytes into every tile of `tile` bytes.
    pub(super) fn put(&mut self, tile: usize, start: usize, run: usize, runs: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(limb) => {
                for (out, run) in limb.chunks_exact_mut(tile).zip(runs.chunks_exact(run)) {
                    out[start..start + run.len()].copy_from_slice(run);
                }
                Ok(())
            }
            Self::File(file, offset) => {
                // One thread at a time: what matters is that runs of one limb follow each other.
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                runs.chunks_exact(run).enumerate().try_for_each(|(k, run)| {
                    file.seek(SeekFrom::Start(*offset + (k * tile + start) as u64))?;
                    file.write_all(run)
                })
            }
        }
    }
}
