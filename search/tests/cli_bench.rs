//! `striae bench` through the binary.

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

#[track_caller]
fn json(folder: &Path, args: &[&str]) -> Value {
    let (code, stdout, stderr) = striae(folder, args);
    assert_eq!(code, Some(0), "{args:?}: {stderr}");
    serde_json::from_str(&stdout).expect("JSON on stdout and nothing else")
}

#[test]
fn rows_have_bounds_and_compare_with_an_earlier_run() {
    let dir = tempfile::tempdir().expect("folder");
    let args = ["bench", "--rows", "--log-n", "13", "--rounds", "2", "--quiet"];
    let found = json(dir.path(), &[&args[..], &["--threads", "1", "--json"]].concat());
    assert!(found["machine"]["cpu"].is_string() && found["date"].is_string() && found["version"].is_string());
    let rows = found["rows"][0]["rows"].as_array().expect("list");
    assert_eq!(rows.len(), 9);
    for row in rows {
        let times = &row["times"][0];
        let (median, bound) = (times["time"]["median"].as_f64(), times["bound"]["seconds"].as_f64());
        assert!(median > Some(0.0) && bound > Some(0.0), "{row}");
    }
    fs::write(dir.path().join("old.json"), found.to_string()).expect("written");
    let (code, text, stderr) = striae(dir.path(), &[&args[..], &["--threads", "2", "--against", "old.json"]].concat());
    assert_eq!(code, Some(0), "{stderr}");
    for words in ["matvec of 64 diagonals", "x bound", "scaling", "new / old"] {
        assert!(text.contains(words), "{words} in\n{text}");
    }
}

#[test]
fn a_network_runs_in_a_process_of_its_own() {
    let dir = tempfile::tempdir().expect("folder");
    let net = "1x8x8: conv(4,k3) bn quad flatten linear(10,bias)";
    let args = ["bench", "--networks", net, "--images", "2", "--threads", "2", "--json"];
    let found = json(dir.path(), &args);
    assert_eq!(found["rows"].as_array().map(Vec::len), Some(0));
    let network = &found["networks"][0]["measured"];
    assert_eq!((&network["images"], &network["agreeing"]), (&Value::from(2), &Value::from(2)), "{found}");
    assert_eq!(network["times"].as_array().map(Vec::len), Some(2));
    assert!(network["weight_bytes"].as_u64() > Some(0) && network["key_bytes"].as_u64() > Some(0));
    assert!(network["max_error"].as_f64() < Some(1e-2));
}

/// The memory that is held, as the process itself sees it, stays within the budget and buffers: 116 MiB were measured.
#[cfg(target_os = "linux")]
#[test]
fn streamed_weights_stay_out_of_memory() {
    const NET: &str = "64x16x16: conv(64,k5) quad pool(16) flatten linear(10)";
    const SLACK: u64 = 192 << 20;
    let dir = tempfile::tempdir().expect("folder");
    let memory = &json(dir.path(), &["cost", NET, "--json"])["networks"][0]["estimate"]["memory"];
    let part = |name: &str| memory[name].as_u64().expect("bytes");
    // Room for all but the convolution.
    let budget = part("keys") + part("ciphertexts") + part("weights") / 10;
    let run =
        ["bench", "--networks", NET, "--images", "1", "--threads", "2", "--json", "--weights-dir", ".", "--memory"];
    let bench = |budget: u64| json(dir.path(), &[&run[..], &[&budget.to_string()]].concat())["networks"][0].clone();
    let network = &bench(budget)["measured"];
    let bytes = |name: &str| network[name].as_u64().unwrap_or_else(|| panic!("{name} in {network}"));
    assert!(bytes("streamed_bytes") > 2 * SLACK, "{network}");
    assert!(bytes("peak_bytes") < budget + SLACK, "{network}, with a budget of {budget}");
    assert_eq!(bytes("agreeing"), 1);
    let reason = bench(1 << 20)["skipped"]["reason"].to_string();
    assert!(reason.contains("a memory budget of 1.0 MiB is too small"), "{reason}");
}

#[test]
fn bad_input_is_refused_before_anything_is_measured() {
    let dir = tempfile::tempdir().expect("folder");
    fs::write(dir.path().join("old.json"), "{\"format\": 7}").expect("written");
    let cases: [(&[&str], &str); 3] = [
        (&["bench", "--networks", "lenet"], "unknown network `lenet`"),
        (&["bench", "--rows", "--against", "old.json"], "old.json"),
        (&["bench", "--rows", "--log-n", "12"], "12"),
    ];
    for (args, words) in cases {
        let (code, stdout, stderr) = striae(dir.path(), args);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
    }
}
