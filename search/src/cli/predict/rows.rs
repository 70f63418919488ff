//! The rows of a report on disk: one line of JSON for each network, written when it is measured.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::super::failure::Failure;
use super::{NetworkRow, Subject};

/// Rows that are there, and where further ones go.
pub(super) struct Rows {
    path: PathBuf,
    calibration: String,
    found: Vec<NetworkRow>,
}

impl Rows {
    /// Those in a file, if there is one. A line cut short by a crash is dropped; its network is measured again.
    pub(super) fn open(path: &Path, calibration: &str) -> Result<Self, Failure> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(Failure::unreadable(path, &e)),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut found = Vec::new();
        for (i, line) in whole.lines().enumerate() {
            let row = serde_json::from_str(line).map_err(|e| {
                let message = format!("{}: line {}: {e}", path.display(), i + 1);
                Failure::bad_input(message, "give --out a folder of `striae predict`, or a new one")
            })?;
            found.push(row);
        }
        Ok(Self { path: path.to_owned(), calibration: calibration.to_owned(), found })
    }

    /// The row of a network, if it was predicted by this calibration.
    fn row(&self, subject: &Subject) -> Option<&NetworkRow> {
        self.found.iter().find(|row| row.subject == *subject && row.calibration == self.calibration)
    }

    pub(super) fn has(&self, subject: &Subject) -> bool {
        self.row(subject).is_some()
    }

    /// Adds a row and writes it.
    pub(super) fn push(&mut self, mut row: NetworkRow) -> Result<(), Failure> {
        row.calibration.clone_from(&self.calibration);
        let failed = |e: std::io::Error| Failure::unwritable(&self.path, &e);
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        self.found.push(row);
        // Written whole each time: what a crash cut short goes, and so do rows of another calibration.
        let current = self.found.iter().filter(|row| row.calibration == self.calibration);
        let lines = current.map(serde_json::to_string).collect::<Result<Vec<_>, _>>().map_err(Failure::unexpected)?;
        let partial = self.path.with_extension("partial");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&partial).map_err(failed)?;
        file.write_all((lines.join("\n") + "\n").as_bytes()).map_err(failed)?;
        std::fs::rename(&partial, &self.path).map_err(failed)
    }

    /// Those of these networks, in their order.
    pub(super) fn of(&self, subjects: &[Subject]) -> Vec<NetworkRow> {
        subjects.iter().filter_map(|subject| self.row(subject).cloned()).collect()
    }
}
