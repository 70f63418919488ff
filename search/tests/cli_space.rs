//! `striae space show`, `striae space enumerate` and `striae advise`, through the binary.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use striae_cost_model::{Calibration, Lowerer, PlanOptions};
use striae_search::pareto::front;
use striae_spaces::TypedGraph;
use striae_spaces::space::{Trellis, builtin};

fn striae(folder: &Path, args: &[&str]) -> Vec<u8> {
    let mut command = Command::cargo_bin("striae").expect("the binary is built");
    command.current_dir(folder).env_remove("STRIAE_CALIBRATION").env("NO_COLOR", "1").args(args).arg("--quiet");
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// Latency and multiply-accumulates of every network of a small space, each lowered by the planner.
fn brute_force() -> Vec<Vec<f64>> {
    let space = builtin("strianet-glyphs").unwrap();
    let (trellis, calibration) = (Trellis::new(&space).unwrap(), Calibration::generic());
    let mut lowerer = Lowerer::new(&calibration);
    let mut paths = vec![(0, Vec::new())];
    for column in trellis.columns() {
        let longer = paths.iter().flat_map(|(state, path): &(u32, Vec<_>)| {
            let branches = column.states[*state as usize].branches.iter();
            branches.map(|branch| (branch.next, [&path[..], &[branch]].concat()))
        });
        paths = longer.collect();
    }
    let genotypes = paths.iter().filter_map(|(_, path)| trellis.genotype(path.iter().copied()).ok());
    let row = |graph: TypedGraph| {
        let plan = lowerer.plan(&graph, &PlanOptions::default()).unwrap();
        vec![plan.estimate.latency.0, -(graph.macs() as f64)]
    };
    genotypes.map(|genotype| space.build(&genotype).unwrap()).map(row).collect()
}

#[test]
fn the_enumerated_front_is_that_of_brute_force() {
    let folder = tempfile::tempdir().unwrap();
    let found =
        json(&striae(folder.path(), &["space", "enumerate", "strianet-glyphs", "--json", "--out", "front.csv"]));
    let rows = brute_force();
    assert_eq!((found["visited"].as_u64(), found["complete"].as_bool()), (Some(rows.len() as u64), Some(true)));
    let mut expected: Vec<Vec<f64>> = front(&rows).into_iter().map(|i| rows[i].clone()).collect();
    expected.sort_by(|a, b| a[0].total_cmp(&b[0]));
    expected.dedup();
    let of_point = |p: &Value| vec![p["latency"].as_f64().unwrap(), -(p["macs"].as_u64().unwrap() as f64)];
    let points: Vec<Vec<f64>> = found["front"].as_array().unwrap().iter().map(of_point).collect();
    assert_eq!(points, expected);
    let csv = fs::read_to_string(folder.path().join("front.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + expected.len());
    assert!(csv.starts_with("latency,MACs,parameters,levels,"), "{csv}");
}

#[test]
fn limits_say_what_they_leave_out() {
    let folder = tempfile::tempdir().unwrap();
    let of = |args: &[&str]| json(&striae(folder.path(), &[&["space", "enumerate", "strianet-glyphs"], args].concat()));
    let narrowed = of(&["--json", "--max", "400"]);
    let text = narrowed["covered"].as_str().unwrap();
    assert!(text.starts_with("all 296 networks of at most 6 levels") && text.contains("704"), "{text}");
    let fast = of(&["--json", "--limit", "0.02"]);
    let slow = fast["too_slow"].as_u64().unwrap();
    assert!(slow > 0 && fast["covered"].as_str().unwrap().contains("slower than --limit"));
    assert!(fast["front"].as_array().unwrap().iter().all(|p| p["latency"].as_f64().unwrap() <= 0.02));
    let parameters = of(&["--json", "--capacity", "parameters"]);
    assert_ne!(parameters["front"], narrowed["front"]);
}

#[test]
fn a_space_is_shown_with_its_analysis() {
    let folder = tempfile::tempdir().unwrap();
    let show = ["space", "show", "strianet-glyphs", "--samples", "200", "--json"];
    let shown = json(&striae(folder.path(), &[&show[..], &["--out", "costs.svg"]].concat()));
    assert!(fs::read_to_string(folder.path().join("costs.svg")).unwrap().starts_with("<svg"));
    let analysis = &shown["space"]["analysis"];
    assert_eq!((analysis["within_bounds"].as_str(), analysis["networks"].as_str()), (Some("704"), Some("11328")));
    assert_eq!(
        (analysis["latency"]["exact"].as_bool(), analysis["latency"]["networks"].as_u64()),
        (Some(true), Some(704))
    );
    let factors = analysis["sensitivity"].as_array().unwrap();
    let factor = |name: &str| factors.iter().find(|f| f["factor"] == name).unwrap();
    // More of a bounded factor costs more, beyond its error.
    for name in ["taps", "stem width", "depth", "levels"] {
        let elasticity = &factor(name)["elasticity"];
        let (mean, error) = (elasticity["mean"].as_f64().unwrap(), elasticity["error"].as_f64().unwrap());
        assert!(mean > 2.0 * error, "{name}: {mean} ± {error}");
    }
    assert_eq!(factor("mixing")["extremes"][1], "dense");
    assert_eq!(striae(folder.path(), &show), striae(folder.path(), &show), "one seed, one answer");
    let text =
        String::from_utf8(striae(folder.path(), &["space", "show", "strianet-mnist", "--samples", "50"])).unwrap();
    assert!(
        text.contains("160\u{202f}688 of them within the bounds") && text.contains("max_external_rotations"),
        "{text}"
    );
}

#[test]
fn advice_names_ring_and_chain_for_each_security() {
    let folder = tempfile::tempdir().unwrap();
    let advice = json(&striae(folder.path(), &["advise", "strianet-mnist", "--json"]));
    let plans = advice["by_security"].as_array().unwrap();
    assert_eq!(plans.iter().map(|p| p["security"].as_u64().unwrap()).collect::<Vec<_>>(), [128, 192, 256]);
    for plan in plans {
        assert!(plan["log_qp"].as_u64() <= plan["log_qp_allowed"].as_u64(), "{plan}");
    }
    assert_eq!(
        advice["plan"],
        advice["plan"]
            .as_object()
            .map(|plan| {
                let mut first = plans[0].as_object().unwrap().clone();
                first.remove("security");
                assert_eq!(first.len(), plan.len());
                Value::Object(first)
            })
            .unwrap()
    );
    let changes = advice["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 3);
    let text = String::from_utf8(striae(folder.path(), &["advise", "strianet-mnist", "--security", "192"])).unwrap();
    assert!(text.contains("192 bits") && text.contains("without the activation"), "{text}");
}
