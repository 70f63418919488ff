//! Finding files, plain or gzip-compressed.

use std::{
    fmt::Display,
    io::Read,
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;

use crate::DataError;

/// The first of `<folder>/<name>/<file>` and `<folder>/<file>` that exists.
pub(super) fn find(folder: &Path, name: &str, file: &str) -> Option<PathBuf> {
    folders(folder, name).into_iter().map(|f| f.join(file)).find(|p| p.exists())
}

pub(super) fn folders(folder: &Path, name: &str) -> [PathBuf; 2] {
    [folder.join(name), folder.to_owned()]
}

/// Opens `file`, or `file` with `.gz` added, in either folder.
pub(super) fn open(folder: &Path, name: &str, file: &'static str) -> Result<(PathBuf, Box<dyn Read>), DataError> {
    let compressed = find(folder, name, &format!("{file}.gz"));
    let path = compressed.clone().or_else(|| find(folder, name, file));
    let path = path.ok_or_else(|| DataError::NotFound { file, folders: folders(folder, name) })?;
    let open = fs_err::File::open(&path).map_err(|source| io(&path, source))?;
    let reader: Box<dyn Read> = match compressed {
        Some(_) => Box::new(MultiGzDecoder::new(std::io::BufReader::new(open))),
        None => Box::new(std::io::BufReader::new(open)),
    };
    Ok((path, reader))
}

pub(super) fn io(path: &Path, source: std::io::Error) -> DataError {
    // fs_err repeats the path; the cause alone is what the message needs.
    let source = match source.get_ref().and_then(std::error::Error::source) {
        Some(cause) => std::io::Error::new(source.kind(), cause.to_string()),
        None => source,
    };
    DataError::Io { path: path.to_owned(), source }
}

pub(super) fn field(path: &Path, field: &str, got: impl Display, expected: impl Display) -> DataError {
    let (got, expected) = (format!("{got}"), format!("{expected}"));
    DataError::Field { path: path.to_owned(), field: field.to_owned(), got, expected }
}

/// Checks labels against the ten classes that all data sets here have.
pub(super) fn check_labels(path: &Path, labels: &[u8]) -> Result<(), DataError> {
    match labels.iter().position(|&l| l > 9) {
        Some(i) => Err(field(path, &format!("label {i}"), labels[i], "0 to 9")),
        None => Ok(()),
    }
}
