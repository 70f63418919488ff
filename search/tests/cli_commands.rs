//! Commands that succeed, through the binary.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

fn striae(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("striae").expect("the binary is built");
    command.current_dir(folder).env_remove("STRIAE_CALIBRATION").env_remove("STRIAE_DATA").env("NO_COLOR", "1");
    command
}

#[track_caller]
fn text(folder: &Path, args: &[&str]) -> String {
    let output = striae(folder).args(args).output().expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[track_caller]
fn json(folder: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&text(folder, args)).expect("JSON on stdout and nothing else")
}

#[test]
fn help_and_version_go_to_stdout() {
    let dir = tempfile::tempdir().expect("folder");
    let help = text(dir.path(), &["--help"]);
    for word in ["demo", "space", "cost", "calibrate", "search", "train", "verify", "report", "export", "Exit codes"] {
        assert!(help.contains(word), "{word}");
    }
    assert!(text(dir.path(), &["--version"]).starts_with("striae 0."));
}

#[test]
fn the_zoo_and_the_spaces() {
    let dir = tempfile::tempdir().expect("folder");
    let list = json(dir.path(), &["space", "list", "--json"]);
    let names: Vec<&str> =
        list["networks"].as_array().expect("list").iter().filter_map(|n| n["name"].as_str()).collect();
    assert!(names.contains(&"strianet-mnist") && names.contains(&"resnet20"), "{names:?}");
    assert!(list["spaces"].as_array().expect("list").len() >= 3);
    let toml = text(dir.path(), &["space", "show", "strianet-mnist", "--toml"]);
    fs::write(dir.path().join("mine.toml"), toml).expect("written");
    let args = ["--count", "3", "--seed", "5"];
    let drawn = text(dir.path(), &[["space", "sample", "mine.toml"].as_slice(), &args].concat());
    assert_eq!(drawn, text(dir.path(), &[["space", "sample", "strianet-mnist"].as_slice(), &args].concat()));
    assert_eq!(drawn.lines().count(), 3);
    // What is sampled can be costed.
    let first = drawn.lines().next().expect("a line");
    assert!(json(dir.path(), &["cost", first, "--json"])["networks"][0]["estimate"]["latency"].as_f64() > Some(0.0));
}

#[test]
fn costs_are_for_the_threads_the_security_and_the_precision_asked_for() {
    let dir = tempfile::tempdir().expect("folder");
    let cost = |more: &[&str]| json(dir.path(), &[&["cost", "strianet-mnist", "--json"], more].concat());
    let latency = |costs: &Value| costs["networks"][0]["estimate"]["latency"].as_f64().expect("seconds");
    let log_n = |costs: &Value| costs["networks"][0]["network"]["parameters"]["log_n"].as_u64();
    let (one, two) = (cost(&[]), cost(&["--threads", "2"]));
    assert_eq!((&one["calibration"]["threads"], &two["calibration"]["threads"]), (&1.into(), &2.into()));
    assert!(latency(&two) < latency(&one) && latency(&two) > latency(&one) / 2.0);
    // More threads than were measured take those that were.
    assert_eq!(latency(&cost(&["--threads", "64"])), latency(&two));
    assert!(text(dir.path(), &["cost", "strianet-mnist", "--threads", "2"]).contains("per image on 2 threads"));
    let secure = cost(&["--security", "192"]);
    assert_eq!((log_n(&one), log_n(&secure)), (Some(13), Some(14)));
    assert_eq!(secure["networks"][0]["network"]["parameters"]["security_bits"], 192.0);
    assert_eq!(log_n(&cost(&["--min-precision", "32"])), Some(14));
    let refused = striae(dir.path()).args(["cost", "lola", "--protocol", "cheetah", "--security", "192"]).output();
    assert_eq!(refused.expect("runs").status.code(), Some(2));
}

