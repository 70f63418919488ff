//! Adding, changing and finishing trials.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction};
use serde_json::{Value, json};

use super::store::{NewTrial, Requeued, Store, StudyId, directions_of};
use super::{
    CONSTRAINTS_KEY, FAILED_TRIAL_KEY, PROPOSAL_KEY, REASON_KEY, RETRY_HISTORY_KEY, StoreError, StoreErrorKind, read,
};
use crate::{Outcome, Param, Trial, TrialId, TrialState};

const USER: &str = "trial_user_attributes";
const SYSTEM: &str = "trial_system_attributes";

impl Store {
    /// Adds a trial that starts to run now.
    pub fn add_trial(&self, study: StudyId, new: &NewTrial) -> Result<Trial, StoreError> {
        self.write(|t| {
            let id = insert_trial(t, study, new, TrialState::Running)?;
            read::trial(t, id)
        })
    }

    /// Adds a trial for someone to claim.
    pub fn enqueue_trial(&self, study: StudyId, new: &NewTrial) -> Result<Trial, StoreError> {
        self.write(|t| {
            let id = insert_trial(t, study, new, TrialState::Waiting)?;
            read::trial(t, id)
        })
    }

    /// Takes the waiting trial with the lowest proposal, which starts to run now.
    pub fn claim_waiting(&self, study: StudyId) -> Result<Option<Trial>, StoreError> {
        self.write(|t| {
            // A trial that Optuna queued has no proposal of ours: its number stands for one.
            let sql = "SELECT t.trial_id FROM trials t
                       LEFT JOIN trial_system_attributes p ON p.trial_id = t.trial_id AND p.key = ?2
                       WHERE t.study_id = ?1 AND t.state = 'WAITING'
                       ORDER BY COALESCE(CAST(p.value_json AS INTEGER), t.number), t.number LIMIT 1";
            let mut query = t.prepare_cached(sql)?;
            let waiting = query.query_row((study.0, PROPOSAL_KEY), |row| row.get(0).map(TrialId)).optional()?;
            let Some(id) = waiting else { return Ok(None) };
            let sql = "UPDATE trials SET state = 'RUNNING', datetime_start = ?1 WHERE trial_id = ?2";
            t.execute(sql, (stamp(Timestamp::now()), id.0))?;
            beat(t, id)?;
            read::trial(t, id).map(Some)
        })
    }

    /// Notes a value on the way; a second value for a step replaces the first.
    pub fn report(&self, trial: TrialId, step: i64, value: f64) -> Result<(), StoreError> {
        self.write(|t| {
            running(t, trial)?;
            let (stored, kind) = if value.is_nan() { (None, "NAN") } else { stored_value(value) };
            let sql = "INSERT INTO trial_intermediate_values
                           (trial_id, step, intermediate_value, intermediate_value_type) VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT (trial_id, step) DO UPDATE SET intermediate_value = excluded.intermediate_value,
                           intermediate_value_type = excluded.intermediate_value_type";
            t.execute(sql, (trial.0, step, stored, kind))?;
            Ok(())
        })
    }

    /// Sets a user attribute of a trial, finished or not: verification adds to finished trials.
    pub fn set_trial_attr(&self, trial: TrialId, key: &str, value: &Value) -> Result<(), StoreError> {
        self.write(|t| {
            find(t, trial)?;
            Ok(set_attr(t, USER, trial, key, value)?)
        })
    }

    /// Sets the constraint values of a running trial, each positive where it is broken, under the key that Optuna's
    /// samplers and dashboard read.
    pub fn set_constraints(&self, trial: TrialId, values: &[f64]) -> Result<(), StoreError> {
        self.write(|t| {
            running(t, trial)?;
            Ok(set_attr(t, SYSTEM, trial, CONSTRAINTS_KEY, &json!(values))?)
        })
    }

    /// Tells other processes that a running trial is alive.
    pub fn heartbeat(&self, trial: TrialId) -> Result<(), StoreError> {
        self.write(|t| {
            running(t, trial)?;
            Ok(beat(t, trial)?)
        })
    }

