//! One search at a time per study file.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::{StoreError, StoreErrorKind};

/// Held by the search that works on a file; the system releases it when the process ends, even by `kill -9`.
///
/// It locks a file beside the store and never the store itself: closing a second handle to a database file would drop
/// the locks that SQLite holds on it.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

impl StoreLock {
    pub(super) fn take(store: &Path) -> Result<Self, StoreError> {
        let mut name = store.as_os_str().to_owned();
        name.push(".lock");
        let fail = |kind| StoreError { path: store.to_owned(), kind };
        let file = File::options().create(true).append(true).open(name).map_err(|e| fail(e.into()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(fail(StoreErrorKind::InUse)),
            Err(TryLockError::Error(e)) => Err(fail(e.into())),
        }
    }
}
