//! Client and server by file, through the binary: the decrypted class is that of the network in the clear, the server does
//! without the secret key, and every wrong or damaged file is refused with nothing written.

#[cfg(target_os = "linux")]
mod trace;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Value, json};
use striae_cost_model::{Calibration, Lowerer, PlanOptions, Strategy, StrategyChoice};
use striae_he_eval::reference;
use striae_search::bundle::Manifest;
use striae_spaces::{Tensor, TypedGraph, WeightStore, param_specs};
use tempfile::TempDir;

const SMALL: &str = "1x28x28: conv(4,k5,s2) quad flatten linear(10,bias)";

fn striae(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("striae").expect("the binary is built");
    command.current_dir(folder).env_remove("STRIAE_CALIBRATION").env_remove("STRIAE_DATA").env("NO_COLOR", "1");
    command
}

/// Every file and folder below `folder`, with its contents' hash.
fn listing(folder: &Path) -> Vec<(PathBuf, Option<blake3::Hash>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(listing(&path));
            found.push((path, None));
        } else {
            let hash = blake3::hash(&fs::read(&path).expect("readable"));
            found.push((path, Some(hash)));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Runs the command and checks the form of its refusal; `words` must stand in the error's line.
#[track_caller]
fn refused(folder: &Path, args: &[&str], words: &[&str]) {
    let before = listing(folder);
    let output = striae(folder).args(args).arg("--quiet").output().expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    let lines: Vec<&str> = stderr.lines().collect();
    let [error, "", hint] = lines.as_slice() else { panic!("{args:?}: not an error and a hint:\n{stderr}") };
    assert!(error.starts_with("error: ") && hint.starts_with("hint: "), "{stderr}");
    for word in words {
        assert!(error.contains(word), "{args:?}: `{word}` is missing in: {error}");
    }
    assert!(listing(folder) == before, "{args:?}: files were written");
}

/// Runs the command and returns its JSON.
#[track_caller]
fn done(folder: &Path, args: &[&str]) -> Value {
    let output = striae(folder).args(args).args(["--quiet", "--json"]).output().expect("runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A bundle in `<at>/<name>`, and its network.
fn bundle(at: &Path, name: &str, network: &str, parameters: &str) -> (TypedGraph, WeightStore) {
    bundle_lowered(at, name, network, parameters, StrategyChoice::Cheapest)
}

/// The same with a choice of how it is lowered.
fn bundle_lowered(
    at: &Path,
    name: &str,
    network: &str,
    parameters: &str,
    strategy: StrategyChoice,
) -> (TypedGraph, WeightStore) {
    let graph: TypedGraph = network.parse().expect("notation");
    let mut weights = WeightStore::default();
    for (k, spec) in param_specs(&graph).into_iter().enumerate() {
        let len: usize = spec.shape.iter().product();
        let value = |i: usize| ((i * 7919 + k * 31) % 1009) as f32 / 1009.0 - 0.5;
        weights.insert(spec.name, Tensor { shape: spec.shape, data: (0..len).map(|i| 0.2 * value(i)).collect() });
    }
    let folder = at.join(name);
    fs::create_dir_all(&folder).expect("created");
    fs::write(folder.join("architecture.json"), graph.to_json()).expect("written");
    weights.save(&folder.join("weights.safetensors")).expect("written");
    let params = Some(parameters.parse().expect("parameters"));
    let options = PlanOptions { params, strategy, ..PlanOptions::default() };
    let plan = Lowerer::new(&Calibration::generic()).plan(&graph, &options).expect("planned");
    let manifest = json!({
        "format": 3, "study": "s", "trial": 0, "trained_arch_id": "0123456789abcdef", "dataset": "glyphs", "data_seed": 1,
        "normalisation": {"mean": [0.1], "std": [0.3]}, "parameters": parameters, "insecure": false,
        "lowering": plan.recipe(), "calibration": "", "program": Manifest::fingerprint(&plan.program), "created": "",
    });
    fs::write(folder.join("bundle.json"), manifest.to_string()).expect("written");
    (graph, weights)
}

const PARAMETERS: &str = "N=2^13 Q=45,35,35,35 P=46 scale=2^35";

fn keygen(at: &Path, bundle: &str, prefix: &str) -> Value {
    let names = [format!("{prefix}.key"), format!("{prefix}.keys")];
    done(at, &["keygen", bundle, "--out-secret", &names[0], "--out-keys", &names[1]])
}

fn image(seed: usize) -> Vec<f32> {
    (0..784).map(|i| ((i * (seed + 3) * 37) % 255) as f32 / 255.0 - 0.4).collect()
}

fn argmax(values: &[f64]) -> usize {
    values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).expect("not empty").0
}

const INFER: [&str; 8] = ["infer", "bundle", "--keys", "a.keys", "--in", "image.ct", "--out", "result.ct"];
const DECRYPT: [&str; 6] = ["decrypt", "bundle", "--key", "a.key", "--in", "result.ct"];

/// A folder with a bundle, a key pair `a` and an encrypted image; what the network makes of that image in the clear.
fn prepared() -> (TempDir, Vec<f64>) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let at = dir.path();
    let (graph, weights) = bundle(at, "bundle", SMALL, PARAMETERS);
    keygen(at, "bundle", "a");
    let image = image(1);
    fs::write(at.join("image.f32"), image.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>()).expect("written");
    fs::write(at.join("image.json"), serde_json::to_string(&image).expect("JSON")).expect("written");
    done(at, &["encrypt", "bundle", "--key", "a.key", "--image", "image.f32", "--out", "image.ct"]);
    (dir, reference::logits(&graph, &weights, &image).expect("clear"))
}

#[test]
fn the_whole_way() {
    let (dir, clear) = prepared();
    let at = dir.path();
    // The server has no secret key, and the client no weights.
    let server = tempfile::tempdir().expect("temporary folder");
    fs::create_dir(server.path().join("bundle")).expect("created");
    for file in ["a.keys", "image.ct", "bundle/bundle.json", "bundle/architecture.json", "bundle/weights.safetensors"] {
        fs::copy(at.join(file), server.path().join(file)).expect("copied");
    }
    fs::remove_file(at.join("bundle/weights.safetensors")).expect("removed");
    fs::remove_file(at.join("a.keys")).expect("removed");
    assert!(done(server.path(), &INFER)["latency_ms"].as_f64().expect("a number") > 0.0);
    fs::copy(server.path().join("result.ct"), at.join("result.ct")).expect("copied");
    let result = done(at, &DECRYPT);
    let logits: Vec<f64> = serde_json::from_value(result["logits"].clone()).expect("numbers");
    assert_eq!(result["class"], argmax(&clear));
    let error = logits.iter().zip(&clear).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(logits.len() == 10 && error < 1e-3, "error {error:e}");
    let text = striae(at).args(DECRYPT).output().expect("runs").stdout;
    assert!(String::from_utf8_lossy(&text).starts_with(&format!("class: {}\nlogits: ", argmax(&clear))));
    // The same image as a list of numbers, and one of the data set.
    done(at, &["encrypt", "bundle", "--key", "a.key", "--image", "image.json", "--out", "list.ct"]);
    done(at, &["encrypt", "bundle", "--key", "a.key", "--dataset", "glyphs", "--index", "3", "--out", "glyph.ct"]);
    // Encryption is randomised.
    assert_ne!(fs::read(at.join("list.ct")).expect("readable"), fs::read(at.join("image.ct")).expect("readable"));
}

#[test]
fn weights_may_be_outside_of_memory() {
    fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
        [&INFER, ["--force"].as_slice(), args].concat()
    }
    let (dir, _) = prepared();
    let at = dir.path();
    let memory = &done(at, &["cost", SMALL, "--params", PARAMETERS])["networks"][0]["estimate"]["memory"];
    let needed = memory.as_object().expect("by what it holds").values().filter_map(Value::as_u64).sum::<u64>();
    let less = (needed - 1).to_string();
    done(at, &INFER);
    let expected = fs::read(at.join("result.ct")).expect("readable");
    for args in [["--memory", "8GiB"], ["--memory", &less], ["--weights", "w"], ["--weights", "w"]] {
        done(at, &with(&args));
        assert!(fs::read(at.join("result.ct")).expect("readable") == expected, "{args:?}");
    }
    let fails = |args: &[&str], words: &[&str]| refused(at, &with(args), words);
    fails(&["--memory", "1KiB"], &["a memory budget of 1.0 KiB is too small"]);
    fails(&["--memory", "much"], &["`much` is no size", "8GiB"]);
    fails(&["--memory", &less, "--weights-dir", "nowhere"], &["cannot be made in nowhere"]);
    fails(&["--weights", "a.keys"], &["a.keys: kind: the file holds evaluation keys"]);
    let mut damaged = fs::read(at.join("w")).expect("readable");
    *damaged.last_mut().expect("not empty") ^= 1;
    fs::write(at.join("w"), damaged).expect("written");
    fails(&["--weights", "w"], &["w: checksum"]);
}