    /// Ends a running trial and returns its state, which is `Fail` where a value is NaN.
    pub fn finish(&self, trial: TrialId, outcome: &Outcome) -> Result<TrialState, StoreError> {
        self.write(|t| {
            let (number, study) = running(t, trial)?;
            let (state, reason) = match outcome {
                Outcome::Complete(values) => complete(t, trial, number, study, values)?,
                Outcome::Pruned { reason } => (TrialState::Pruned, Some(reason.clone())),
                Outcome::Failed { error } => (TrialState::Fail, Some(error.clone())),
            };
            if let Some(reason) = reason {
                set_attr(t, USER, trial, REASON_KEY, &json!(reason))?;
            }
            set_finished(t, trial, state)?;
            Ok(state)
        })
    }

    /// Marks running trials failed whose last heartbeat is at least `grace` old, and queues each again with the same
    /// parameters and proposal, unless it is the `max_retries`-th repetition already: a trial that kills its process
    /// must not do so for ever. A search that holds [`Store::lock`] passes a `grace` of 0.
    pub fn requeue_stale(
        &self,
        study: StudyId,
        grace: Duration,
        max_retries: usize,
    ) -> Result<Vec<Requeued>, StoreError> {
        self.write(|t| {
            let sql = "SELECT trials.trial_id FROM trials LEFT JOIN trial_heartbeats USING (trial_id)
                       WHERE study_id = ?1 AND state = 'RUNNING'
                       AND (heartbeat IS NULL OR strftime('%s', 'now') - strftime('%s', heartbeat) >= ?2)
                       ORDER BY number";
            let mut query = t.prepare_cached(sql)?;
            let stale = query.query_map((study.0, grace.as_secs() as i64), |row| row.get(0).map(TrialId))?;
            let stale: Vec<TrialId> = stale.collect::<Result<_, _>>()?;
            stale.into_iter().map(|id| requeue(t, study, id, max_retries)).collect()
        })
    }
}

/// Stores the values, or says why the trial fails.
fn complete(
    t: &Transaction<'_>,
    trial: TrialId,
    number: u64,
    study: StudyId,
    values: &[f64],
) -> Result<(TrialState, Option<String>), StoreErrorKind> {
    if let Some(objective) = values.iter().position(|v| v.is_nan()) {
        return Ok((TrialState::Fail, Some(format!("objective {objective} is NaN"))));
    }
    insert_values(t, trial, number, values, directions_of(t, study)?.len())?;
    Ok((TrialState::Complete, None))
}

fn requeue(t: &Transaction<'_>, study: StudyId, id: TrialId, max_retries: usize) -> Result<Requeued, StoreErrorKind> {
    let dead = read::trial(t, id)?;
    set_attr(t, USER, id, REASON_KEY, &json!("its process ended"))?;
    set_finished(t, id, TrialState::Fail)?;
    let mut history = dead.retries();
    if history.len() >= max_retries {
        return Ok(Requeued { proposal: dead.proposal, failed: dead.number, waiting: None });
    }
    history.push(dead.number);
    let again = NewTrial { proposal: dead.proposal, params: dead.params, user_attrs: dead.user_attrs };
    let id = insert_trial(t, study, &again, TrialState::Waiting)?;
    set_attr(t, SYSTEM, id, FAILED_TRIAL_KEY, &json!(history[0]))?;
    set_attr(t, SYSTEM, id, RETRY_HISTORY_KEY, &json!(history))?;
    Ok(Requeued { proposal: dead.proposal, failed: dead.number, waiting: Some(find(t, id)?.0) })
}

