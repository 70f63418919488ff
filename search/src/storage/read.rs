//! Reading trials. A handful of queries per call, whatever the number of trials.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rusqlite::{Connection, Row, ToSql};
use serde_json::Value;

use super::store::{Store, StudyId};
use super::{PROPOSAL_KEY, StoreError, StoreErrorKind};
use crate::{Param, Trial, TrialId, TrialState};

impl Store {
    /// All trials of a study, by number.
    pub fn trials(&self, study: StudyId) -> Result<Vec<Trial>, StoreError> {
        self.read(|t| trials(t, study))
    }

    /// One trial.
    pub fn trial(&self, id: TrialId) -> Result<Trial, StoreError> {
        self.read(|t| trial(t, id))
    }
}

pub(super) fn trials(connection: &Connection, study: StudyId) -> Result<Vec<Trial>, StoreErrorKind> {
    select(connection, "study_id", study.0)
}

pub(super) fn trial(connection: &Connection, id: TrialId) -> Result<Trial, StoreErrorKind> {
    select(connection, "trial_id", id.0)?.pop().ok_or(StoreErrorKind::UnknownTrial(id))
}

/// Trials whose `column` is `key`.
fn select(connection: &Connection, column: &'static str, key: i64) -> Result<Vec<Trial>, StoreErrorKind> {
    let mut trials = bare(connection, column, key)?;
    let index: BTreeMap<TrialId, usize> = trials.iter().enumerate().map(|(i, trial)| (trial.id, i)).collect();
    // Calls `put` for each row of `table` that belongs to one of the trials, in the order of its key.
    let mut each =
        |table: &str, columns: &str, put: &mut dyn FnMut(&mut Trial, &Row<'_>) -> Result<(), StoreErrorKind>| {
            let sql = format!(
                "SELECT t.trial_id, {columns} FROM {table} x JOIN trials t ON t.trial_id = x.trial_id
             WHERE t.{column} = ?1 ORDER BY x.rowid"
            );
            let mut query = connection.prepare_cached(&sql)?;
            let mut rows = query.query([key])?;
            while let Some(row) = rows.next()? {
                put(&mut trials[index[&TrialId(row.get(0)?)]], row)?;
            }
            Ok::<(), StoreErrorKind>(())
        };
    each("trial_params", "param_name, param_value, distribution_json", &mut |trial, row| {
        trial.params.push(param(trial.number, &row.get::<_, String>(1)?, row.get(2)?, &row.get::<_, String>(3)?)?);
        Ok(())
    })?;
    each("trial_values", "objective, value, value_type", &mut |trial, row| {
        let value = number(trial.number, "trial_values.value_type", row.get(2)?, &row.get::<_, String>(3)?)?;
        put_objective(trial, row.get(1)?, value)
    })?;
    each("trial_intermediate_values", "step, intermediate_value, intermediate_value_type", &mut |trial, row| {
        let field = "trial_intermediate_values.intermediate_value_type";
        let value = number(trial.number, field, row.get(2)?, &row.get::<_, String>(3)?)?;
        trial.intermediate.insert(row.get(1)?, value);
        Ok(())
    })?;
    each("trial_user_attributes", "key, value_json", &mut |trial, row| {
        let (key, value) = attr(trial.number, "user attribute", row)?;
        trial.user_attrs.insert(key, value);
        Ok(())
    })?;
    each("trial_system_attributes", "key, value_json", &mut |trial, row| {
        let (key, value) = attr(trial.number, "system attribute", row)?;
        trial.system_attrs.insert(key, value);
        Ok(())
    })?;
    for trial in &mut trials {
        let proposal = trial.system_attrs.get(PROPOSAL_KEY).and_then(Value::as_u64);
        trial.proposal = proposal.unwrap_or(trial.number);
    }
    Ok(trials)
}

fn bare(connection: &Connection, column: &str, key: impl ToSql) -> Result<Vec<Trial>, StoreErrorKind> {
    let sql = format!(
        "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials WHERE {column} = ?1 ORDER BY number"
    );
    let mut query = connection.prepare_cached(&sql)?;
    let mut rows = query.query([key])?;
    let mut trials = Vec::new();
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(1)?;
        trials.push(Trial {
            id: TrialId(row.get(0)?),
            number: number as u64,
            proposal: 0,
            state: state(&row.get::<_, String>(2)?, number)?,
            params: Vec::new(),
            values: Vec::new(),
            intermediate: BTreeMap::new(),
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
            started: time(number, "datetime_start", row.get(3)?)?,
            finished: time(number, "datetime_complete", row.get(4)?)?,
        });
    }
    Ok(trials)
}