#[test]
fn the_bundle_says_how_it_is_lowered() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let at = dir.path();
    let (graph, weights) =
        bundle_lowered(at, "bundle", SMALL, PARAMETERS, StrategyChoice::Always(Strategy::BabyGiant { babies: 4 }));
    bundle(at, "cheapest", SMALL, PARAMETERS);
    keygen(at, "bundle", "a");
    let image = image(2);
    fs::write(at.join("image.json"), serde_json::to_string(&image).expect("JSON")).expect("written");
    done(at, &["encrypt", "bundle", "--key", "a.key", "--image", "image.json", "--out", "image.ct"]);
    // The same network and parameters, but another program.
    refused(at, &["infer", "cheapest", "--keys", "a.keys", "--in", "image.ct", "--out", "r"], &["a.keys: network"]);
    done(at, &INFER);
    let class = &done(at, &DECRYPT)["class"];
    assert_eq!(*class, argmax(&reference::logits(&graph, &weights, &image).expect("clear")));
    fs::remove_file(at.join("result.ct")).expect("removed");
    let file = at.join("bundle/bundle.json");
    let text = fs::read_to_string(&file).expect("readable");
    let refused_as = |from: &str, to: &str, words: &[&str]| {
        assert!(text.contains(from));
        fs::write(&file, text.replace(from, to)).expect("written");
        refused(at, &INFER, words);
        refused(at, &["keygen", "bundle", "--out-secret", "k", "--out-keys", "ks"], words);
    };
    refused_as("\"babies\":4", "\"babies\":2", &["bundle: program: the network lowers to"]);
    refused_as("\"babies\":4", "\"babies\":0", &["bundle: network: the recorded lowering has BabyGiant { babies: 0 }"]);
    refused_as("\"fuse\":true", "\"fuze\":true", &["bundle/bundle.json: unknown field `fuze`"]);
    refused_as("\"format\":3", "\"format\":2", &["bundle/bundle.json: format: is 2, this version reads 3"]);
}

