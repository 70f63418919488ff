//! `striae predict` through the binary.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

fn striae(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::cargo_bin("striae").expect("the binary is built");
    let output = command.current_dir(folder).env_remove("STRIAE_CALIBRATION").args(args).output().expect("runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_report_has_rows_tables_and_plots_and_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("folder");
    let out = dir.path().join("report");
    let predict = |more: &[&str]| {
        let args = ["predict", "--out", "report", "--networks", "3", "--seed", "1", "--longest", "0.05", "--json"];
        let (code, stdout, stderr) = striae(dir.path(), &[&args[..], &["--threads", "2"], more].concat());
        assert_eq!(code, Some(0), "{stderr}");
        serde_json::from_str::<Value>(&stdout).expect("JSON on stdout and nothing else")
    };
    let early = predict(&["--budget", "0"]);
    assert_eq!((&early["networks"], &early["complete"]), (&Value::from(0), &Value::from(false)), "{early}");
    let found = predict(&[]);
    assert_eq!((&found["networks"], &found["complete"]), (&Value::from(3), &Value::from(true)), "{found}");
    let lines = || -> Vec<String> {
        let text = fs::read_to_string(out.join("networks.jsonl")).expect("rows");
        text.lines().map(str::to_owned).collect()
    };
    let rows = lines();
    for row in &rows {
        let row: Value = serde_json::from_str(row).expect("one object per line");
        assert_eq!(row["counts_equal"], Value::from(true), "{row}");
        let threads: Vec<&Value> = row["runs"].as_array().expect("runs").iter().map(|run| &run["threads"]).collect();
        assert_eq!(threads, [&Value::from(1), &Value::from(2)], "{row}");
        let runs = row["runs"].as_array().expect("runs");
        assert!(runs.iter().all(|run| run["measured"]["median"].as_f64() > Some(0.0)), "{row}");
        assert!(row["peak_bytes"].as_u64() > Some(1 << 20), "{row}");
    }
    for (file, start) in [
        ("report.json", "{"),
        ("summary.txt", "┌"),
        ("networks.csv", "network,family,notation"),
        ("layers.csv", "network,layer,threads"),
        ("threads-1.svg", "<svg"),
        ("threads-2.svg", "<svg"),
    ] {
        let text = fs::read_to_string(out.join(file)).expect(file);
        assert!(text.starts_with(start), "{file}: {text:.60}");
    }
    assert!(out.join("threads-2.png").is_file());
    // The last row is cut short: that network alone is measured again.
    let cut = [&rows[0], "\n", &rows[1], "\n", &rows[2][..40]].concat();
    fs::write(out.join("networks.jsonl"), cut).expect("written");
    predict(&[]);
    let again = lines();
    assert_eq!(again[..2], rows[..2]);
    assert_ne!(again[2], rows[2], "times differ");
}

#[test]
fn rows_that_are_none_are_refused() {
    let dir = tempfile::tempdir().expect("folder");
    fs::write(dir.path().join("networks.jsonl"), "{\"subject\": 1}\n").expect("written");
    let (code, stdout, stderr) = striae(dir.path(), &["predict", "--out", ".", "--networks", "1", "--quiet"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.contains("networks.jsonl: line 1"), "{stderr}");
}
