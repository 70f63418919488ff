//! What `striae bench` found, as `--json` writes it and `--against` reads it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use striae_he_eval::bench::{Chain, ChainReport, RowOp, Spread};
use striae_reports::view::MachineView;

use super::arch::read_text;
use super::failure::Failure;

/// Version of the format.
const FORMAT: u32 = 1;

/// Rows and networks with their provenance.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BenchReport {
    format: u32,
    /// Version of Striae.
    version: String,
    /// When, UTC.
    pub(crate) date: String,
    pub(crate) machine: MachineView,
    /// The reference table, by chain.
    pub(crate) rows: Vec<ChainReport>,
    pub(crate) networks: Vec<NetworkOutcome>,
    /// What `--against` compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) against: Vec<Pair>,
}

/// A median beside that of an earlier report.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pair {
    pub(crate) what: String,
    pub(crate) threads: usize,
    pub(crate) old: f64,
    pub(crate) new: f64,
    pub(crate) ratio: f64,
}

/// A network that was measured, or was not.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NetworkOutcome {
    Measured(NetworkReport),
    Skipped { name: String, reason: String },
}

/// A network with random weights on encrypted images.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkReport {
    pub(crate) name: String,
    pub(crate) params: String,
    pub(crate) secure: bool,
    pub(crate) levels: usize,
    /// Seconds per image that the cost model predicts for one thread, and its interval.
    pub(crate) predicted: f64,
    pub(crate) interval: [f64; 2],
    /// From encrypted image to encrypted result, for each number of threads, one first.
    pub(crate) times: Vec<NetworkTime>,
    /// Seconds of key generation and of weight encoding, on the most threads.
    pub(crate) key_seconds: f64,
    pub(crate) encoding_seconds: f64,
    pub(crate) key_bytes: u64,
    pub(crate) weight_bytes: u64,
    /// Those of them that were read from a temporary file.
    #[serde(default)]
    pub(crate) streamed_bytes: u64,
    /// Largest memory of the process that ran this network alone, without weights from a file, where the system tells it.
    pub(crate) peak_bytes: Option<u64>,
    /// What the cost model says of it.
    pub(crate) estimated_bytes: u64,
    pub(crate) images: usize,
    /// Images whose largest logit is the same in the clear.
    pub(crate) agreeing: usize,
    /// Largest difference of a logit from the clear circuit.
    pub(crate) max_error: f64,
    /// Largest minus smallest logit in the clear.
    pub(crate) logit_range: f64,
}

/// Latency on some threads.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkTime {
    pub(crate) threads: usize,
    pub(crate) time: Spread,
}

impl NetworkReport {
    /// How many times faster the most threads are than one.
    pub(crate) fn scaling(&self) -> Option<f64> {
        match &self.times[..] {
            [one, .., all] => Some(one.time.median / all.time.median),
            _ => None,
        }
    }
}

/// What two reports are matched by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Key {
    Row(Chain, RowOp),
    Network(String),
}

impl BenchReport {
    /// An empty report of this machine.
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            date: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%MZ").to_string(),
            machine: striae_search::view::machine(threads),
            rows: Vec::new(),
            networks: Vec::new(),
            against: Vec::new(),
        }
    }

    /// Reads what `--json` printed.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        let hint = "give a file that `striae bench --json` printed";
        let report: Self = serde_json::from_str(&read_text(path)?)
            .map_err(|e| Failure::bad_input(format!("{}: {e}", path.display()), hint))?;
        if report.format > FORMAT {
            let message = format!("{}: field `format` is {}, this build reads {FORMAT}", path.display(), report.format);
            return Err(Failure::bad_input(message, "update striae"));
        }
        Ok(report)
    }

    /// Everything measured: what, on how many threads, how long.
    pub(crate) fn times(&self) -> Vec<(Key, usize, Spread)> {
        let rows = self.rows.iter().flat_map(|chain| {
            let key = |op| Key::Row(chain.chain, op);
            chain.rows.iter().flat_map(move |r| r.times.iter().map(move |t| (key(r.op), t.threads, t.time)))
        });
        let networks = self.networks.iter().filter_map(NetworkOutcome::measured);
        let networks = networks.flat_map(|n| n.times.iter().map(|t| (Key::Network(n.name.clone()), t.threads, t.time)));
        rows.chain(networks).collect()
    }
}

impl NetworkOutcome {
    /// The report of a network that was measured.
    pub(crate) fn measured(&self) -> Option<&NetworkReport> {
        match self {
            Self::Measured(report) => Some(report),
            Self::Skipped { .. } => None,
        }
    }
}
