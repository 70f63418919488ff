//! Studies under a hybrid protocol, through the binary: rectifiers are trained, estimates are those of `striae cost`, and
//! nothing is run or exported.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

const BODY: &str = r#"
name = "tiny"
dataset = "glyphs"
space = "strianet-glyphs"
seed = 3
baseline_trials = 1
budget = { trials = 4 }
sampler = { kind = "nsga2", population = 2 }
training = { short = { epochs = 1, subset = 256 }, full = { epochs = 1, subset = 512 } }
"#;

fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::cargo_bin("striae").expect("the binary is built");
    command.current_dir(folder).env_remove("STRIAE_CALIBRATION").env_remove("STRIAE_DATA").env("NO_COLOR", "1");
    let output = command.args(args).output().expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn text(folder: &Path, args: &[&str]) -> String {
    let (code, stdout, stderr) = run(folder, args);
    assert_eq!(code, Some(0), "{args:?}: {stderr}");
    stdout
}

#[track_caller]
fn json(folder: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&text(folder, args)).expect("JSON on stdout and nothing else")
}

#[track_caller]
fn refused(folder: &Path, args: &[&str], message: &str, hint: &str) {
    let (code, stdout, stderr) = run(folder, args);
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    let mut lines = stderr.lines();
    assert!(lines.any(|line| line.starts_with("error: ") && line.contains(message)), "{stderr}");
    assert!(lines.any(|line| line.starts_with("hint: ") && line.contains(hint)), "{stderr}");
}

fn write(folder: &Path, more: &str) {
    fs::write(folder.join("tiny.toml"), format!("{more}\n{BODY}")).expect("written");
}

/// That trials of a study cost what `striae cost` says of their networks.
fn assert_costs(folder: &Path, trials: &Value, protocol: &str, link: &str) {
    let costed = trials.as_array().expect("list").iter().filter(|t| t["latency"].is_number());
    let mut count = 0;
    for trial in costed {
        let net = trial["notation"].as_str().expect("a network");
        assert!(net.contains(" relu") && !net.contains("quad"), "{net}");
        let args = ["cost", net, "--protocol", protocol, "--network", link, "--threads", "1", "--json"];
        let costs = &json(folder, &args)["networks"][0];
        assert_eq!(trial["latency"].as_f64(), costs["latency"][0].as_f64().map(|s| s * 1e3 / 1e3));
        let sent = ["upload", "download", "two_party"].map(|part| costs["total"][part].as_u64().expect("bytes"));
        assert_eq!(trial["communication"].as_u64(), Some(sent.iter().sum()));
        count += 1;
    }
    assert!(count >= 4, "{count} of them");
}

/// A study from search to report, and what is refused after it.
fn a_study(protocol: &str, link: &str, called: &str) {
    let dir = tempfile::tempdir().expect("folder");
    let at = dir.path();
    write(at, &format!("protocol = \"{protocol}\"\nlink = \"{link}\"\nreferences = [\"strianet-mnist\"]"));
    let found = json(at, &["search", "tiny.toml", "--json", "--threads", "2"]);
    assert_eq!((&found["protocol"], &found["estimated_only"]), (&called.into(), &true.into()));
    assert_eq!((&found["counts"]["total"], &found["counts"]["verified"]), (&4.into(), &0.into()));
    assert_costs(at, &found["trials"], protocol, link);
    let pick = &found["networks"][0];
    assert!(pick["accuracy_test"].is_number() && pick["verification"].is_null());
    assert_eq!(pick["hybrid"]["protocol"], called);
    let layers = pick["layers"].as_array().expect("list");
    let time: f64 = layers.iter().filter_map(|l| l["predicted"].as_f64()).sum();
    assert!((time / pick["latency_predicted"].as_f64().expect("seconds") - 1.0).abs() < 1e-9);
    let points = found["pareto"]["points"].as_array().expect("list");
    let reference = points.iter().find(|p| p["kind"] == "reference").expect("the reference");
    let args = ["cost", "strianet-mnist", "--protocol", protocol, "--network", link, "--threads", "1", "--json"];
    let cost = json(at, &args)["networks"][0]["latency"][0].as_f64().expect("seconds");
    assert!((reference["cost"].as_f64().expect("seconds") / cost - 1.0).abs() < 1e-12);
    // Again: everything is there, nothing is done twice, and the terminal says what latencies are.
    let table = text(at, &["search", "tiny.toml"]);
    let caveat = format!("latencies are estimates under {called}, not runs: Striae runs the ckks protocol only");
    assert!(table.contains("estimated") && table.contains(&caveat), "{table}");

    assert!(text(at, &["report", "tiny.toml"]).contains(&caveat));
    let report = at.join("tiny.striae/report");
    let page = fs::read_to_string(report.join("report.html")).expect("readable");
    assert!(page.contains(&caveat) && page.contains(&format!("under {protocol} over {link}")));
    assert!(!page.contains("Predicted against measured") && !page.contains("run encrypted"));
    assert!(report.join("pareto.svg").exists() && !report.join("prediction.svg").exists());

    let message = format!("tiny.toml: protocol: {protocol} is estimated, not run");
    refused(at, &["verify", "tiny.toml"], &message, "striae report tiny.toml");
    refused(at, &["export", "tiny.toml", "--trial", "0", "--out", "bundle"], &message, "trained weights");
    assert!(!at.join("bundle").exists());

    // A store is not shown as that of another protocol.
    write(at, "");
    for command in ["search", "report"] {
        refused(
            at,
            &[command, "tiny.toml"],
            &format!("tiny.toml: protocol is absent, the study was begun with \"{protocol}\""),
            "restore the field",
        );
    }
    refused(at, &["verify", "tiny.toml"], &message, "striae report tiny.toml");
}