#[test]
fn an_upload_is_what_was_estimated() {
    let (dir, _) = prepared();
    let upload = done(dir.path(), &["cost", SMALL, "--params", PARAMETERS])["networks"][0]["estimate"]["upload"]
        .as_u64()
        .expect("a number");
    let file = fs::metadata(dir.path().join("image.ct")).expect("there").len();
    // Header, label, numbers and checksum come on top.
    assert!((upload..upload + 200).contains(&file), "{file} bytes, {upload} were estimated");
}

#[cfg(unix)]
#[test]
fn an_interrupted_command_leaves_nothing() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let at = dir.path();
    bundle(at, "bundle", SMALL, PARAMETERS);
    let before = listing(at);
    let parts = || {
        let mut entries = fs::read_dir(at).expect("readable");
        entries.any(|entry| entry.expect("listed").path().extension().is_some_and(|e| e == "part"))
    };
    // The command may be done before the signal arrives; then once more.
    for _ in 0..20 {
        let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("striae"))
            .args(["keygen", "bundle", "--out-secret", "a.key", "--out-keys", "a.keys", "--quiet"])
            .current_dir(at)
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("starts");
        while !parts() && child.try_wait().expect("our child").is_none() {}
        let id = child.id().to_string();
        let _ = std::process::Command::new("kill").args(["-INT", &id]).status();
        let status = child.wait().expect("our child");
        assert!(!parts(), "{status}");
        if status.code() == Some(130) {
            assert!(listing(at) == before, "{:?}", listing(at));
            return;
        }
        assert!(status.success(), "{status}");
        fs::remove_file(at.join("a.key")).and_then(|()| fs::remove_file(at.join("a.keys"))).expect("removed");
    }
    panic!("no signal arrived in time");
}

