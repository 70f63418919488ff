//! Tables, plot and provenance of a measurement.

use std::path::Path;

use serde_json::json;
use striae_reports::export;
use striae_reports::format::number;
use striae_reports::plot::{Figure, png, svg};
use striae_reports::table::{Side, Table, Value};
use striae_reports::view::{CorrelationBar, CorrelationView, Interval};
use striae_search::proxies::{Correlation, Fidelity, ProxyRow};
use striae_search::view;

use super::super::failure::Failure;

/// Writes everything but the rows themselves; each file appears whole.
pub(super) fn write(
    folder: &Path,
    fidelity: &Fidelity,
    rows: &[ProxyRow],
    ranked: &[Correlation],
) -> Result<(), Failure> {
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "date": jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        "machine": view::machine(1),
        "fidelity": fidelity,
        "networks": rows.len(),
        "proxies": ranked,
    });
    let text = serde_json::to_string_pretty(&report).map_err(Failure::unexpected)? + "\n";
    export::write(&folder.join("report.json"), text.as_bytes())?;
    export::write(&folder.join("summary.txt"), summary(ranked).to_text(None).as_bytes())?;
    export::write(&folder.join("networks.csv"), networks(rows, ranked).to_csv().as_bytes())?;
    let view = correlation(fidelity, rows.len(), ranked);
    export::write(&folder.join("proxies.svg"), svg(Figure::Correlation(&view))?.as_bytes())?;
    export::write(&folder.join("proxies.png"), &png(Figure::Correlation(&view))?)?;
    Ok(())
}

/// One line for each proxy, the best first.
pub(super) fn summary(ranked: &[Correlation]) -> Table {
    let right = ["Spearman", "95 % interval", "Kendall", "95 % interval", "seconds each"].map(|h| (h, Side::Right));
    let mut table = Table::new([("proxy", Side::Left)].into_iter().chain(right));
    let span = |[low, high]: [f64; 2]| format!("{} to {}", number(low, 2), number(high, 2));
    for c in ranked {
        let cells = [
            c.proxy.clone(),
            number(c.spearman, 3),
            span(c.spearman_interval),
            number(c.kendall, 3),
            span(c.kendall_interval),
            number(c.seconds, 2),
        ];
        table.push(cells.map(Value::from));
    }
    table
}

/// One line for each network.
fn networks(rows: &[ProxyRow], ranked: &[Correlation]) -> Table {
    let names: Vec<&str> = ranked.iter().map(|c| c.proxy.as_str()).collect();
    let columns = [("network", Side::Left), ("accuracy", Side::Right)].into_iter();
    let mut table = Table::new(columns.chain(names.iter().map(|name| (*name, Side::Right))));
    for row in rows {
        let score = |name: &&str| row.scores.get(*name).map_or_else(String::new, |s| format!("{s:.6}"));
        let cells = [row.network.clone(), format!("{:.6}", row.accuracy)];
        table.push(cells.into_iter().chain(names.iter().map(score)).map(Value::from));
    }
    table
}

fn correlation(fidelity: &Fidelity, networks: usize, ranked: &[Correlation]) -> CorrelationView {
    let Fidelity { space, dataset, full_epochs, full_images, .. } = fidelity;
    let bar = |c: &Correlation| CorrelationBar {
        label: c.proxy.clone(),
        value: c.spearman,
        interval: Some(Interval { low: c.spearman_interval[0], high: c.spearman_interval[1] }),
    };
    CorrelationView {
        title: format!("Proxies on {networks} networks of {space}"),
        axis: format!("rank correlation with {full_epochs} epochs on {full_images} images of {dataset}"),
        bars: ranked.iter().map(bar).collect(),
    }
}
