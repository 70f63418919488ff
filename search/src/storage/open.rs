//! Opening and creating the file, and refusing what is not a study.

use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::StoreErrorKind;

const SCHEMA: &str = include_str!("schema.sql");
/// `version_info.schema_version` of every Optuna since 0.9.
const SCHEMA_VERSION: i64 = 12;
/// The Optuna release whose schema this is; Optuna only shows it.
const LIBRARY_VERSION: &str = "4.9.0";
/// The newest migration of Optuna 4 (and 5).
const MIGRATION: &str = "v3.2.0.a";
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Longer than any transaction of ours takes, also on a slow disk.
const BUSY: Duration = Duration::from_mins(1);
const TABLES: [&str; 13] = [
    "studies",
    "study_directions",
    "study_user_attributes",
    "study_system_attributes",
    "trials",
    "trial_user_attributes",
    "trial_system_attributes",
    "trial_params",
    "trial_values",
    "trial_intermediate_values",
    "trial_heartbeats",
    "version_info",
    "alembic_version",
];

/// Opens a file that is there and holds studies.
pub(super) fn existing(path: &Path) -> Result<Connection, StoreErrorKind> {
    // SQLite would create a missing file, and its own message for a foreign one names nothing.
    if !header_is_sqlite(path)? {
        return Err(StoreErrorKind::NotSqlite);
    }
    let connection = Connection::open(path)?;
    check(&connection)?;
    configure(&connection)?;
    Ok(connection)
}

/// Opens a file, creating it when it is missing or empty (as a kill during creation leaves it).
pub(super) fn or_create(path: &Path) -> Result<Connection, StoreErrorKind> {
    let missing = match std::fs::metadata(path) {
        Ok(meta) => meta.is_file() && meta.len() == 0,
        Err(e) if e.kind() == ErrorKind::NotFound => true,
        Err(e) => return Err(e.into()),
    };
    if !missing {
        return match existing(path) {
            // A kill between SQLite's first page and our tables leaves a file without any table.
            Err(StoreErrorKind::NotAStudy { .. }) if is_blank(path)? => create(Connection::open(path)?),
            other => other,
        };
    }
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty() && !p.is_dir()) {
        let why = format!("folder {} does not exist", folder.display());
        return Err(std::io::Error::new(ErrorKind::NotFound, why).into());
    }
    create(Connection::open(path)?)
}

/// A store that lives as long as the process.
pub(super) fn in_memory() -> Result<Connection, StoreErrorKind> {
    create(Connection::open_in_memory()?)
}

fn header_is_sqlite(path: &Path) -> Result<bool, StoreErrorKind> {
    let mut header = Vec::with_capacity(MAGIC.len());
    std::fs::File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut header)?;
    Ok(header == MAGIC)
}

fn is_blank(path: &Path) -> Result<bool, StoreErrorKind> {
    let tables: i64 = Connection::open(path)?.query_row("SELECT COUNT(*) FROM sqlite_master", [], |row| row.get(0))?;
    Ok(tables == 0)
}

fn create(mut connection: Connection) -> Result<Connection, StoreErrorKind> {
    configure(&connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables: i64 = transaction.query_row("SELECT COUNT(*) FROM sqlite_master", [], |row| row.get(0))?;
    // Another process may have created them between our look and our lock.
    if tables == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.execute("INSERT INTO version_info VALUES (1, ?1, ?2)", (SCHEMA_VERSION, LIBRARY_VERSION))?;
        transaction.execute("INSERT INTO alembic_version VALUES (?1)", [MIGRATION])?;
    }
    transaction.commit()?;
    check(&connection)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> Result<(), StoreErrorKind> {
    connection.busy_timeout(BUSY)?;
    // FULL: a finished trial survives a power cut, too; trials are seconds apart, a sync costs milliseconds.
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
    Ok(())
}

fn check(connection: &Connection) -> Result<(), StoreErrorKind> {
    let mut find = connection.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1")?;
    for table in TABLES {
        if !find.exists([table])? {
            return Err(StoreErrorKind::NotAStudy { table });
        }
    }
    let schema: Option<Option<i64>> =
        connection.query_row("SELECT schema_version FROM version_info", [], |row| row.get(0)).optional()?;
    let shown = schema.flatten().map_or("missing".to_owned(), |v| v.to_string());
    expect("version_info.schema_version", shown, &SCHEMA_VERSION.to_string())?;
    let migration: Option<String> =
        connection.query_row("SELECT version_num FROM alembic_version", [], |row| row.get(0)).optional()?;
    expect("alembic_version.version_num", migration.unwrap_or("missing".to_owned()), MIGRATION)
}

fn expect(field: &'static str, found: String, expected: &str) -> Result<(), StoreErrorKind> {
    if found == expected {
        return Ok(());
    }
    Err(StoreErrorKind::Schema { field, found, expected: expected.to_owned() })
}