#[test]
fn primes_no_calibration_measures_are_warned_of() {
    let dir = tempfile::tempdir().expect("folder");
    let cost = |params: &str| {
        let args = ["cost", "1x28x28: conv(4,k5,s2) quad flatten linear(10,bias)", "--json", "--params", params];
        let output = striae(dir.path()).args(args).output().expect("runs");
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let calibrated = document["networks"][0]["estimate"]["calibrated"].as_bool().expect("a flag");
        (
            calibrated,
            String::from_utf8(output.stderr).expect("UTF-8").contains("warning: the chain has primes above 50"),
        )
    };
    assert_eq!(cost("N=2^14 Q=60,45,45,45 P=60 scale=2^45"), (false, true));
    assert_eq!(cost("N=2^14 Q=50,45,45,45 P=50 scale=2^45"), (true, false));
}

/// Two StriaBlocks with a quarter of the channels in the middle, for the 8192 slots of N = 2^14.
const STRIA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/stria-blocks.txt");

#[test]
fn a_stria_network_beside_its_plain_counterpart() {
    let dir = tempfile::tempdir().expect("folder");
    let args = ["cost", STRIA, "--against", "plain", "--factored"];
    let costs = json(dir.path(), &[args.as_slice(), &["--json"]].concat());
    let rotations = |i: usize, kind: &str| costs["networks"][i]["rotations"][kind].as_u64().expect("a count");
    assert_eq!(rotations(0, "external"), 0);
    assert!(rotations(1, "external") > 0);
    let (stria, plain) = (rotations(0, "internal"), rotations(1, "internal"));
    assert!(stria * 100 <= plain * 19, "{stria} of {plain}");
    assert!(costs["blocks"][0]["internal_share"].as_f64() <= Some(0.19));
    assert_eq!(costs["networks"][0]["params"], costs["networks"][1]["params"], "compared at equal parameters");
    let table = text(dir.path(), &args);
    for row in
        ["rotations, internal", "rotations, external", "0.0 %", "in the 2 StriaBlocks alone", "calibration: generic"]
    {
        assert!(table.contains(row), "{row} in\n{table}");
    }
}

#[test]
fn the_layers_of_a_network_add_up() {
    let dir = tempfile::tempdir().expect("folder");
    let costs = json(dir.path(), &["cost", "strianet-mnist", "--json"]);
    let network = &costs["networks"][0];
    let sum = |key: &str| -> u64 {
        network["steps"].as_array().expect("list").iter().filter_map(|s| s["rotations"][key].as_u64()).sum()
    };
    for kind in ["internal", "external", "mixing", "merge", "dense"] {
        assert_eq!(Some(sum(kind)), network["rotations"][kind].as_u64(), "{kind}");
    }
    let layers = network["network"]["layers"].as_array().expect("list");
    let time: f64 = layers.iter().filter_map(|l| l["predicted"].as_f64()).sum();
    assert!((time / network["network"]["latency_predicted"].as_f64().expect("number") - 1.0).abs() < 1e-9);
    assert_eq!(network["insecure"], false);
    assert_eq!(costs["calibration"]["generic"], true);
}

#[test]
fn a_batch_shares_its_cost() {
    let dir = tempfile::tempdir().expect("folder");
    let text = text(dir.path(), &["cost", "strianet-mnist", "--batch", "64", "--packing", "row-major"]);
    assert!(text.contains("64 images per batch, "), "{text}");
    assert!(text.contains(" per image, peak "), "{text}");
    let costs = json(dir.path(), &["cost", "strianet-mnist", "--batch", "64", "--json"]);
    assert_eq!(costs["networks"][0]["batch"]["images"], 64);
}

#[test]
fn the_cheapest_of_packings_and_degrees_is_never_dearer() {
    let dir = tempfile::tempdir().expect("folder");
    let seconds = |more: &[&str]| {
        let costs = json(dir.path(), &[&["cost", "hefnet-g8", "--json"], more].concat());
        costs["networks"][0]["network"]["latency_predicted"].as_f64().expect("number")
    };
    let (of_packings, of_degrees) = (seconds(&["--packing", "cheapest"]), seconds(&["--degree", "cheapest"]));
    let named = ["multiplexed", "row-major", "multiplexed-bsgs", "block:2"].map(|p| seconds(&["--packing", p]));
    assert!(of_packings <= named.into_iter().fold(f64::INFINITY, f64::min), "{of_packings} of {named:?}");
    assert!(of_degrees <= seconds(&["--degree", "smallest"]));
    assert!(seconds(&["--packing", "cheapest", "--degree", "cheapest"]) <= of_packings.min(of_degrees));
}