fn put_objective(trial: &mut Trial, objective: i64, value: f64) -> Result<(), StoreErrorKind> {
    // Optuna writes objectives in order; anything else is not its work.
    if usize::try_from(objective) == Ok(trial.values.len()) {
        trial.values.push(value);
        return Ok(());
    }
    let why = format!("does not follow the trial's {} values before it", trial.values.len());
    Err(field(trial.number, "trial_values.objective", objective.to_string(), why))
}

fn param(trial: u64, name: &str, value: f64, distribution: &str) -> Result<Param, StoreErrorKind> {
    let place = format!("parameter {name}");
    let parsed = json(distribution, || format!("trial {trial}: {place}"))?;
    let kind = parsed["name"].as_str().unwrap_or("nothing");
    if kind != "CategoricalDistribution" {
        let why = "is not a CategoricalDistribution, the only kind that Striae searches";
        return Err(field(trial, &place, kind.to_owned(), why.to_owned()));
    }
    let choices = parsed["attributes"]["choices"].as_array().cloned().unwrap_or_default();
    let count = choices.len();
    let whole = value.fract() == 0.0 && value >= 0.0;
    let param = if whole { Param::new(name, choices, value as usize).ok() } else { None };
    param.ok_or_else(|| field(trial, &place, value.to_string(), format!("is not the index of one of {count} choices")))
}

fn number(trial: u64, place: &str, value: Option<f64>, kind: &str) -> Result<f64, StoreErrorKind> {
    match (kind, value) {
        ("FINITE", Some(value)) => Ok(value),
        ("INF_POS", None) => Ok(f64::INFINITY),
        ("INF_NEG", None) => Ok(f64::NEG_INFINITY),
        ("NAN", None) => Ok(f64::NAN),
        (_, value) => Err(field(trial, place, kind.to_owned(), format!("does not go with the value {value:?}"))),
    }
}

fn attr(trial: u64, kind: &str, row: &Row<'_>) -> Result<(String, Value), StoreErrorKind> {
    let key: String = row.get(1)?;
    let value = json(&row.get::<_, String>(2)?, || format!("trial {trial}: {kind} {key}"))?;
    Ok((key, value))
}

fn time(trial: i64, column: &str, text: Option<String>) -> Result<Option<Timestamp>, StoreErrorKind> {
    let Some(text) = text else { return Ok(None) };
    let parsed = text.parse::<DateTime>().and_then(|time| TimeZone::UTC.to_timestamp(time));
    parsed.map(Some).map_err(|_| field(trial as u64, &format!("trials.{column}"), text, "is not a time".to_owned()))
}

fn field(trial: u64, place: &str, found: String, why: String) -> StoreErrorKind {
    StoreErrorKind::Field { field: format!("trial {trial}: {place}"), found, why }
}

pub(super) fn json(text: &str, place: impl Fn() -> String) -> Result<Value, StoreErrorKind> {
    serde_json::from_str(text).map_err(|e| StoreErrorKind::Field {
        field: place(),
        found: text.chars().take(40).collect(),
        why: format!("is not JSON: {e}"),
    })
}

pub(super) const fn state_word(state: TrialState) -> &'static str {
    match state {
        TrialState::Running => "RUNNING",
        TrialState::Waiting => "WAITING",
        TrialState::Complete => "COMPLETE",
        TrialState::Pruned => "PRUNED",
        TrialState::Fail => "FAIL",
    }
}

pub(super) fn state(word: &str, trial: i64) -> Result<TrialState, StoreErrorKind> {
    let all = [TrialState::Running, TrialState::Waiting, TrialState::Complete, TrialState::Pruned, TrialState::Fail];
    all.into_iter().find(|&state| state_word(state) == word).ok_or_else(|| {
        field(trial as u64, "trials.state", word.to_owned(), "is not a state that Optuna 4 knows".to_owned())
    })
}
