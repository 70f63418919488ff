//! The store and its studies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use serde_json::Value;

use super::{FORMAT_KEY, FORMAT_VERSION, StoreError, StoreErrorKind, StoreLock, open, read};
use crate::{Direction, Param};

/// Key of a study in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StudyId(pub i64);

/// A study as its store holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredStudy {
    /// Key in the store.
    pub id: StudyId,
    /// Unique in the store.
    pub name: String,
    /// One per objective.
    pub directions: Vec<Direction>,
    /// What the search notes about itself: configuration, versions, host.
    pub user_attrs: BTreeMap<String, Value>,
}

/// A trial to add.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewTrial {
    /// The question the sampler answered.
    pub proposal: u64,
    /// Its answer.
    pub params: Vec<Param>,
    /// Notes.
    pub user_attrs: BTreeMap<String, Value>,
}

/// A trial that had died and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requeued {
    /// The question it answers.
    pub proposal: u64,
    /// Number of the dead trial, now failed.
    pub failed: u64,
    /// Number of the waiting trial that repeats it; none when it was repeated too often already.
    pub waiting: Option<u64>,
}

/// One file of studies. Shared by threads through `&Store`; calls take turns.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Store {
    /// Opens a file that is there.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::wrap(path.as_ref(), open::existing(path.as_ref()))
    }

    /// Opens a file, or creates it with no study in it.
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::wrap(path.as_ref(), open::or_create(path.as_ref()))
    }

    /// A store without a file, for tests and dry runs.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::wrap(Path::new(":memory:"), open::in_memory())
    }

    fn wrap(path: &Path, connection: Result<Connection, StoreErrorKind>) -> Result<Self, StoreError> {
        match connection {
            Ok(connection) => Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) }),
            Err(kind) => Err(StoreError { path: path.to_owned(), kind }),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Claims the file for one search on this machine; while held, every trial that others left running is dead. An empty
    /// file of the same name with `.lock` after it stays behind.
    pub fn lock(&self) -> Result<StoreLock, StoreError> {
        StoreLock::take(&self.path)
    }

    /// Names of the studies, in the order they were created.
    pub fn study_names(&self) -> Result<Vec<String>, StoreError> {
        self.read(|c| study_names(c))
    }

    /// Creates a study, or loads the one of that name if it has the same objectives. Attributes of one that is there
    /// are left as they are.
    pub fn create_or_load_study(
        &self,
        name: &str,
        directions: &[Direction],
        user_attrs: &BTreeMap<String, Value>,
    ) -> Result<StoredStudy, StoreError> {
        self.write(|t| {
            if study_id(t, name)?.is_none() {
                insert_study(t, name, directions, user_attrs)?;
            }
            let study = load_study(t, name)?;
            if study.directions == directions {
                return Ok(study);
            }
            let study_name = study.name;
            Err(StoreErrorKind::Directions { study: study_name, stored: study.directions, wanted: directions.to_vec() })
        })
    }

    /// Loads a study that Striae wrote.
    pub fn load_study(&self, name: &str) -> Result<StoredStudy, StoreError> {
        self.read(|c| load_study(c, name))
    }

    /// Loads the only study of the file, which is what `striae search` writes.
    pub fn load_only_study(&self) -> Result<StoredStudy, StoreError> {
        self.read(|c| match study_names(c)?.as_slice() {
            [name] => load_study(c, name),
            known => Err(StoreErrorKind::UnknownStudy { name: "(not given)".to_owned(), known: known.to_vec() }),
        })
    }

    /// Sets a user attribute of a study.
    pub fn set_study_attr(&self, study: StudyId, key: &str, value: &Value) -> Result<(), StoreError> {
        self.write(|t| Ok(set_study_attr(t, study, key, value)?))
    }

    /// Runs `f` on one consistent state of the file.
    pub(super) fn read<T>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, StoreErrorKind>,
    ) -> Result<T, StoreError> {
        self.transact(TransactionBehavior::Deferred, f)
    }

    /// Runs `f` with the write lock; all of it happens or none.
    pub(super) fn write<T>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, StoreErrorKind>,
    ) -> Result<T, StoreError> {
        self.transact(TransactionBehavior::Immediate, f)
    }

    fn transact<T>(
        &self,
        behavior: TransactionBehavior,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, StoreErrorKind>,
    ) -> Result<T, StoreError> {
        // A thread that panicked held a transaction, which its drop rolled back: the connection is sound.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let run = || {
            let transaction = connection.transaction_with_behavior(behavior)?;
            let result = f(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|kind| StoreError { path: self.path.clone(), kind })
    }
}

