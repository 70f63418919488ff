//! `striae proxies` through the binary.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

fn striae(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::cargo_bin("striae").expect("the binary is built");
    let output = command.current_dir(folder).args(args).output().expect("runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

const SMALL: [&str; 15] = [
    "proxies",
    "strianet-glyphs",
    "--out",
    "proxies",
    "--networks",
    "3",
    "--batch",
    "8",
    "--short-epochs",
    "1",
    "--short-images",
    "64",
    "--full-images",
    "64",
    "--json",
];

#[test]
fn a_measurement_has_rows_tables_and_a_plot_and_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("folder");
    let out = dir.path().join("proxies");
    let measure = |threads: &str| {
        let (code, stdout, stderr) =
            striae(dir.path(), &[&SMALL[..], &["--full-epochs", "1", "--threads", threads]].concat());
        assert_eq!(code, Some(0), "{stderr}");
        serde_json::from_str::<Value>(&stdout).expect("JSON on stdout and nothing else")
    };
    let found = measure("2");
    assert_eq!(found["networks"], Value::from(3), "{found}");
    assert_eq!(found["proxies"].as_array().map(Vec::len), Some(7), "{found}");
    let rows = || fs::read_to_string(out.join("networks.jsonl")).expect("rows");
    let scores = |text: &str| -> Vec<(String, Value)> {
        let mut rows: Vec<(String, Value)> = (text.lines())
            .map(|line| serde_json::from_str::<Value>(line).expect("one object per line"))
            .map(|row| (row["arch_id"].to_string(), row["scores"].clone()))
            .collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        rows
    };
    let first = rows();
    for (file, start) in [
        ("report.json", "{"),
        ("fidelity.json", "{"),
        ("summary.txt", "┌"),
        ("networks.csv", "network,accuracy,"),
        ("proxies.svg", "<svg"),
    ] {
        let text = fs::read_to_string(out.join(file)).expect(file);
        assert!(text.starts_with(start), "{file}: {text:.60}");
    }
    assert!(out.join("proxies.png").is_file());
    // The last row is cut short: that network alone is measured again, on another number of threads, to the same scores.
    let kept = first.lines().take(2).collect::<Vec<_>>().join("\n");
    fs::write(out.join("networks.jsonl"), format!("{kept}\n{{\"arch_id\": \"")).expect("written");
    measure("1");
    assert!(rows().starts_with(&kept));
    assert_eq!(scores(&rows()), scores(&first));

    let (code, stdout, stderr) = striae(dir.path(), &[&SMALL[..], &["--full-epochs", "2"]].concat());
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.contains("fidelity.json: the measurement was begun with other settings"), "{stderr}");
}
