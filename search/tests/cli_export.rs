//! `striae export` of a training's folder: the bundle runs encrypted, and what cannot be exported is refused.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

const NETWORK: &str = "1x28x28: conv(4,k5,s2) bn quad flatten linear(10,bias)";

fn striae(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("striae").expect("the binary is built");
    command.current_dir(folder).env_remove("STRIAE_CALIBRATION").env_remove("STRIAE_DATA").env("NO_COLOR", "1");
    command.args(args);
    command
}

#[track_caller]
fn refused(folder: &Path, args: &[&str], words: &[&str], hint: &str) {
    let output = striae(folder, args).output().expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    let line = |start: &str| stderr.lines().find(|l| l.starts_with(start)).unwrap_or_default();
    assert!(words.iter().all(|word| line("error: ").contains(word)), "{args:?}: {stderr}");
    assert!(line("hint: ").contains(hint), "{args:?}: {stderr}");
    assert!(!folder.join("refused").exists(), "{args:?}: a bundle was written");
}

#[test]
fn a_trained_network_is_exported_unless_its_values_leave_the_modulus() {
    let dir = tempfile::tempdir().expect("folder");
    let at = dir.path();
    let short = ["--epochs", "1", "--subset", "640", "--set", "normalisation=per-image", "--out", "run"];
    striae(at, &[&["train", NETWORK], short.as_slice()].concat()).assert().success();
    striae(at, &["export", "run", "--out", "bundle"]).assert().success();
    // Who encrypts an image must prepare it as the network knows it.
    let manifest: Value =
        serde_json::from_slice(&fs::read(at.join("bundle/bundle.json")).expect("readable")).expect("JSON");
    assert_eq!(manifest["normalisation"]["scope"], "per-image");
    let card = fs::read_to_string(at.join("bundle/MODEL_CARD.md")).expect("readable");
    assert!(card.contains("clamped to -3..3"), "{card}");
    let verified = striae(at, &["verify", "bundle", "--images", "2", "--json"]).output().expect("runs");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let verified: Value = serde_json::from_slice(&verified.stdout).expect("JSON");
    assert_eq!((&verified[0]["passed"], &verified[0]["network"]["label"]), (&json!(true), &json!("run")));

    refused(
        at,
        &["export", "run", "--trial", "3", "--out", "refused"],
        &["--trial", "one network"],
        "leave the option",
    );
    let metrics = at.join("run/metrics.json");
    let text = fs::read_to_string(&metrics).expect("readable");
    let with = |place: usize, most: f64| {
        let mut changed: Value = serde_json::from_str(&text).expect("JSON");
        changed["ranges"][place]["max"] = json!(most);
        fs::write(&metrics, changed.to_string()).expect("written");
    };
    let export = ["export", "run", "--out", "refused"];
    with(1, 1e12);
    refused(
        at,
        &export,
        &["logits: values up to 2^39.9 ", "do not fit level 0"],
        "train it again with a range penalty",
    );
    with(0, 1e30);
    refused(at, &export, &["squares of activation n", "do not fit level "], "train it again with a range penalty");
    fs::remove_file(at.join("run/checkpoint.json")).expect("removed");
    refused(at, &export, &["run/checkpoint.json"], "`striae train` has finished");
    fs::remove_file(metrics).expect("removed");
    refused(at, &export, &["run/metrics.json"], "`striae train` has finished");
}