pub(super) fn directions_of(connection: &Connection, study: StudyId) -> Result<Vec<Direction>, StoreErrorKind> {
    let mut query = connection
        .prepare_cached("SELECT objective, direction FROM study_directions WHERE study_id = ?1 ORDER BY objective")?;
    let rows = query.query_map([study.0], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (objective, direction) = row?;
        match direction.as_str() {
            "MINIMIZE" => Ok(Direction::Minimize),
            "MAXIMIZE" => Ok(Direction::Maximize),
            _ => Err(StoreErrorKind::Field {
                field: format!("study_directions.direction of objective {objective}"),
                found: direction,
                why: "is neither MINIMIZE nor MAXIMIZE".to_owned(),
            }),
        }
    })
    .collect()
}

fn study_names(connection: &Connection) -> Result<Vec<String>, StoreErrorKind> {
    let mut query = connection.prepare_cached("SELECT study_name FROM studies ORDER BY study_id")?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

fn study_id(connection: &Connection, name: &str) -> Result<Option<StudyId>, StoreErrorKind> {
    let mut query = connection.prepare_cached("SELECT study_id FROM studies WHERE study_name = ?1")?;
    Ok(query.query_row([name], |row| row.get(0).map(StudyId)).optional()?)
}

fn insert_study(
    t: &Transaction<'_>,
    name: &str,
    directions: &[Direction],
    user_attrs: &BTreeMap<String, Value>,
) -> Result<(), StoreErrorKind> {
    t.execute("INSERT INTO studies (study_name) VALUES (?1)", [name])?;
    let study = StudyId(t.last_insert_rowid());
    for (objective, direction) in directions.iter().enumerate() {
        let word = match direction {
            Direction::Minimize => "MINIMIZE",
            Direction::Maximize => "MAXIMIZE",
        };
        let sql = "INSERT INTO study_directions (direction, study_id, objective) VALUES (?1, ?2, ?3)";
        t.execute(sql, (word, study.0, objective as i64))?;
    }
    for (key, value) in user_attrs {
        set_study_attr(t, study, key, value)?;
    }
    Ok(set_study_attr(t, study, FORMAT_KEY, &FORMAT_VERSION.into())?)
}

fn set_study_attr(t: &Transaction<'_>, study: StudyId, key: &str, value: &Value) -> Result<(), rusqlite::Error> {
    let sql = "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (?1, ?2, ?3)
               ON CONFLICT (study_id, key) DO UPDATE SET value_json = excluded.value_json";
    t.prepare_cached(sql)?.execute((study.0, key, value.to_string())).map(drop)
}

fn load_study(connection: &Connection, name: &str) -> Result<StoredStudy, StoreErrorKind> {
    let Some(id) = study_id(connection, name)? else {
        return Err(StoreErrorKind::UnknownStudy { name: name.to_owned(), known: study_names(connection)? });
    };
    let mut query =
        connection.prepare_cached("SELECT key, value_json FROM study_user_attributes WHERE study_id = ?1")?;
    let mut user_attrs = BTreeMap::new();
    for row in query.query_map([id.0], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))? {
        let (key, json) = row?;
        let value = read::json(&json, || format!("study {name}: user attribute {key}"))?;
        user_attrs.insert(key, value);
    }
    check_format(name, &user_attrs)?;
    Ok(StoredStudy { id, name: name.to_owned(), directions: directions_of(connection, id)?, user_attrs })
}

fn check_format(study: &str, user_attrs: &BTreeMap<String, Value>) -> Result<(), StoreErrorKind> {
    let Some(format) = user_attrs.get(FORMAT_KEY) else {
        return Err(StoreErrorKind::NotStriae { study: study.to_owned() });
    };
    match format.as_u64() {
        Some(1..=FORMAT_VERSION) => Ok(()),
        Some(found) if found > FORMAT_VERSION => {
            Err(StoreErrorKind::NewerFormat { study: study.to_owned(), found, known: FORMAT_VERSION })
        }
        _ => Err(StoreErrorKind::Field {
            field: format!("study {study}: user attribute {FORMAT_KEY}"),
            found: format.to_string(),
            why: "is not a version number".to_owned(),
        }),
    }
}