#[cfg(unix)]
#[test]
fn secret_keys_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("temporary folder");
    bundle(dir.path(), "bundle", SMALL, PARAMETERS);
    keygen(dir.path(), "bundle", "a");
    let mode = |name: &str| fs::metadata(dir.path().join(name)).expect("there").permissions().mode();
    assert_eq!(mode("a.key") & 0o777, 0o600);
    assert_eq!(mode("a.keys") & 0o600, 0o600);
}

#[test]
fn the_server_takes_no_secret_key() {
    let (dir, _) = prepared();
    let at = dir.path();
    let words = ["a.key: kind: the file holds a secret key", "a server must never have"];
    refused(at, &["infer", "bundle", "--keys", "a.key", "--in", "image.ct", "--out", "result.ct"], &words);
    refused(at, &["infer", "bundle", "--keys", "a.keys", "--in", "a.key", "--out", "result.ct"], &words);
    refused(
        at,
        &["infer", "bundle", "--keys", "a.keys", "--in", "a.keys", "--out", "r"],
        &["a.keys: kind", "expected"],
    );
    refused(at, &["infer", "bundle", "--keys", "image.ct", "--in", "image.ct", "--out", "r"], &["image.ct: kind"]);
    refused(at, &["decrypt", "bundle", "--key", "a.keys", "--in", "image.ct"], &["a.keys: kind"]);
}

#[test]
fn keys_networks_and_contents_do_not_mix() {
    let (dir, _) = prepared();
    let at = dir.path();
    done(at, &INFER);
    keygen(at, "bundle", "b");
    refused(at, &["infer", "bundle", "--keys", "b.keys", "--in", "image.ct", "--out", "r"], &["image.ct: key id"]);
    refused(at, &["decrypt", "bundle", "--key", "b.key", "--in", "result.ct"], &["result.ct: key id"]);
    refused(at, &["decrypt", "bundle", "--key", "a.key", "--in", "image.ct"], &["image.ct: content", "an image"]);
    refused(at, &["infer", "bundle", "--keys", "a.keys", "--in", "result.ct", "--out", "r"], &["result.ct: content"]);
    // Other parameters, and another network of the same parameters.
    bundle(at, "wider", SMALL, "N=2^13 Q=46,35,35,35 P=46 scale=2^35");
    refused(at, &["infer", "wider", "--keys", "a.keys", "--in", "image.ct", "--out", "r"], &["a.keys: fingerprint"]);
    refused(at, &["decrypt", "wider", "--key", "a.key", "--in", "result.ct"], &["a.key: fingerprint"]);
    bundle(at, "other", "1x28x28: conv(4,k5,s2) quad flatten linear(9,bias)", PARAMETERS);
    refused(at, &["infer", "other", "--keys", "a.keys", "--in", "image.ct", "--out", "r"], &["a.keys: network"]);
    refused(at, &["decrypt", "other", "--key", "a.key", "--in", "result.ct"], &["result.ct: network"]);
    bundle(at, "larger", "1x28x28: conv(4,k7,s1) quad flatten linear(10,bias)", PARAMETERS);
    refused(at, &["infer", "larger", "--keys", "a.keys", "--in", "image.ct", "--out", "r"], &["a.keys: network"]);
}

#[test]
fn damaged_files_are_refused() {
    let (dir, _) = prepared();
    let at = dir.path();
    done(at, &INFER);
    let infer = ["infer", "bundle", "--keys", "a.keys", "--in", "image.ct", "--out", "again.ct"];
    let cases: [(&str, &[&str]); 4] = [
        ("a.keys", &infer),
        ("image.ct", &infer),
        ("result.ct", &DECRYPT),
        ("a.key", &["encrypt", "bundle", "--key", "a.key", "--image", "image.f32", "--out", "again.ct"]),
    ];
    for (name, args) in cases {
        let path = at.join(name);
        let good = fs::read(&path).expect("readable");
        let damage = |bytes: &[u8], words: &str| {
            fs::write(&path, bytes).expect("written");
            refused(at, args, &[name, words]);
        };
        let flipped = |place: usize| {
            let mut bytes = good.clone();
            bytes[place] ^= 1;
            bytes
        };
        damage(&good[..good.len() / 2], "payload: truncated");
        damage(&good[..20], "header: truncated");
        damage(&[], "header: truncated");
        damage(&flipped(good.len() / 2), "checksum");
        damage(&flipped(good.len() - 1), "checksum");
        damage(&flipped(0), "magic");
        damage(&flipped(7), "version");
        damage(&[&good[..], b"more"].concat(), "file: has 4 bytes too many");
        damage(b"this is no such file", "magic");
        fs::write(&path, &good).expect("written");
        let moved = at.join("moved");
        fs::rename(&path, &moved).expect("moved");
        refused(at, args, &[name, "No such file"]);
        fs::rename(&moved, &path).expect("moved");
    }
    refused(at, &["decrypt", "bundle", "--key", "a.key", "--in", "bundle"], &["bundle: cannot be read: not a file"]);
}

