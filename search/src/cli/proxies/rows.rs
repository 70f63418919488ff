//! The rows of a measurement on disk: one line of JSON for each network, added when it is measured.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use striae_reports::export;
use striae_search::proxies::{Fidelity, ProxyRow};
use striae_spaces::TypedGraph;

use super::super::failure::Failure;

const ROWS: &str = "networks.jsonl";
const FIDELITY: &str = "fidelity.json";

/// Rows that are there, and where further ones go.
pub(super) struct Rows {
    path: PathBuf,
    found: Vec<ProxyRow>,
}

impl Rows {
    /// Those of a folder, which must be of the same fidelity, or none in a new one. A line cut short by a crash is dropped;
    /// its network is measured again.
    pub(super) fn open(folder: &Path, fidelity: &Fidelity) -> Result<Self, Failure> {
        const HINT: &str = "give --out a folder of `striae proxies` with the same settings, or a new one";
        let (path, settings) = (folder.join(ROWS), folder.join(FIDELITY));
        if !path.exists() {
            std::fs::create_dir_all(folder).map_err(|e| Failure::unwritable(folder, &e))?;
            let text = serde_json::to_string_pretty(fidelity).map_err(Failure::unexpected)? + "\n";
            export::write(&settings, text.as_bytes())?;
            return Ok(Self { path, found: Vec::new() });
        }
        let read = |path: &Path| std::fs::read_to_string(path).map_err(|e| Failure::unreadable(path, &e));
        let of_folder: Fidelity = serde_json::from_str(&read(&settings)?)
            .map_err(|e| Failure::bad_input(format!("{}: {e}", settings.display()), HINT))?;
        if of_folder != *fidelity {
            let message = format!("{}: the measurement was begun with other settings", settings.display());
            return Err(Failure::bad_input(message, HINT));
        }
        let text = read(&path)?;
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut found = Vec::new();
        for (i, line) in whole.lines().enumerate() {
            let message = |e| format!("{}: line {}: {e}", path.display(), i + 1);
            found.push(serde_json::from_str(line).map_err(|e| Failure::bad_input(message(e), HINT))?);
        }
        if whole.len() < text.len() {
            export::write(&path, whole.as_bytes())?;
        }
        Ok(Self { path, found })
    }

    pub(super) fn has(&self, network: &TypedGraph) -> bool {
        let id = network.arch_id().to_string();
        self.found.iter().any(|row| row.arch_id == id)
    }

    /// Adds a row and writes it.
    pub(super) fn push(&mut self, row: ProxyRow) -> Result<(), Failure> {
        let failed = |e: std::io::Error| Failure::unwritable(&self.path, &e);
        let line = serde_json::to_string(&row).map_err(Failure::unexpected)? + "\n";
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path).map_err(failed)?;
        file.write_all(line.as_bytes()).map_err(failed)?;
        self.found.push(row);
        Ok(())
    }

    /// Those of these networks, in their order.
    pub(super) fn of(&self, networks: &[TypedGraph]) -> Vec<ProxyRow> {
        let row = |network: &TypedGraph| {
            let id = network.arch_id().to_string();
            self.found.iter().find(|row| row.arch_id == id).cloned()
        };
        networks.iter().filter_map(row).collect()
    }
}
