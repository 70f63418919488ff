//! `striae advise`: the parameters a network needs, and what would change them.

use clap::Args;
use serde_json::{Value, json};
use striae_cost_model::{CostError, Lowerer, Plan, SecurityLevel, guideline_log_qp};
use striae_reports::format::{bytes, seconds, signed_percent};
use striae_reports::table::{Side, Table, Value as Cell};
use striae_search::advice::{by_security, changes};

use super::arch::Arch;
use super::calibration::CalibrationArgs;
use super::exit::Exit;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::parameters::ParameterArgs;

#[derive(Args, Debug)]
pub(crate) struct AdviseArgs {
    /// Network: a name of the zoo, the notation, or a .json or .txt file
    arch: String,
    #[command(flatten)]
    parameters: ParameterArgs,
    #[command(flatten)]
    calibration: CalibrationArgs,
}

/// Runs `striae advise`.
pub(crate) fn run(args: &AdviseArgs, output: Output) -> Outcome {
    let Arch { label, graph } = Arch::resolve(&args.arch)?;
    let chosen = args.calibration.load(output)?;
    let mut lowerer = Lowerer::new(&chosen.calibration);
    let at = args.parameters.options();
    let security = at.security;
    let plans = by_security(&mut lowerer, &graph, &at);
    let plan = lowerer.plan(&graph, &at).map_err(|e| Failure::from(e).named(&label))?;
    let changes = changes(&mut lowerer, &graph, &plan, &at);
    let changed: Vec<(&str, &Plan)> = changes.iter().map(|change| (change.what.as_str(), &change.plan)).collect();
    if output.json {
        let secure = |(security, plan): &(SecurityLevel, Result<Plan, CostError>)| {
            let mut json = match plan {
                Ok(plan) => plan_json(plan, *security),
                Err(e) => json!({ "error": e.to_string() }),
            };
            json["security"] = json!(security.bits());
            json
        };
        let changed = changed.iter().map(|(what, changed)| {
            let mut json = plan_json(changed, security);
            json["change"] = json!(what);
            json
        });
        output.value(&json!({
            "network": label,
            "by_security": plans.iter().map(secure).collect::<Vec<_>>(),
            "security": security.bits(),
            "plan": plan_json(&plan, security),
            "changes": changed.collect::<Vec<_>>(),
            "calibration": chosen.as_source(),
        }))?;
        return Ok(Exit::Success);
    }
    output.line(format_args!("{label}: smallest ring and chain for each level of security"))?;
    output.table(&security_table(&plans))?;
    for (security, plan) in &plans {
        if let Err(e) = plan {
            output.line(format_args!("{security} bits: {e}"))?;
        }
    }
    output.line(format_args!("\nat {security} bits, what a change would bring"))?;
    output.table(&change_table(&plan, &changed))?;
    if let Some((what, cheaper)) = changed.first().filter(|(_, p)| p.estimate.latency < plan.estimate.latency)
        && cheaper.params.log_n() > plan.params.log_n()
    {
        output.line(format_args!("the larger ring, {what}, is the faster one here"))?;
    }
    if let (SecurityLevel::Bits128, Some(bound)) = (security, guideline_log_qp(plan.params.log_n()))
        && plan.params.log_qp() > bound
    {
        output.line(format_args!(
            "log QP {} keeps the standard of 2018, but is above the {bound} bits that the guidelines of 2024 allow for 128",
            plan.params.log_qp()
        ))?;
    }
    output.line("log scale is the precision in bits; chains: bits of q0 and each level, bits of the special primes")?;
    output.line(format_args!("calibration: {}", chosen.describe()))?;
    Ok(Exit::Success)
}

const COLUMNS: [(&str, Side); 7] = [
    ("N", Side::Right),
    ("ring", Side::Left),
    ("levels", Side::Right),
    ("log QP", Side::Right),
    ("log scale", Side::Right),
    ("latency", Side::Right),
    ("memory", Side::Right),
];

fn cells(plan: &Plan) -> [Cell; 7] {
    let (params, estimate) = (&plan.params, &plan.estimate);
    [
        format!("2^{}", params.log_n()).into(),
        params.ring().name().into(),
        plan.program.depth().to_string().into(),
        params.log_qp().to_string().into(),
        params.log_scale().to_string().into(),
        seconds(estimate.latency.0).into(),
        bytes(estimate.memory.total().0).into(),
    ]
}

fn security_table(plans: &[(SecurityLevel, Result<Plan, CostError>)]) -> Table {
    let mut table = Table::new(
        [("security", Side::Right)].into_iter().chain(COLUMNS).chain([("allowed", Side::Right), ("chain", Side::Left)]),
    );
    for (security, plan) in plans {
        let first = [Cell::from(format!("{security} bits"))];
        match plan {
            Ok(plan) => {
                let allowed = security.max_log_qp(plan.params.log_n()).unwrap_or(0);
                table
                    .push(first.into_iter().chain(cells(plan)).chain([allowed.to_string().into(), chain(plan).into()]));
            }
            Err(_) => table.push(first.into_iter().chain([Cell::from("none")])),
        }
    }
    table
}

/// `46, 5x36; 2x42`.
fn chain(plan: &Plan) -> String {
    let (q, p) = (plan.params.log_q(), plan.params.log_p());
    let times = |bits: &[u32]| bits.first().map_or_else(String::new, |first| format!("{}×{first}", bits.len()));
    format!("{}, {}; {}", q[0], times(&q[1..]), times(p))
}

fn change_table(plan: &Plan, changes: &[(&str, &Plan)]) -> Table {
    let columns = [("change", Side::Left)].into_iter().chain(COLUMNS);
    let mut table = Table::new(columns.chain([("latency", Side::Right), ("memory", Side::Right)]));
    table.push([Cell::from("as it is")].into_iter().chain(cells(plan)));
    let of = |plan: &Plan| (plan.estimate.latency.0, plan.estimate.memory.total().0 as f64);
    for (what, changed) in changes {
        let ((seconds, bytes), (old_seconds, old_bytes)) = (of(changed), of(plan));
        let relative = [seconds / old_seconds - 1.0, bytes / old_bytes - 1.0].map(|r| Cell::from(signed_percent(r)));
        table.push([Cell::from(*what)].into_iter().chain(cells(changed)).chain(relative));
    }
    table
}

fn plan_json(plan: &Plan, security: SecurityLevel) -> Value {
    json!({
        "params": plan.params.to_string(),
        "log_n": plan.params.log_n(),
        "ring": plan.params.ring().name(),
        "levels": plan.program.depth(),
        "log_qp": plan.params.log_qp(),
        "log_qp_allowed": security.max_log_qp(plan.params.log_n()),
        "log_qp_guideline_2024_128_bits": guideline_log_qp(plan.params.log_n()),
        "log_scale": plan.params.log_scale(),
        "latency": plan.estimate.latency.0,
        "memory": plan.estimate.memory.total().0,
    })
}
