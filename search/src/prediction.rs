//! Predicted against measured: what networks that no fit has seen took, and how good their predictions were.

use serde::{Deserialize, Serialize};
use striae_he_eval::bench::Spread;

use crate::rank::spearman;

/// A network to run, and under which parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Short name, unique in a report.
    pub label: String,
    /// Where it comes from: zoo, a space, generated.
    pub family: String,
    /// The network.
    pub notation: String,
    /// Its parameters.
    pub params: String,
}

/// A network that was run encrypted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRow {
    /// Which.
    pub subject: Subject,
    /// Version of Striae that ran it.
    pub version: String,
    /// Hash of the calibration that predicted it.
    pub calibration: String,
    /// Whether its parameters have 128 bits of security; those of small rings serve timing alone.
    pub secure: bool,
    /// log2 of the ring degree.
    pub log_n: u32,
    /// Levels of the program.
    pub levels: usize,
    /// Whether the backend executed exactly the predicted operations.
    pub counts_equal: bool,
    /// Most memory of the process that ran it alone, in bytes, where the system tells it.
    pub peak_bytes: Option<u64>,
    /// The same as predicted.
    pub predicted_bytes: u64,
    /// On each number of threads.
    pub runs: Vec<Run>,
}

/// A network on some threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// How many.
    pub threads: usize,
    /// Predicted seconds per image.
    pub predicted: f64,
    /// Where nine of ten measurements should lie.
    pub interval: [f64; 2],
    /// Measured seconds per image.
    pub measured: Spread,
    /// Its steps.
    pub steps: Vec<StepRow>,
}

/// A step of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRow {
    /// Node that it computes, and what it does.
    pub name: String,
    /// Level of its result.
    pub level: usize,
    /// Predicted seconds.
    pub predicted: f64,
    /// Measured seconds.
    pub measured: Spread,
}

impl Run {
    /// Seconds per image where nothing else disturbs: whatever else runs on a machine, or beside it on the same host, only adds
    /// to a time, and no long run escapes it. So it is the sum over the steps of what each takes at its 10th percentile, which
    /// is also what calibrations are fitted to.
    pub fn undisturbed(&self) -> f64 {
        self.steps.iter().map(|step| step.measured.p10).sum()
    }
}

/// How good predictions were.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// Networks, each counted once for each number of threads.
    pub networks: usize,
    /// Mean absolute relative error of their latencies, where nothing disturbs.
    pub network_error: f64,
    /// The same of the median latencies, with all that disturbs.
    pub median_error: f64,
    /// Mean relative excess of the median latencies over the undisturbed: how noisy the machine was.
    pub disturbance: f64,
    /// Mean signed relative error: positive where predictions are too long.
    pub network_bias: f64,
    /// Rank correlation of predicted and measured latencies.
    pub spearman: f64,
    /// Share of measured latencies within the predicted interval.
    pub coverage: f64,
    /// Steps.
    pub layers: usize,
    /// Mean absolute relative error of their times.
    pub layer_error: f64,
    /// Mean absolute relative error of peak memory.
    pub memory_error: f64,
    /// Largest of them.
    pub largest_memory_error: f64,
}

impl Accuracy {
    /// Of all runs that `keep` keeps; what there is none of is not a number.
    pub fn of(rows: &[NetworkRow], keep: impl Fn(&NetworkRow, &Run) -> bool) -> Self {
        let kept =
            || rows.iter().flat_map(|row| row.runs.iter().map(move |run| (row, run))).filter(|(n, r)| keep(n, r));
        let runs: Vec<&Run> = kept().map(|(_, run)| run).collect();
        let errors: Vec<f64> = runs.iter().map(|r| r.predicted / r.undisturbed() - 1.0).collect();
        let steps: Vec<f64> =
            runs.iter().flat_map(|r| &r.steps).map(|s| (s.predicted / s.measured.p10 - 1.0).abs()).collect();
        let within = |r: &&&Run| (r.interval[0]..=r.interval[1]).contains(&r.undisturbed());
        let memory: Vec<f64> = (rows.iter())
            .filter(|row| row.runs.iter().any(|run| keep(row, run)))
            .filter_map(|row| Some((row.predicted_bytes as f64 / row.peak_bytes? as f64 - 1.0).abs()))
            .collect();
        let (predicted, measured): (Vec<f64>, Vec<f64>) = runs.iter().map(|r| (r.predicted, r.undisturbed())).unzip();
        Self {
            networks: runs.len(),
            network_error: mean(errors.iter().map(|e| e.abs())),
            median_error: mean(runs.iter().map(|r| (r.predicted / r.measured.median - 1.0).abs())),
            disturbance: mean(runs.iter().map(|r| r.measured.median / r.undisturbed() - 1.0)),
            network_bias: mean(errors.iter().copied()),
            spearman: spearman(&predicted, &measured),
            coverage: runs.iter().filter(within).count() as f64 / runs.len() as f64,
            layers: steps.len(),
            layer_error: mean(steps.iter().copied()),
            memory_error: mean(memory.iter().copied()),
            largest_memory_error: memory.iter().copied().fold(0.0, f64::max),
        }
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(predicted: f64, measured: f64, peak: u64) -> NetworkRow {
        let subject = Subject {
            label: "net".to_owned(),
            family: "zoo".to_owned(),
            notation: "4: linear(2)".to_owned(),
            params: String::new(),
        };
        let spread = |t| Spread { median: 1.25 * t, p10: t, p90: 2.0 * t, rounds: 9 };
        // Two steps, of a quarter and of three quarters of the time.
        let step = |share: f64, factor: f64| StepRow {
            name: "linear".to_owned(),
            level: 0,
            predicted: factor * share * measured,
            measured: spread(share * measured),
        };
        let steps = vec![step(0.25, 1.1), step(0.75, 0.7)];
        let measured = spread(measured);
        let run = Run { threads: 1, predicted, interval: [0.9 * predicted, 1.1 * predicted], measured, steps };
        NetworkRow {
            subject,
            version: String::new(),
            calibration: String::new(),
            secure: true,
            log_n: 13,
            levels: 1,
            counts_equal: true,
            peak_bytes: Some(peak),
            predicted_bytes: 100,
            runs: vec![run],
        }
    }

    #[test]
    fn errors_are_relative_to_what_was_measured() {
        let rows = [row(1.0, 1.25, 80), row(3.0, 2.0, 100), row(4.0, 4.2, 125)];
        let found = Accuracy::of(&rows, |_, _| true);
        assert_eq!((found.networks, found.layers), (3, 6));
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(found.network_error, (0.2 + 0.5 + 0.2 / 4.2) / 3.0);
        close(found.network_bias, (-0.2 + 0.5 - 0.2 / 4.2) / 3.0);
        close(found.layer_error, 0.2);
        close(found.coverage, 1.0 / 3.0);
        close(found.disturbance, 0.25);
        close(found.median_error, (0.36 + 0.2 + (1.0 - 4.0 / 5.25)) / 3.0);
        close(found.memory_error, (0.25 + 0.0 + 0.2) / 3.0);
        close(found.largest_memory_error, 0.25);
        close(found.spearman, 1.0);
        assert_eq!(Accuracy::of(&rows, |_, run| run.measured.median < 3.0).networks, 2);
    }
}