#[test]
fn an_explanation_names_the_change_that_saves_most() {
    let dir = tempfile::tempdir().expect("folder");
    let costs = json(dir.path(), &["cost", "lenet-like", "--explain", "--json"]);
    let (network, explanation) = (&costs["networks"][0], &costs["explanation"]);
    let steps = explanation["steps"].as_array().expect("list");
    assert_eq!(Some(steps.len()), network["steps"].as_array().map(Vec::len));
    let best = &explanation["changes"][0];
    let change = best["change"].as_str().expect("text");
    assert_eq!(change, "n5 conv(64,k5) -> ExRot-Free in 16 groups");
    let text = text(dir.path(), &["cost", "lenet-like", "--explain"]);
    assert!(text.contains(&format!("the single change that would save most: {change}: ")), "{text}");
    let plain = json(dir.path(), &["cost", "lenet-like", "--json"]);
    assert!(plain.get("explanation").is_none() && plain["networks"] == costs["networks"]);
}

#[test]
fn networks_of_any_depth_are_counted() {
    let dir = tempfile::tempdir().expect("folder");
    let counted = json(dir.path(), &["cost", "resnet110", "--count", "32768", "--json"]);
    assert_eq!((&counted["levels"], &counted["slots"]), (&219.into(), &32768.into()));
    let squares = counted["counts"]["squares"].as_u64().expect("number");
    let layers = counted["layers"].as_array().expect("list");
    assert_eq!(layers.iter().filter_map(|l| l["squares"].as_u64()).sum::<u64>(), squares);
    assert!(squares >= 109, "{squares}");
    let text = text(dir.path(), &["cost", "resnet110", "--count", "32768"]);
    assert!(text.contains("219; bootstrappings are not counted"), "{text}");
}

