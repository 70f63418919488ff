//! Files that are being written: none of them outlives the command, not even where Ctrl-C ends it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tempfile::{Builder, NamedTempFile};

use crate::cli::exit::Exit;

/// Those that are there now. Whoever makes, names or removes one holds the lock.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static LISTENING: Once = Once::new();

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file without its name yet; removed when dropped.
pub(super) struct Unfinished {
    /// Always there, but for the moment in which it is dropped or gets its name.
    file: Option<NamedTempFile>,
}

/// A file in `folder`.
pub(super) fn create(builder: &Builder<'_, '_>, folder: &Path) -> io::Result<Unfinished> {
    // Should this fail, Ctrl-C ends the process all the same.
    LISTENING.call_once(|| {
        let _ = ctrlc::set_handler(end);
    });
    let mut paths = unfinished();
    let file = builder.tempfile_in(folder)?;
    paths.insert(file.path().to_owned());
    Ok(Unfinished { file: Some(file) })
}

/// Ends the process. The lock is held to the end, so that no further file comes to be.
fn end() {
    let paths = unfinished();
    paths.iter().for_each(|path| {
        let _ = std::fs::remove_file(path);
    });
    std::process::exit(Exit::Interrupted as i32);
}

impl Unfinished {
    fn file(&self) -> &NamedTempFile {
        self.file.as_ref().expect("it is taken by `persist` and `drop` only")
    }

    /// What is written so far.
    pub(super) fn as_file(&self) -> &File {
        self.file().as_file()
    }

    /// For writing.
    pub(super) fn as_file_mut(&mut self) -> &mut File {
        self.file.as_mut().expect("it is taken by `persist` and `drop` only").as_file_mut()
    }
}

/// Gives files their names, all or none: name by name with whether a file that has it already is replaced. On an error it
/// tells the index.
pub(super) fn persist(files: impl IntoIterator<Item = (Unfinished, PathBuf, bool)>) -> Result<(), (usize, io::Error)> {
    let mut paths = unfinished();
    let mut named: Vec<PathBuf> = Vec::new();
    let mut result = Ok(());
    for (i, (mut unfinished, path, replace)) in files.into_iter().enumerate() {
        let Some(file) = unfinished.file.take() else { continue };
        paths.remove(file.path());
        let done = match result {
            Err(_) => continue,
            Ok(()) if replace => file.persist(&path),
            Ok(()) => file.persist_noclobber(&path),
        };
        match done {
            Ok(_) => named.push(path),
            Err(e) => result = Err((i, e.error)),
        }
    }
    if result.is_err() {
        named.iter().for_each(|path| {
            let _ = std::fs::remove_file(path);
        });
    }
    result
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            let mut paths = unfinished();
            paths.remove(file.path());
            drop(file);
        }
    }
}
