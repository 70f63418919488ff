//! Files of keys and ciphertexts on disk: read with the file and the field in every refusal, written whole or not at all.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use crate::cli::failure::Failure;
use striae_he_eval::{FileKind, SerialError};

use super::unfinished::{self, Unfinished};

/// Reads a file with one of the library's readers, which takes the file and its length.
pub(super) fn read<T>(
    path: &Path,
    reader: impl FnOnce(&mut dyn Read, u64) -> Result<T, SerialError>,
) -> Result<T, Failure> {
    let (mut file, len) = open(path)?;
    reader(&mut file, len).map_err(|e| refusal(path, &e))
}

/// Refuses a file that holds a secret key. What else may be wrong with it is left to its reader.
pub(super) fn refuse_secret(path: &Path) -> Result<(), Failure> {
    let (mut file, _) = open(path)?;
    if let Ok(FileKind::SecretKey) = FileKind::peek(&mut file) {
        let message = format!("{}: kind: the file holds a secret key, which a server must never have", path.display());
        let hint = "give the files that `striae keygen --out-keys` and `striae encrypt` wrote, and take the secret key \
                    off this machine";
        return Err(Failure::bad_input(message, hint));
    }
    Ok(())
}

fn open(path: &Path) -> Result<(File, u64), Failure> {
    let unreadable = |e| Failure::unreadable(path, &e);
    // Asked before opening: opening a pipe would wait for its other end.
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    if !meta.is_file() {
        let message = format!("{}: cannot be read: not a file", path.display());
        return Err(Failure::bad_input(message, "check that the path is a file that you may read"));
    }
    Ok((File::open(path).map_err(unreadable)?, meta.len()))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is non-exhaustive; all that is not named is damage")]
pub(super) fn refusal(path: &Path, error: &SerialError) -> Failure {
    const DAMAGED: &str = "the file is damaged or cut off: copy it again, or make it again";
    let hint = match error {
        SerialError::Io(e) => return Failure::unreadable(path, e),
        SerialError::He(e) => return Failure::unexpected(e).in_file(path),
        SerialError::Magic | SerialError::UnknownKind { .. } => {
            "give a file that `striae keygen`, `striae encrypt` or `striae infer` wrote"
        }
        SerialError::Kind { .. } => "give the file that this option names; perhaps two of them changed places",
        SerialError::Version { .. } => "use the version of striae that wrote the file, or a later one",
        SerialError::Parameters { .. } => "it was made for another bundle: make it again with this one",
        SerialError::Network => {
            "it was made for another bundle or another version of striae: delete it, or give another name"
        }
        SerialError::Key { .. } => "use keys and ciphertexts of one `striae keygen`",
        SerialError::Label { .. } => {
            "make keys and image with this bundle and this version of striae; `infer` takes what `encrypt` wrote, `decrypt` \
             what `infer` wrote"
        }
        _ => DAMAGED,
    };
    Failure::bad_input(format!("{}: {error}", path.display()), hint)
}

/// A file to be written.
#[derive(Clone, Copy)]
pub(super) struct Target<'p> {
    /// Where.
    pub(super) path: &'p Path,
    /// What.
    pub(super) kind: FileKind,
    /// Whether a file of the same kind may be replaced.
    pub(super) force: bool,
}

impl<'p> Target<'p> {
    /// Refuses, before any work, what would be replaced unasked. Even `--force` replaces nothing but its own kind, so that
    /// a slip of the hand does not cost a secret key.
    pub(super) fn check(self) -> Result<(), Failure> {
        let Self { path, kind, force } = self;
        if std::fs::symlink_metadata(path).is_err_and(|e| e.kind() == ErrorKind::NotFound) {
            return Ok(());
        }
        let path_shown = path.display();
        if !force {
            let hint = "give a name that does not exist yet, or --force to replace the file";
            return Err(Failure::bad_input(format!("{path_shown}: exists already"), hint));
        }
        let found = open(path).ok().and_then(|(mut file, _)| FileKind::peek(&mut file).ok());
        if found == Some(kind) {
            return Ok(());
        }
        let found = found.map_or_else(|| "something else".to_owned(), |kind| kind.to_string());
        let message = format!("{path_shown}: exists already and holds {found}, not {kind}");
        Err(Failure::bad_input(message, "--force replaces files of the same kind only: give another name"))
    }

    /// Writes the contents beside the target; [`Written::publish`] gives them its name. A secret key is readable by its
    /// owner only, from its first byte on.
    pub(super) fn write(
        self,
        writer: impl FnOnce(&mut dyn Write) -> Result<(), SerialError>,
    ) -> Result<Written<'p>, Failure> {
        let failed = |e| Failure::unwritable(self.path, &e);
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".striae-").suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // The umask narrows the mode of what is not secret.
            let mode = if self.kind == FileKind::SecretKey { 0o600 } else { 0o666 };
            builder.permissions(std::fs::Permissions::from_mode(mode));
        }
        let mut file = unfinished::create(&builder, folder).map_err(failed)?;
        writer(file.as_file_mut()).map_err(|e| {
            if let SerialError::Io(e) = e { failed(e) } else { Failure::unexpected(e).in_file(self.path) }
        })?;
        file.as_file().sync_all().map_err(failed)?;
        Ok(Written { target: self, file })
    }
}

/// A file that is written and has no name yet; if it never gets one, nothing is left of it.
pub(super) struct Written<'p> {
    target: Target<'p>,
    file: Unfinished,
}

impl Written<'_> {
    /// Gives the file its name.
    pub(super) fn publish(self) -> Result<(), Failure> {
        Self::publish_all([self])
    }

    /// Gives several files their names, all or none.
    pub(super) fn publish_all<const N: usize>(files: [Self; N]) -> Result<(), Failure> {
        let targets = files.each_ref().map(|written| written.target);
        // Once more: they may have come to be in the meantime.
        targets.into_iter().try_for_each(Target::check)?;
        let named = files.map(|Self { target, file }| (file, target.path.to_owned(), target.force));
        unfinished::persist(named).map_err(|(i, e)| Failure::unwritable(targets[i].path, &e))
    }
}