#[test]
fn insecure_parameters_are_loud() {
    let dir = tempfile::tempdir().expect("folder");
    let weak = "N=2^12 Q=45,30,30,30,30,30 P=46 scale=2^30";
    let output = striae(dir.path())
        .args(["cost", "1x8x8: conv(4,k3) quad flatten linear(10)", "--params", weak, "--insecure", "--quiet"])
        .output()
        .expect("runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stdout.contains("INSECURE") && stderr.contains("INSECURE"), "{stdout}\n{stderr}");
}

#[test]
fn the_progress_of_a_training_is_on_stderr_and_its_files_belong_together() {
    let dir = tempfile::tempdir().expect("folder");
    let net = "1x28x28: conv(4,k5,s2) bn quad flatten linear(10,bias)";
    let args = ["train", net, "--epochs", "1", "--subset", "256", "--seed", "7", "--out"];
    let metrics = json(dir.path(), &[args.as_slice(), &["a", "--json"]].concat());
    assert_eq!(metrics["history"].as_array().map(Vec::len), Some(1));
    let folded = dir.path().join("a/architecture.json");
    let graph = striae_spaces::TypedGraph::from_json(&fs::read_to_string(folded).expect("readable")).expect("JSON");
    let weights = striae_spaces::WeightStore::load(&dir.path().join("a/weights.safetensors")).expect("readable");
    weights.check(&graph).expect("the weights belong to the network");
    assert!(!graph.to_string().contains("bn"), "batch norms are folded");
    // One seed gives one result, at any number of threads.
    let again = json(dir.path(), &[args.as_slice(), &["b", "--json", "--quiet", "--threads", "1"]].concat());
    assert_eq!(metrics["test"], again["test"]);
}

#[test]
fn a_small_study_from_search_to_bundle() {
    let dir = tempfile::tempdir().expect("folder");
    let at = dir.path();
    let study = "name = \"tiny\"\ndataset = \"glyphs\"\nspace = \"strianet-glyphs\"\nseed = 3\n\
        budget = { trials = 4 }\nbaseline_trials = 1\n\
        sampler = { kind = \"nsga2\", population = 2 }\nlimits = { max_log_n = 13 }\n\
        training = { short = { epochs = 1, subset = 256 }, full = { epochs = 1, subset = 512 } }\n\
        verify = { images = 2, top = 1 }\n";
    fs::write(at.join("tiny.toml"), study).expect("written");
    let found = json(at, &["search", "tiny.toml", "--json", "--threads", "2"]);
    assert_eq!(found["counts"]["total"], 4);
    assert_eq!(found["counts"]["verified"], 1);
    assert_eq!(found["networks"][0]["verification"]["argmax_agrees"], 2);
    // Again: everything is there, nothing is done twice.
    assert_eq!(json(at, &["search", "tiny.toml", "--json"])["trials"], found["trials"]);

    let page = json(at, &["report", "tiny.toml", "--json"])["page"].as_str().expect("a path").to_owned();
    let html = fs::read_to_string(at.join(page)).expect("readable");
    assert!(html.contains("<svg") && !html.contains("http-equiv=\"refresh\""));
    for file in ["pareto.svg", "pareto.png", "prediction.svg", "prediction.png", "trials.csv"] {
        assert!(at.join("tiny.striae/report").join(file).exists(), "{file}");
    }

    let trial =
        found["trials"].as_array().expect("list").iter().find(|t| t["state"] == "verified").expect("one")["number"]
            .to_string();
    text(at, &["export", "tiny.toml", "--trial", &trial, "--out", "bundle"]);
    let card = fs::read_to_string(at.join("bundle/MODEL_CARD.md")).expect("readable");
    assert!(card.contains("weights.safetensors") && card.contains("| same class as in the clear | 2 of 2 |"));
    let checked = json(at, &["verify", "bundle", "--images", "1", "--json"]);
    assert_eq!(checked[0]["passed"], true);
    assert!(json(at, &["cost", "bundle", "--json"])["networks"][0]["params"].is_string());
}

/// Ctrl-C: orderly end, its own exit code, and what was finished is kept.
#[cfg(unix)]
#[test]
fn an_interrupted_search_keeps_what_it_has() {
    use std::process::{Command as Process, Stdio};
    use std::time::{Duration, Instant};
    let dir = tempfile::tempdir().expect("folder");
    let at = dir.path();
    let study = "name = \"long\"\ndataset = \"glyphs\"\nspace = \"strianet-glyphs\"\nseed = 3\n\
        budget = { trials = 1000 }\nlimits = { max_log_n = 13 }\n\
        training = { short = { epochs = 1, subset = 256 }, full = { epochs = 1 } }\n";
    fs::write(at.join("long.toml"), study).expect("written");
    let mut search = Process::new(assert_cmd::cargo::cargo_bin("striae"))
        .current_dir(at)
        .args(["search", "long.toml", "--json"])
        .env_remove("STRIAE_CALIBRATION")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    let deadline = Instant::now() + Duration::from_mins(1);
    let finished = || {
        let store = striae_search::storage::Store::open(at.join("long.striae.sqlite3")).ok()?;
        let trials = store.trials(store.load_study("long").ok()?.id).ok()?;
        trials.iter().any(|t| t.state == striae_search::TrialState::Complete).then_some(())
    };
    while finished().is_none() {
        assert!(Instant::now() < deadline, "no trial in a minute");
        std::thread::sleep(Duration::from_millis(100));
    }
    let interrupt = Process::new("kill").args(["-INT", &search.id().to_string()]).status().expect("kill runs");
    assert!(interrupt.success());
    let code = search.wait().expect("ends").code();
    assert_eq!(code, Some(130));
    assert!(finished().is_some(), "its trials are in the store");
}