#[test]
fn a_study_under_cryptflow2() {
    a_study("cryptflow2", "lan", "cryptflow2 over lan (384 MB/s, 0.3 ms)");
}

#[test]
fn a_study_under_cheetah() {
    a_study("cheetah", "wan", "cheetah over wan (44 MB/s, 40 ms)");
}

#[test]
fn communication_is_an_objective_and_a_limit() {
    let dir = tempfile::tempdir().expect("folder");
    let at = dir.path();
    let study = "protocol = \"cheetah\"\nlink = \"lan\"\nobjectives = [\"accuracy\", \"communication\"]\n\
        limits = { communication_mib = 4.0 }";
    write(at, study);
    let found = json(at, &["search", "tiny.toml", "--json", "--threads", "2"]);
    assert_eq!((&found["pareto"]["axis"], &found["pareto"]["budget"]), (&"communication".into(), &4.0.into()));
    let store = striae_search::storage::Store::open(at.join("tiny.striae.sqlite3")).expect("a store");
    let trials = store.trials(store.load_study("tiny").expect("the study").id).expect("trials");
    for trial in trials {
        let sent = found["trials"][trial.number as usize]["communication"].as_u64();
        let mib = sent.map(|bytes| bytes as f64 / f64::from(1u32 << 20)).expect("every network is costed");
        match trial.values.get(1) {
            Some(value) => assert!(*value == mib && mib <= 4.0, "{value} {mib}"),
            None => assert!(mib > 4.0, "{mib}"),
        }
    }
}

#[test]
fn what_a_hybrid_protocol_has_no_use_for_is_refused() {
    let dir = tempfile::tempdir().expect("folder");
    let at = dir.path();
    let hint = "leave the field out";
    for (more, message) in [
        ("protocol = \"cheetah\"\nlink = \"lan\"\nlimits = { max_log_n = 13 }", "limits.max_log_n has no use under"),
        (
            "protocol = \"cryptflow2\"\nlink = \"lan\"\npackings = [\"row-major\"]",
            "packings has no use under cryptflow2",
        ),
        ("link = \"lan\"", "link has no use under ckks"),
    ] {
        write(at, more);
        refused(at, &["search", "tiny.toml"], &format!("tiny.toml: {message}"), hint);
    }
    write(at, "protocol = \"cheetah\"");
    refused(at, &["search", "tiny.toml"], "tiny.toml: link is absent", "correct the field");
    write(at, "protocol = \"cheetah\"\nlink = \"lan\"");
    refused(
        at,
        &["search", "tiny.toml", "--memory", "1GiB"],
        "--memory: it limits encrypted runs",
        "leave --memory out",
    );
    assert!(!at.join("tiny.striae.sqlite3").exists() && !at.join("tiny.striae").exists(), "nothing is written");
}