#[test]
fn nothing_is_replaced_unasked() {
    let (dir, _) = prepared();
    let at = dir.path();
    let keygen = ["keygen", "bundle", "--out-secret", "a.key", "--out-keys", "new.keys"];
    refused(at, &keygen, &["a.key: exists already"]);
    refused(at, &["keygen", "bundle", "--out-secret", "new.key", "--out-keys", "a.keys"], &["a.keys: exists already"]);
    refused(at, &["keygen", "bundle", "--out-secret", "k", "--out-keys", "k"], &["k: --out-secret and --out-keys"]);
    let encrypt = |out| ["encrypt", "bundle", "--key", "a.key", "--image", "image.f32", "--out", out];
    refused(at, &encrypt("image.ct"), &["image.ct: exists already"]);
    refused(at, &["infer", "bundle", "--keys", "a.keys", "--in", "image.ct", "--out", "image.ct"], &["exists already"]);
    // Even then no other kind of file.
    let forced = |args: &[&'static str]| [args, &["--force"]].concat();
    refused(at, &forced(&encrypt("a.key")), &["a.key: exists already and holds a secret key"]);
    refused(at, &forced(&encrypt("image.json")), &["image.json: exists already and holds something else"]);
    let before = fs::read(at.join("image.ct")).expect("readable");
    done(at, &forced(&encrypt("image.ct")));
    assert_ne!(fs::read(at.join("image.ct")).expect("readable"), before);
    done(at, &forced(&keygen));
    // The new keys are another pair.
    refused(at, &["infer", "bundle", "--keys", "new.keys", "--in", "image.ct", "--out", "r"], &["image.ct: key id"]);
}

#[test]
fn images_are_checked() {
    let (dir, _) = prepared();
    let at = dir.path();
    let encrypt = |name| ["encrypt", "bundle", "--key", "a.key", "--image", name, "--out", "new.ct"];
    let file = |name: &str, bytes: &[u8]| fs::write(at.join(name), bytes).expect("written");
    file("short.f32", &[0; 4 * 783]);
    refused(at, &encrypt("short.f32"), &["short.f32: image: has 3132 bytes, expected 3136"]);
    file("nan.f32", &[255; 4 * 784]);
    refused(at, &encrypt("nan.f32"), &["nan.f32: image: value 0 is NaN"]);
    file("short.json", b"[1, 2.5]");
    refused(at, &encrypt("short.json"), &["short.json: image: has 2 values, expected 784"]);
    file("text.json", b"{\"a\": 1}");
    refused(at, &encrypt("text.json"), &["text.json", "expected a sequence"]);
    refused(at, &encrypt("gone.f32"), &["gone.f32", "No such file"]);
    let of = |args: &[&'static str]| [&["encrypt", "bundle", "--key", "a.key", "--out", "new.ct"], args].concat();
    refused(at, &of(&["--dataset", "mnist", "--index", "0"]), &["--dataset: is mnist", "trained on glyphs"]);
    refused(at, &of(&["--dataset", "glyfs", "--index", "0"]), &["unknown data set"]);
    refused(at, &of(&["--dataset", "glyphs", "--index", "1000000"]), &["--index: is 1000000"]);
    refused(at, &of(&["--dataset", "glyphs"]), &["--index"]);
    refused(at, &of(&[]), &["--image"]);
    refused(at, &of(&["--image", "image.f32", "--dataset", "glyphs", "--index", "0"]), &["--image"]);
}
