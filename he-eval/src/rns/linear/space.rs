//! Where encoded weights are kept: in memory, beyond a budget in a temporary file, or in a file that later runs use again.
//!
//! Files are written while the weights are encoded, a batch of diagonals at a time, and then read through memory maps, so
//! at no time are they held in memory. A temporary file has no name and is gone when its maps are, however the process ends;
//! a file to keep gets its name when it is complete.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use striae_cost_model::{Bytes, CkksParams, HeProgram, MemoryEstimate, StepKind, diagonal_memory};
use tempfile::NamedTempFile;

use crate::HeError;
use crate::rns::mapped::Mapped;
use crate::rns::serial::{Section, SerialError, WeightIdentity, read_sections, sections_start, write_sections};

use super::sink::Sink;
use super::stored::Stored;

/// Where the encoded weights of one circuit go, linear step after linear step.
#[derive(Debug)]
pub struct WeightSpace {
    place: Place,
    /// Linear steps encoded so far.
    steps: usize,
}

#[derive(Debug)]
enum Place {
    Memory,
    /// The linear steps that are `outside` go to a temporary file.
    Spilled {
        outside: Vec<bool>,
        file: Growing,
    },
    /// A file that is being made.
    New {
        file: Growing,
        named: NamedTempFile,
        path: PathBuf,
        identity: WeightIdentity,
        sections: Vec<Section>,
    },
    /// A file that was there.
    Old {
        sections: std::vec::IntoIter<(Section, Mapped)>,
    },
}

impl WeightSpace {
    /// Everything in memory.
    pub const fn memory() -> Self {
        Self { place: Place::Memory, steps: 0 }
    }

    /// As much in memory as `budget` allows beside keys and ciphertexts; the diagonals of the largest steps in a temporary
    /// file in `folder`, whose space is taken at once. Maps use what memory happens to be free and the system can take back.
    ///
    /// The budget is held against what the cost model counts. Processes with both roles were measured to hold 84 to 342 MiB
    /// more at N = 2^13 and 2^14 with up to 0.8 GiB of keys and ciphertexts, and 505 MiB with 3.3 GiB at 2^15, the same
    /// whether weights were in memory or not; buffers for encoding are among it.
    pub fn within(budget: Bytes, folder: &Path, program: &HeProgram, params: &CkksParams) -> Result<Self, HeError> {
        let steps = (0..program.steps.len()).filter(|&i| matches!(program.steps[i].kind, StepKind::Linear(_)));
        let diagonals: Vec<u64> = steps.map(|i| diagonal_memory(program, i, params).0).collect();
        let mut needed = MemoryEstimate::of(program, params).total().0;
        let fixed = needed - diagonals.iter().sum::<u64>();
        if fixed > budget.0 {
            return Err(HeError::MemoryBudget { budget, needed: Bytes(fixed) });
        }
        let mut largest_first: Vec<usize> = (0..diagonals.len()).collect();
        largest_first.sort_by_key(|&i| std::cmp::Reverse(diagonals[i]));
        let mut outside = vec![false; diagonals.len()];
        let mut bytes = 0;
        for i in largest_first {
            if needed <= budget.0 {
                break;
            }
            needed -= diagonals[i];
            bytes += diagonals[i];
            outside[i] = true;
        }
        if bytes == 0 {
            return Ok(Self::memory());
        }
        let file = tempfile::tempfile_in(folder).and_then(|file| reserve(&file, bytes).map(|()| file));
        let file = file.map_err(|e| {
            HeError::weight_file(&format!("cannot be made in {} with {}: {e}", folder.display(), Bytes(bytes)))
        })?;
        Ok(Self { place: Place::Spilled { outside, file: Growing::new(file, 0) }, steps: 0 })
    }

    /// Everything in the file `path`, which is read if it exists and made otherwise. A file of other parameters, another
    /// program or other weights is refused, as is a damaged one.
    pub fn file(path: &Path, identity: WeightIdentity) -> Result<Self, SerialError> {
        let place = if path.try_exists()? { Self::old(path, &identity)? } else { Self::new_file(path, identity)? };
        Ok(Self { place, steps: 0 })
    }

