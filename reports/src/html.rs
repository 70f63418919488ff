//! One self-contained HTML page per study: figures inline, no script, nothing fetched.

use askama::Template;

use crate::error::ReportError;
use crate::format;
use crate::plot::{Figure, svg};
use crate::table::{self, Table};
use crate::view::{NetworkView, StudyView};

/// The page of a study.
///
/// Shows the chosen network, the Pareto plot, predicted against measured latency, each network's layers, all trials, and what is needed to
/// repeat it. Parameters below 128 bits are announced at the top, as is a protocol that is estimated and not run.
pub fn study(view: &StudyView) -> Result<String, ReportError> {
    let page = StudyPage {
        title: if view.name.is_empty() { "Striae study" } else { &view.name },
        lead: lead(view),
        caveat: view.caveat(),
        view,
        insecure: insecure(view),
        headline: Grid::of(&headline(view)),
        pareto: svg(Figure::Pareto(&view.pareto))?,
        prediction: svg(Figure::Prediction(&view.prediction))?,
        predictions: Grid::of(&table::predictions(&view.prediction)),
        networks: view.networks.iter().map(section).collect::<Result<_, _>>()?,
        trials: Grid::of(&table::trials(&view.trials)),
        facts: facts(view),
        style: include_str!("../templates/style.css"),
    };
    page.render().map_err(|source| ReportError::Template { template: "study.html", source })
}

#[derive(Template)]
#[template(path = "study.html")]
struct StudyPage<'a> {
    title: &'a str,
    lead: String,
    caveat: Option<String>,
    view: &'a StudyView,
    insecure: Vec<String>,
    headline: Grid,
    pareto: String,
    prediction: String,
    predictions: Grid,
    networks: Vec<Section<'a>>,
    trials: Grid,
    facts: Vec<(&'static str, String)>,
    style: &'static str,
}

/// A network in detail.
struct Section<'a> {
    network: &'a NetworkView,
    summary: Vec<(&'static str, String)>,
    breakdown: String,
    layers: Grid,
}

/// A table as the template sees it: each cell with whether it is a number.
struct Grid {
    columns: Vec<(String, bool)>,
    rows: Vec<GridRow>,
}

struct GridRow {
    cells: Vec<(String, bool)>,
    strong: bool,
}

impl Grid {
    fn of(table: &Table) -> Self {
        let sides: Vec<bool> = table.is_numeric().collect();
        let columns = table.headings().map(str::to_owned).zip(sides.iter().copied()).collect();
        let rows = table
            .rows()
            .zip(table.strong())
            .map(|(row, strong)| GridRow {
                cells: row.iter().map(|v| v.text.clone()).zip(sides.iter().copied()).collect(),
                strong,
            })
            .collect();
        Self { columns, rows }
    }
}

/// The line under the title.
fn lead(view: &StudyView) -> String {
    let seed = format!("seed {}", view.seed);
    let parts = [view.dataset.as_str(), &view.space, &view.protocol, &seed, &view.started];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// The chosen network first, then the others that were looked at in detail.
fn headline(view: &StudyView) -> Table {
    let chosen = view.chosen.filter(|index| *index < view.networks.len());
    let others = view.networks.iter().enumerate().filter(|(index, _)| Some(*index) != chosen).map(|(_, n)| n);
    table::headline(chosen.map(|index| &view.networks[index]).into_iter().chain(others))
}

/// One warning per network whose parameters are too weak.
fn insecure(view: &StudyView) -> Vec<String> {
    let weak = |network: &NetworkView| {
        let p = network.parameters.as_ref().filter(|p| p.insecure)?;
        let bits = format::number(p.security_bits, 0);
        Some(format!(
            "{}: about {bits} bits of security at N = 2^{} and log QP = {}",
            network.label,
            p.log_n,
            format::number(p.log_qp, 0)
        ))
    };
    view.networks.iter().filter_map(weak).collect()
}

fn section(network: &NetworkView) -> Result<Section<'_>, ReportError> {
    Ok(Section {
        network,
        summary: table::facts(network),
        breakdown: svg(Figure::Breakdown(network))?,
        layers: Grid::of(&table::layers(network)),
    })
}

/// What is needed to repeat the study.
fn facts(view: &StudyView) -> Vec<(&'static str, String)> {
    let machine = &view.machine;
    let versions: Vec<String> = view.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let facts = [
        ("command", view.command.clone()),
        ("seed", view.seed.to_string()),
        ("data set", view.dataset.clone()),
        ("space", view.space.clone()),
        ("sampler", view.sampler.clone()),
        ("protocol", view.protocol.clone()),
        ("calibration", view.calibration.clone()),
        ("started", view.started.clone()),
        ("duration", format::maybe_seconds(view.duration)),
        ("versions", versions.join(", ")),
        ("processor", machine.cpu.clone()),
        ("instruction sets", machine.features.clone()),
        ("cores", known(machine.cores.into(), format::count)),
        ("threads per encrypted run", known(machine.threads.into(), format::count)),
        ("main memory", known(machine.memory, format::bytes)),
        ("operating system", machine.os.clone()),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// A machine has no zero cores: zero means that nobody asked.
fn known(value: u64, write: fn(u64) -> String) -> String {
    if value == 0 { String::new() } else { write(value) }
}
