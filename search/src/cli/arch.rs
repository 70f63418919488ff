//! `ARCH` on the command line: a zoo name, the notation, a file, or an exported bundle.

use std::path::{Path, PathBuf};

use striae_spaces::{TypedGraph, zoo};

use super::failure::Failure;

/// Name of the architecture's file in a bundle.
pub(crate) const BUNDLE_FILE: &str = "architecture.json";
/// Larger files are not networks: the largest of the zoo takes 20 kB.
const MAX_BYTES: u64 = 16 << 20;

/// A network and what to call it.
#[derive(Clone, Debug)]
pub(crate) struct Arch {
    /// Zoo name, file name, or architecture id.
    pub(crate) label: String,
    /// The network.
    pub(crate) graph: TypedGraph,
}

impl Arch {
    /// Reads `text`. A name of the zoo wins over a file of that name; what has a colon and no file is notation.
    pub(crate) fn resolve(text: &str) -> Result<Self, Failure> {
        if zoo::names().contains(&text) {
            return Ok(Self { label: text.to_owned(), graph: zoo::build(text)? });
        }
        let path = Path::new(text);
        if path.is_dir() {
            return Self::from_file(&path.join(BUNDLE_FILE), label_of(path));
        }
        let names_a_file = path.extension().is_some_and(|e| e == "json" || e == "txt");
        if path.is_file() || (names_a_file && !text.contains('(')) {
            return Self::from_file(path, label_of(path));
        }
        if text.contains(':') || text.contains('(') {
            let graph: TypedGraph = text.parse()?;
            return Ok(Self { label: graph.arch_id().to_string(), graph });
        }
        match zoo::build(text) {
            Ok(graph) => Ok(Self { label: text.to_owned(), graph }),
            Err(e) => Err(e.into()),
        }
    }

    /// Reads a file: JSON if it is named so or begins like it, else the notation.
    fn from_file(path: &Path, label: String) -> Result<Self, Failure> {
        let text = read_text(path)?;
        let json = path.extension().is_some_and(|e| e == "json") || text.trim_start().starts_with('{');
        let graph = if json {
            TypedGraph::from_json(&text).map_err(Failure::from)
        } else {
            text.trim().parse().map_err(|e: striae_spaces::NotationError| e.into())
        };
        Ok(Self { label, graph: graph.map_err(|e: Failure| e.in_file(path))? })
    }
}

/// A text file of a reasonable size.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::metadata(path).map_err(|e| Failure::unreadable(path, &e))?.len();
    if bytes > MAX_BYTES {
        let message = format!("{}: has {bytes} bytes, at most {MAX_BYTES} are read", path.display());
        return Err(Failure::bad_input(message, "give a file of JSON, TOML or notation"));
    }
    std::fs::read_to_string(path).map_err(|e| Failure::unreadable(path, &e))
}

fn label_of(path: &Path) -> String {
    let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
    stem.map_or_else(|| path.display().to_string(), |s| s.to_string_lossy().into_owned())
}

/// A path that must not be there yet, for commands that write a folder.
pub(crate) fn must_be_new(path: PathBuf) -> Result<PathBuf, Failure> {
    if path.exists() {
        let message = format!("{}: exists already", path.display());
        return Err(Failure::bad_input(message, "give --out a name that does not exist yet"));
    }
    Ok(path)
}
