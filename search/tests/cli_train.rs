//! `striae train`: recipes, what they refuse, and a run that is killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command as Process, Stdio};

use assert_cmd::Command;
use serde_json::Value;

const RECIPE: &str = r#"
network = "1x28x28: conv(4,k5,s2) bn quad flatten linear(10,bias)"

[training]
epochs = 4
batch = 32
subset = 1600
lr = 0.1
schedule = "linear"
augment = "shift"
cutout = 6
mixup = 0.3
ema = 0.95
label_smoothing = 0.1
quadratics = "hermite"
replacement = 0.4
range_penalty = 0.01
teacher = { epochs = 1, share = 0.3 }
seed = 3
"#;

fn striae(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("striae").expect("the binary is built");
    command.current_dir(folder).env_remove("STRIAE_DATA").env("NO_COLOR", "1");
    command
}

#[track_caller]
fn refused(folder: &Path, args: &[&str], words: &[&str]) {
    let output = striae(folder).args(args).output().expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    let error = stderr.lines().find(|l| l.starts_with("error: ")).unwrap_or_default();
    assert!(words.iter().all(|word| error.contains(word)) && stderr.contains("hint: "), "{args:?}: {stderr}");
}

/// Training figures without the speed.
fn numbers(metrics: &Value) -> Vec<Value> {
    let epochs = metrics["history"].as_array().expect("a list").iter();
    let mut numbers: Vec<Value> =
        epochs.map(|e| serde_json::json!([e["train_loss"], e["validation_loss"], e["validation_accuracy"]])).collect();
    numbers.push(metrics["test"].clone());
    numbers
}

#[test]
fn a_killed_run_goes_on_bit_for_bit() {
    let dir = tempfile::tempdir().expect("folder");
    let at = dir.path();
    fs::write(at.join("recipe.toml"), RECIPE).expect("written");
    striae(at).args(["train", "recipe.toml", "--out", "whole"]).assert().success();
    let mut run = Process::new(assert_cmd::cargo::cargo_bin("striae"))
        .current_dir(at)
        .args(["train", "recipe.toml", "--out", "cut"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("runs");
    let lines = BufReader::new(run.stderr.take().expect("piped")).lines();
    let second = lines.map_while(Result::ok).find(|line| line.starts_with("epoch  2 of 4"));
    assert!(second.is_some(), "the second epoch was reported");
    run.kill().expect("killed");
    run.wait().expect("gone");
    assert!(!at.join("cut/metrics.json").exists());
    refused(at, &["train", "recipe.toml", "--out", "cut"], &["cut/checkpoint.json", "was begun"]);
    refused(at, &["train", "recipe.toml", "--lr", "0.3", "--resume", "--out", "cut"], &["cut/checkpoint", "config"]);
    let otherwise = ["train", "recipe.toml", "--set", "normalisation=per-image", "--resume", "--out", "cut"];
    refused(at, &otherwise, &["cut/checkpoint", "images", "normalisation"]);
    striae(at).args(["train", "recipe.toml", "--resume", "--out", "cut"]).assert().success();
    let read = |file: &str| fs::read(at.join(file)).expect("readable");
    assert!(read("whole/weights.safetensors") == read("cut/weights.safetensors"));
    let metrics = |run: &str| -> Value { serde_json::from_slice(&read(&format!("{run}/metrics.json"))).expect("JSON") };
    assert_eq!(numbers(&metrics("whole")), numbers(&metrics("cut")));
    // What was followed is written down and can be followed again.
    assert_eq!(read("whole/recipe.toml"), read("cut/recipe.toml"));
    assert_eq!(String::from_utf8(read("whole/curve.csv")).expect("text").lines().count(), 5);
    assert!(read("whole/curve.svg").starts_with(b"<svg"));
    striae(at).args(["train", "whole/recipe.toml", "--epochs", "1", "--out", "again"]).assert().success();
}

#[test]
fn bad_recipes_name_file_and_field() {
    let dir = tempfile::tempdir().expect("folder");
    let at = dir.path();
    let refuse = |from: &str, to: &str, words: &[&str]| {
        assert!(RECIPE.contains(from), "{from}");
        fs::write(at.join("r.toml"), RECIPE.replace(from, to)).expect("written");
        refused(at, &["train", "r.toml", "--out", "out"], &[&["r.toml"], words].concat());
        assert!(!at.join("out").exists());
    };
    refuse("cutout = 6", "cutoff = 6", &["line 11", "unknown field `cutoff`"]);
    refuse("mixup = 0.3", "mixup = \"lots\"", &["line 12", "invalid type"]);
    refuse("\"linear\"", "\"spline\"", &["line 9", "unknown variant `spline`"]);
    refuse("lr = 0.1", "lr = 0", &["lr = 0, expected a positive number"]);
    refuse("share = 0.3", "share = 1.5", &["teacher.share = 1.5, expected 0 to 1"]);
    refuse("ema = 0.95", "ema = 1.0", &["ema = 1, expected 0 or more, below 1"]);
    refuse("[training]", "dataset = \"minst\"\n[training]", &["unknown data set \"minst\""]);
    refuse("[training]", "validation = 2\n[training]", &["validation = 2"]);
    refuse("conv(4,k5,s2)", "convo(4)", &["network: "]);
    refuse("1x28x28: conv(4,k5,s2)", "1x28x28 conv(4,k5", &["network: "]);
    refused(at, &["train", "none.toml", "--out", "out"], &["none.toml", "cannot be read"]);
    fs::write(at.join("r.toml"), RECIPE).expect("written");
    refused(at, &["train", "r.toml", "--set", "clip", "--out", "out"], &["--set clip", "expected FIELD=VALUE"]);
    refused(at, &["train", "r.toml", "--set", "clop=1", "--out", "out"], &["clop = 1", "unknown field `clop`"]);
}

#[test]
fn a_loss_that_is_no_number_names_epoch_and_layer() {
    let dir = tempfile::tempdir().expect("folder");
    let net = "1x28x28: flatten linear(16) quad linear(16) quad linear(10,bias)";
    let args = ["train", net, "--subset", "640", "--lr", "1e9", "--set", "clip=0", "--out", "out"];
    let output = striae(dir.path()).args(args).output().expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("diverged in epoch 1, step ") && stderr.contains("first bad value in node n"), "{stderr}");
    assert!(stderr.contains("hint: try a lower learning rate"), "{stderr}");
}