    fn old(path: &Path, identity: &WeightIdentity) -> Result<Place, SerialError> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        let sections = read_sections(&mut file, len, identity)?;
        let mut offset = sections_start(sections.len());
        let mut mapped = Vec::with_capacity(sections.len());
        for section in sections {
            let map = Mapped::new(&file, offset, section.bytes as usize)?;
            offset += section.bytes;
            if blake3::hash(&map) != section.checksum {
                return Err(SerialError::Checksum);
            }
            mapped.push((section, map));
        }
        Ok(Place::Old { sections: mapped.into_iter() })
    }

    fn new_file(path: &Path, identity: WeightIdentity) -> Result<Place, SerialError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let named = tempfile::Builder::new().prefix(".striae-").suffix(".part").tempfile_in(folder)?;
        let file = Growing::new(named.as_file().try_clone()?, sections_start(identity.steps()));
        Ok(Place::New { file, named, path: path.to_owned(), identity, sections: Vec::new() })
    }

    /// Whether the weights are there already and nothing is encoded.
    pub const fn is_encoded(&self) -> bool {
        matches!(self.place, Place::Old { .. })
    }

    /// The limbs of the next linear step, of these sizes in bytes; `encode` fills them where they have to be made.
    pub(super) fn store(
        &mut self,
        (level, scale): (usize, f64),
        sizes: &[usize],
        encode: impl FnOnce(&mut [Sink<'_>]) -> Result<(), HeError>,
    ) -> Result<Vec<Stored>, HeError> {
        let step = self.steps;
        self.steps += 1;
        match &mut self.place {
            Place::Spilled { outside, file } if outside.get(step) == Some(&true) => {
                Ok(Stored::limbs(file.append(sizes, encode)?, sizes))
            }
            Place::Memory | Place::Spilled { .. } => in_memory(sizes, encode),
            Place::New { file, sections, .. } => {
                let map = file.append(sizes, encode)?;
                sections.push(Section { level, scale, bytes: map.len() as u64, checksum: blake3::hash(&map) });
                Ok(Stored::limbs(map, sizes))
            }
            Place::Old { sections } => {
                let found = sections
                    .next()
                    .filter(|(s, map)| (s.level, s.scale, map.len()) == (level, scale, sizes.iter().sum()));
                let (_, map) =
                    found.ok_or_else(|| HeError::weight_file(&format!("section {step} is of another step")))?;
                Ok(Stored::limbs(map, sizes))
            }
        }
    }

    /// Gives a new file its name. Without this call nothing is left of it.
    pub fn finish(self) -> Result<(), HeError> {
        let Place::New { named, path, identity, sections, .. } = self.place else { return Ok(()) };
        let mut table = Vec::new();
        write_sections(&identity, &sections, &mut table).map_err(|e| HeError::weight_file(&e))?;
        let mut file = named.as_file();
        let written = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&table)).and_then(|()| file.sync_all());
        written.map_err(|e| HeError::weight_file(&e))?;
        named.persist_noclobber(&path).map(drop).map_err(|e| HeError::weight_file(&e.error))
    }
}

/// Takes the space on disk at once, since finding the disk full can take as long as encoding does. Where the system or the
/// file system has no way to, it is found then.
#[cfg(target_os = "linux")]
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) | Ok(()) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

fn in_memory(
    sizes: &[usize],
    encode: impl FnOnce(&mut [Sink<'_>]) -> Result<(), HeError>,
) -> Result<Vec<Stored>, HeError> {
    let mut sinks: Vec<Sink<'_>> = sizes.iter().map(|&size| Sink::Memory(vec![0; size])).collect();
    encode(&mut sinks)?;
    let limb = |sink| match sink {
        Sink::Memory(limb) => Some(Stored::Memory(limb)),
        Sink::File(..) => None,
    };
    Ok(sinks.into_iter().filter_map(limb).collect())
}

/// A file that grows by one step after the other.
#[derive(Debug)]
struct Growing {
    file: Mutex<File>,
    end: u64,
}

impl Growing {
    const fn new(file: File, end: u64) -> Self {
        Self { file: Mutex::new(file), end }
    }

    /// Writes the limbs of one step and maps them.
    fn append(
        &mut self,
        sizes: &[usize],
        encode: impl FnOnce(&mut [Sink<'_>]) -> Result<(), HeError>,
    ) -> Result<Mapped, HeError> {
        let start = self.end;
        let sink = |&size: &usize| {
            let sink = Sink::File(&self.file, self.end);
            self.end += size as u64;
            sink
        };
        let mut sinks: Vec<Sink<'_>> = sizes.iter().map(sink).collect();
        encode(&mut sinks)?;
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        Mapped::new(&file, start, (self.end - start) as usize).map_err(|e| HeError::weight_file(&e))
    }
}
