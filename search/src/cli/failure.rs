//! What the user reads when a command ends early: one line that names the file and the field, and a hint.

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;

use super::exit::Exit;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// One line.
    pub(crate) message: String,
    /// What the user can do about it.
    pub(crate) hint: Option<String>,
}

/// What commands return.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    /// Something the user gave is wrong.
    pub(crate) fn bad_input(message: impl Display, hint: impl Into<String>) -> Self {
        Self { exit: Exit::BadInput, message: one_line(&message), hint: Some(hint.into()) }
    }

    /// Something else went wrong.
    pub(crate) fn unexpected(message: impl Display) -> Self {
        Self { exit: Exit::Failure, message: one_line(&message), hint: None }
    }

    /// The same with the file it is about in front, unless the message has it already.
    #[must_use]
    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        let path = path.display().to_string();
        if !self.message.starts_with(&path) {
            self.message = format!("{path}: {}", self.message);
        }
        self
    }

    /// The same with the network it is about in front.
    #[must_use]
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.message = format!("{name}: {}", self.message.strip_prefix("network: ").unwrap_or(&self.message));
        self
    }

    /// The same with another hint.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A file that cannot be read; for the user's own files.
    pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let hint = if error.kind() == ErrorKind::NotFound {
            "check the path: there is no such file"
        } else if error.kind() == ErrorKind::InvalidData {
            "the file is not the text it should be"
        } else {
            "check that the path is a file that you may read"
        };
        Self::bad_input(format!("{}: cannot be read: {}", path.display(), cause(error)), hint)
    }

    /// A file or folder that cannot be written.
    pub(crate) fn unwritable(path: &Path, error: &std::io::Error) -> Self {
        let message = format!("{}: cannot be written: {}", path.display(), cause(error));
        Self::unexpected(message).hint("check that the folder is yours to write and that the disk has room")
    }
}

/// The text on one line, with nothing in it that a terminal would obey.
fn one_line(text: &impl Display) -> String {
    let words = text.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    words.chars().map(shown).collect()
}

/// What the operating system said, without the path that `fs_err` adds to it.
fn cause(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(std::error::Error::source);
    inner.map_or_else(|| error.to_string(), ToString::to_string)
}