fn insert_trial(
    t: &Transaction<'_>,
    study: StudyId,
    new: &NewTrial,
    state: TrialState,
) -> Result<TrialId, StoreErrorKind> {
    // Numbers are gapless, as Optuna needs them; the write lock makes the count exact.
    let number: i64 = t.query_row("SELECT COUNT(*) FROM trials WHERE study_id = ?1", [study.0], |row| row.get(0))?;
    let start = (state == TrialState::Running).then(|| stamp(Timestamp::now()));
    let sql = "INSERT INTO trials (number, study_id, state, datetime_start) VALUES (?1, ?2, ?3, ?4)";
    t.execute(sql, (number, study.0, read::state_word(state), start))?;
    let id = TrialId(t.last_insert_rowid());
    for param in &new.params {
        insert_param(t, id, param)?;
    }
    for (key, value) in &new.user_attrs {
        set_attr(t, USER, id, key, value)?;
    }
    set_attr(t, SYSTEM, id, PROPOSAL_KEY, &json!(new.proposal))?;
    if state == TrialState::Running {
        beat(t, id)?;
    }
    Ok(id)
}

fn insert_param(t: &Transaction<'_>, trial: TrialId, param: &Param) -> Result<(), rusqlite::Error> {
    let distribution = json!({"name": "CategoricalDistribution", "attributes": {"choices": param.choices()}});
    let sql = "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?1, ?2, ?3, ?4)";
    let row = (trial.0, param.name(), param.index() as f64, distribution.to_string());
    t.prepare_cached(sql)?.execute(row).map(drop)
}

fn insert_values(
    t: &Transaction<'_>,
    trial: TrialId,
    number: u64,
    values: &[f64],
    expected: usize,
) -> Result<(), StoreErrorKind> {
    if values.len() != expected {
        return Err(StoreErrorKind::ValueCount { number, expected, got: values.len() });
    }
    for (objective, &value) in values.iter().enumerate() {
        let (stored, kind) = stored_value(value);
        let sql = "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?1, ?2, ?3, ?4)";
        t.execute(sql, (trial.0, objective as i64, stored, kind))?;
    }
    Ok(())
}

fn stored_value(value: f64) -> (Option<f64>, &'static str) {
    if value == f64::INFINITY {
        (None, "INF_POS")
    } else if value == f64::NEG_INFINITY {
        (None, "INF_NEG")
    } else {
        (Some(value), "FINITE")
    }
}

fn set_finished(t: &Transaction<'_>, trial: TrialId, state: TrialState) -> Result<(), rusqlite::Error> {
    let sql = "UPDATE trials SET state = ?1, datetime_complete = ?2 WHERE trial_id = ?3";
    t.execute(sql, (read::state_word(state), stamp(Timestamp::now()), trial.0)).map(drop)
}

fn set_attr(
    t: &Transaction<'_>,
    table: &'static str,
    trial: TrialId,
    key: &str,
    value: &Value,
) -> Result<(), rusqlite::Error> {
    let sql = format!(
        "INSERT INTO {table} (trial_id, key, value_json) VALUES (?1, ?2, ?3)
         ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json"
    );
    t.prepare_cached(&sql)?.execute((trial.0, key, value.to_string())).map(drop)
}

fn beat(t: &Transaction<'_>, trial: TrialId) -> Result<(), rusqlite::Error> {
    let sql = "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (?1, CURRENT_TIMESTAMP)
               ON CONFLICT (trial_id) DO UPDATE SET heartbeat = excluded.heartbeat";
    t.prepare_cached(sql)?.execute([trial.0]).map(drop)
}

/// Number and study of a trial that runs.
fn running(t: &Transaction<'_>, trial: TrialId) -> Result<(u64, StudyId), StoreErrorKind> {
    match find(t, trial)? {
        (number, study, TrialState::Running) => Ok((number, study)),
        (number, _, state) => Err(StoreErrorKind::NotRunning { number, state }),
    }
}

fn find(t: &Transaction<'_>, trial: TrialId) -> Result<(u64, StudyId, TrialState), StoreErrorKind> {
    let mut query = t.prepare_cached("SELECT number, study_id, state FROM trials WHERE trial_id = ?1")?;
    let row = query
        .query_row([trial.0], |row| Ok((row.get::<_, i64>(0)?, row.get(1).map(StudyId)?, row.get::<_, String>(2)?)));
    let (number, study, state) = row.optional()?.ok_or(StoreErrorKind::UnknownTrial(trial))?;
    Ok((number as u64, study, read::state(&state, number)?))
}

/// As SQLAlchemy writes a `DATETIME`.
fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
}
