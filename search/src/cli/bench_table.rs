//! The tables of `striae bench`.

use striae_he_eval::bench::{ChainReport, RowOp, Spread};
use striae_reports::format::{MISSING, bytes, number, seconds};
use striae_reports::table::{Side, Table, Value};

use super::bench_report::{BenchReport, Key, NetworkOutcome, NetworkReport, Pair};

/// What a row is called: the matrix-vector product has its size in its name.
fn row_name(op: RowOp, diagonals: u32) -> String {
    if op == RowOp::Matvec { format!("matvec of {diagonals} diagonals") } else { op.name().to_owned() }
}

fn chain_name(chain: &ChainReport) -> String {
    let mark = if chain.secure { "" } else { ", INSECURE" };
    format!("2^{}, {} limbs{mark}", chain.chain.log_n, chain.chain.levels + 1)
}

/// Measured times beside their lower bounds.
pub(crate) fn rows(chains: &[ChainReport]) -> Table {
    let mut table = Table::new([
        ("N", Side::Left),
        ("operation", Side::Left),
        ("threads", Side::Right),
        ("median", Side::Right),
        ("p10", Side::Right),
        ("p90", Side::Right),
        ("bound", Side::Right),
        ("compute", Side::Right),
        ("memory", Side::Right),
        ("x bound", Side::Right),
        ("scaling", Side::Right),
    ]);
    for chain in chains {
        for (row, place) in chain.rows.iter().flat_map(|r| (0..r.times.len()).map(move |i| (r, i))) {
            let timed = &row.times[place];
            let scaling = (place > 0).then(|| row.scaling()).flatten();
            let times = [
                timed.time.median,
                timed.time.p10,
                timed.time.p90,
                timed.bound.seconds,
                timed.bound.compute,
                timed.bound.memory,
            ];
            let mut cells: Vec<Value> = vec![chain_name(chain).into(), row_name(row.op, chain.chain.diagonals).into()];
            cells.push(timed.threads.to_string().into());
            cells.extend(times.map(|t| seconds(t).into()));
            cells.push(number(timed.over_bound(), 2).into());
            cells.push(scaling.map_or_else(String::new, |s| number(s, 2)).into());
            table.push(cells);
        }
    }
    table
}

/// One line per chain and number of threads: what the bounds are made of.
pub(crate) fn units(chains: &[ChainReport]) -> Vec<String> {
    let line = |chain: &ChainReport| {
        let bandwidths: Vec<String> = chain
            .units
            .iter()
            .map(|u| format!("{} GB/s on {} thread(s)", number(u.bandwidth * 1e-9, 1), u.threads))
            .collect();
        let u = &chain.units[0];
        format!(
            "{}: key {}, ciphertext {}; forward NTT {}, inverse {}, multiply-add {} ns, memory {}",
            chain_name(chain),
            bytes(chain.operands.key as u64),
            bytes(chain.ciphertext_bytes),
            seconds(u.forward),
            seconds(u.inverse),
            number(u.multiply_add * 1e9, 3),
            bandwidths.join(", ")
        )
    };
    chains.iter().filter(|c| !c.units.is_empty()).map(line).collect()
}

/// Latencies of whole networks.
pub(crate) fn networks(found: &[NetworkOutcome]) -> Table {
    let mut table = Table::new([
        ("network", Side::Left),
        ("N", Side::Right),
        ("levels", Side::Right),
        ("threads", Side::Right),
        ("median", Side::Right),
        ("p10", Side::Right),
        ("p90", Side::Right),
        ("predicted", Side::Right),
        ("scaling", Side::Right),
        ("keys", Side::Right),
        ("key gen", Side::Right),
        ("weights", Side::Right),
        ("encoding", Side::Right),
        ("peak", Side::Right),
        ("max error", Side::Right),
        ("argmax", Side::Right),
    ]);
    for report in found.iter().filter_map(NetworkOutcome::measured) {
        for place in 0..report.times.len() {
            table.push(network(report, place));
        }
    }
    table
}

fn network(report: &NetworkReport, place: usize) -> Vec<Value> {
    let timed = &report.times[place];
    let ring = report.params.split_whitespace().next().unwrap_or_default().trim_start_matches("N=");
    let mark = if report.secure { "" } else { ", INSECURE" };
    let mut cells = vec![format!("{}{mark}", report.name), ring.to_owned(), report.levels.to_string()];
    cells.push(timed.threads.to_string());
    cells.extend([timed.time.median, timed.time.p10, timed.time.p90].map(seconds));
    if place > 0 {
        cells.push(String::new());
        cells.push(report.scaling().map_or_else(String::new, |s| number(s, 2)));
    } else {
        cells.extend([seconds(report.predicted), String::new(), bytes(report.key_bytes), seconds(report.key_seconds)]);
        let streamed = match report.streamed_bytes {
            0 => String::new(),
            streamed => format!(", {} streamed", bytes(streamed)),
        };
        cells.extend([format!("{}{streamed}", bytes(report.weight_bytes)), seconds(report.encoding_seconds)]);
        cells.push(report.peak_bytes.map_or_else(|| MISSING.to_owned(), bytes));
        cells.push(format!("{:.1e} of {}", report.max_error, number(report.logit_range, 1)));
        cells.push(format!("{} of {}", report.agreeing, report.images));
    }
    cells.into_iter().map(Value::from).collect()
}

/// What both reports measured, side by side.
pub(crate) fn against(ratios: &[Pair]) -> Table {
    let mut table = Table::new([
        ("what", Side::Left),
        ("threads", Side::Right),
        ("old", Side::Right),
        ("new", Side::Right),
        ("new / old", Side::Right),
    ]);
    for pair in ratios {
        table.push([
            pair.what.as_str().into(),
            pair.threads.to_string().into(),
            seconds(pair.old).into(),
            seconds(pair.new).into(),
            number(pair.ratio, 3).into(),
        ]);
    }
    table
}

/// Every time that is in both reports.
pub(crate) fn ratios(new: &BenchReport, old: &BenchReport) -> Vec<Pair> {
    let before = old.times();
    let pair = |(key, threads, time): (Key, usize, Spread)| {
        let (.., found) = before.iter().find(|(k, t, _)| (k, *t) == (&key, threads))?;
        let what = match key {
            Key::Row(chain, op) => {
                format!("2^{}, {} limbs: {}", chain.log_n, chain.levels + 1, row_name(op, chain.diagonals))
            }
            Key::Network(name) => name,
        };
        Some(Pair { what, threads, old: found.median, new: time.median, ratio: time.median / found.median })
    };
    new.times().into_iter().filter_map(pair).collect()
}
