//! Files by rename.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::error::ReportError;

/// Puts `contents` at `path`, creating its folder if need be.
///
/// The bytes go to a temporary file in the same folder, are flushed to disk, and take their name last: a reader, a crash or a full disk
/// never leaves half a file, and an older file of that name stays until the new one is complete.
pub fn write(path: &Path, contents: &[u8]) -> Result<(), ReportError> {
    let failed = |source| ReportError::Write { path: path.to_owned(), source };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    fs_err::create_dir_all(&folder).map_err(failed)?;
    let mut file = tempfile::Builder::new().prefix(".striae-").suffix(".part").tempfile_in(&folder).map_err(failed)?;
    file.write_all(contents).map_err(failed)?;
    share(file.path(), path).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// Fills a new folder and gives it its name last. `fill` writes into the folder it is handed; if it fails, nothing is left behind.
/// A folder that already exists is refused.
pub fn create_folder<E: From<ReportError>>(path: &Path, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let failed = |source| ReportError::Write { path: path.to_owned(), source };
    if path.exists() {
        return Err(failed(std::io::Error::new(std::io::ErrorKind::AlreadyExists, "it already exists")).into());
    }
    let parent = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    fs_err::create_dir_all(&parent).map_err(failed)?;
    let folder = tempfile::Builder::new().prefix(".striae-").suffix(".part").tempdir_in(&parent).map_err(failed)?;
    fill(folder.path())?;
    share_folder(folder.path()).map_err(failed)?;
    fs_err::rename(folder.path(), path).map_err(failed)?;
    // The folder has its name now: nothing is left for the guard to delete.
    let _moved = folder.keep();
    Ok(())
}

/// Temporary files are readable by their owner only. A report takes the mode of the file it replaces, or the usual one of new files.
#[cfg(unix)]
fn share(temporary: &Path, target: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs_err::metadata(target).map_or(0o644, |old| old.permissions().mode() & 0o777);
    fs_err::set_permissions(temporary, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn share(_temporary: &Path, _target: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn share_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn share_folder(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_and_leaves_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/report.html");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"new");
        assert_eq!(fs_err::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_names_the_file_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("file"), b"").unwrap();
        let error = write(&folder.path().join("file/report.html"), b"x").unwrap_err();
        assert!(error.to_string().contains("file/report.html"), "{error}");
    }

    #[test]
    fn a_folder_appears_only_when_it_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("bundle");
        let failed: Result<(), ReportError> = create_folder(&target, |inner| {
            write(&inner.join("half"), b"x")?;
            Err(ReportError::Font { name: "x" })
        });
        assert!(failed.is_err());
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
        create_folder(&target, |inner| write(&inner.join("whole"), b"x")).unwrap();
        assert!(target.join("whole").exists());
        assert!(create_folder(&target, |_| Ok::<(), ReportError>(())).is_err());
    }
}
