//! Bad input, through the binary: one line that names the file and the field, an empty line, a hint, exit code 2, and nothing
//! written.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::json;
use striae_cost_model::{Calibration, Lowerer, PlanOptions};
use striae_search::bundle::Manifest;
use striae_search::storage::Store;
use striae_spaces::{Tensor, TypedGraph, WeightStore, param_specs};
use tempfile::TempDir;

const SMALL: &str = "1x28x28: conv(4,k5,s2) quad flatten linear(10,bias)";

fn striae(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("striae").expect("the binary is built");
    command.current_dir(folder).env_remove("STRIAE_CALIBRATION").env_remove("STRIAE_DATA").env("NO_COLOR", "1");
    command
}

/// Every file and folder below `folder`, with its size.
fn listing(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("readable") {
        let entry = entry.expect("readable");
        let meta = entry.metadata().expect("readable");
        if meta.is_dir() {
            found.extend(listing(&entry.path()));
        }
        found.push((entry.path(), if meta.is_dir() { 0 } else { meta.len() }));
    }
    found.sort();
    found
}

/// Runs the command in `folder` and checks the form of its refusal; `words` must stand in the error's line.
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
    assert_eq!(listing(folder), before, "{args:?}: files were written");
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("below the folder")).expect("created");
    fs::write(&path, bytes).expect("written");
    name.to_owned()
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("temporary folder")
}

#[test]
fn unknown_names() {
    let dir = folder();
    let at = dir.path();
    refused(at, &["serach", "study.toml"], &["unrecognized subcommand 'serach'"]);
    refused(at, &["cost", "lenet-liek"], &["unknown network `lenet-liek`, did you mean `lenet-like`?"]);
    refused(at, &["train", "lenet-like", "--dataset", "minst", "--out", "o"], &["unknown data set \"minst\""]);
    refused(at, &["space", "show", "strianet-mnits"], &["strianet-mnits", "strianet-mnist"]);
    refused(at, &["space", "sample", "strianet-mnits"], &["unknown space", "did you mean `strianet-mnist`?"]);
    refused(at, &["space", "enumerate", "strianet-mnits"], &["unknown space", "did you mean `strianet-mnist`?"]);
    refused(at, &["cost", "lenet-like", "--strategy", "fast"], &["--strategy", "bsgs:B"]);
    refused(at, &["cost", "lenet-like", "--max-log-n", "20"], &["--max-log-n", "12..=16"]);
    refused(at, &["cost"], &["<ARCH>"]);
}

#[test]
fn malformed_networks() {
    let dir = folder();
    let at = dir.path();
    refused(at, &["cost", "1x28x28: konv(4,k3)"], &["notation, character 10", "`konv`"]);
    refused(at, &["cost", "1x28x28: conv(4,k3) add(n9)"], &["notation, character"]);
    refused(at, &["cost", "1x28x28: linear(10)"], &["linear", "needs a vector"]);
    let file = write(at, "net.txt", "1x28x28: conv(4,k3");
    refused(at, &["cost", &file], &["net.txt", "notation, character"]);
    let file = write(at, "latin1.txt", b"1x28x28: conv(4,k3) \xe9");
    refused(at, &["cost", &file], &["latin1.txt", "UTF-8"]);
    let json = SMALL.parse::<TypedGraph>().expect("notation").to_json();
    let file = write(at, "cut.json", &json[..json.len() / 2]);
    refused(at, &["cost", &file], &["cut.json", "EOF"]);
    let file = write(at, "newer.json", json.replacen("\"format\": 1", "\"format\": 99", 1));
    refused(at, &["cost", &file], &["newer.json", "field `format` is 99"]);
    let file = write(at, "extra.json", json.replacen("\"stride\"", "\"strode\"", 1));
    refused(at, &["cost", &file], &["extra.json", "strode"]);
    refused(at, &["cost", "missing.json"], &["missing.json", "No such file"]);
    refused(at, &["cost", SMALL, "--against", "plain"], &["--against plain", "no StriaBlock"]);
    refused(at, &["cost", "1x8x8: conv(4,k3) relu flatten linear(10)"], &["node n2 (relu)"]);
}

#[test]
fn parameters_and_depth() {
    let dir = folder();
    let at = dir.path();
    let weak = "N=2^12 Q=45,30,30,30,30,30,30,30 P=46 scale=2^30";
    refused(at, &["cost", SMALL, "--params", weak], &["log QP = 301 bits", "128-bit security, which allows 109"]);
    // The word alone, as reports print it, accepts nothing.
    refused(at, &["cost", SMALL, "--params", &format!("{weak} insecure")], &["128-bit security"]);
    refused(at, &["cost", SMALL, "--insecure"], &["--params"]);
    refused(at, &["cost", SMALL, "--count", "1000"], &["'1000'", "power of two from 512"]);
    refused(at, &["cost", SMALL, "--count", "4096", "--explain"], &["--count", "--explain"]);
    refused(
        at,
        &["cost", SMALL, "--packing", "blok"],
        &["--packing", "unknown packing `blok`, expected row-major", "cheapest"],
    );
    refused(
        at,
        &["cost", SMALL, "--packing", "cheapest", "--count", "4096"],
        &["--packing cheapest", "compared by latency"],
    );
    refused(at, &["cost", SMALL, "--degree", "largest"], &["--degree", "expected smallest or cheapest"]);
    refused(at, &["cost", SMALL, "--degree", "cheapest", "--count", "4096"], &["--degree", "--count"]);
    refused(at, &["cost", SMALL, "--batch", "48"], &["--batch", "power of two"]);
    refused(at, &["cost", SMALL, "--batch", "many"], &["--batch", "power of two"]);
    refused(at, &["cost", SMALL, "--params", "N=2^13 Q=45,x P=46 scale=2^30"], &["parameters: Q"]);
    refused(at, &["cost", SMALL, "--params", "N=2^13 Q=45,30 P=46 scale=2^30"], &["needs 3 levels", "offer 1"]);
    refused(at, &["cost", "resnet20", "--max-log-n", "14"], &["resnet20: the network needs 39 levels", "N = 2^14"]);
}

#[test]
fn malformed_calibrations() {
    let dir = folder();
    let at = dir.path();
    let file = write(at, "cut.toml", "version = 1\nsamples = [");
    refused(at, &["cost", SMALL, "--calibration", &file], &["cut.toml", "not a calibration file"]);
    refused(at, &["cost", SMALL, "--calibration", "gone.toml"], &["gone.toml", "No such file"]);
    refused(at, &["calibrate", "--out", &file], &["cut.toml", "exists already"]);
}

fn idx(magic: u32, dims: &[u32], data: &[u8]) -> Vec<u8> {
    let words = [magic].into_iter().chain(dims.iter().copied());
    words.flat_map(u32::to_be_bytes).chain(data.iter().copied()).collect()
}

/// A good small MNIST.
fn mnist(at: &Path) {
    for (prefix, count) in [("train", 20u32), ("t10k", 10)] {
        let pixels: Vec<u8> = (0..count * 784).map(|i| (i * 7 % 256) as u8).collect();
        let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
        write(at, &format!("data/{prefix}-images-idx3-ubyte"), idx(0x803, &[count, 28, 28], &pixels));
        write(at, &format!("data/{prefix}-labels-idx1-ubyte"), idx(0x801, &[count], &labels));
    }
}

#[test]
fn malformed_idx_files() {
    let images = "data/train-images-idx3-ubyte";
    let labels = "data/train-labels-idx1-ubyte";
    let cases: [(&str, Vec<u8>, &[&str]); 7] = [
        (images, idx(0x804, &[20, 28, 28], &[0; 20 * 784]), &["magic is 0x00000804", "expected 0x00000803"]),
        (images, idx(0x803, &[20, 28, 28], &[0; 100]), &["pixel data is 100 bytes", "15680"]),
        (images, idx(0x803, &[20, 32, 28], &[0; 20 * 784]), &["rows is 32", "expected 28"]),
        (images, vec![0, 0], &["magic is cut off"]),
        (labels, idx(0x801, &[19], &[0; 19]), &["count is 19", "expected 20"]),
        (labels, idx(0x801, &[20], &[10; 20]), &["label 0 is 10", "0 to 9"]),
        (labels, idx(0x801, &[0], &[]), &["count is 0"]),
    ];
    for (file, bytes, words) in cases {
        let dir = folder();
        mnist(dir.path());
        write(dir.path(), file, bytes);
        let words: Vec<&str> = [file].into_iter().chain(words.iter().copied()).collect();
        refused(dir.path(), &["train", SMALL, "--dataset", "mnist", "--data-dir", "data", "--out", "out"], &words);
    }
}

#[test]
fn missing_and_malformed_cifar_files() {
    let net = "3x32x32: conv(4,k3,s2) quad flatten linear(10)";
    let args = ["train", net, "--dataset", "cifar10", "--data-dir", "data", "--out", "out"];
    let dir = folder();
    refused(dir.path(), &args, &["data", "cifar-10-binary.tar.xz not found"]);
    let name = "data/cifar-10-batches-bin/data_batch_1.bin";
    write(dir.path(), name, vec![0; 3073 * 7]);
    refused(dir.path(), &args, &[name, "length is 21511 bytes", "10000 records"]);
    let mut records = vec![0u8; 3073 * 10_000];
    records[3073 * 5] = 10;
    write(dir.path(), name, records);
    refused(dir.path(), &args, &[name, "label 5 is 10", "0 to 9"]);
    write(dir.path(), "archive/cifar-10-binary.tar.xz", b"not an archive");
    let args = ["train", net, "--dataset", "cifar10", "--data-dir", "archive", "--out", "out"];
    refused(dir.path(), &args, &["cifar-10-binary.tar.xz"]);
    refused(dir.path(), &["train", net, "--dataset", "cifar10", "--out", "out"], &["cifar10", "STRIAE_DATA"]);
}

#[test]
fn training_that_cannot_begin() {
    let dir = folder();
    let at = dir.path();
    refused(at, &["train", "resnet20", "--out", "out"], &["the network takes 3x32x32", "the images are 1x28x28"]);
    refused(at, &["train", SMALL, "--epochs", "0", "--out", "out"], &["epochs = 0, expected at least 1"]);
    refused(at, &["train", SMALL, "--lr=-1", "--out", "out"], &["lr = -1"]);
    refused(at, &["train", SMALL, "--device", "gpu", "--out", "out"], &["unknown device \"gpu\""]);
    if !cfg!(feature = "cuda") {
        let words = ["device cuda:0: this program was built without CUDA"];
        refused(at, &["train", SMALL, "--device", "cuda:0", "--out", "out"], &words);
    }
    refused(at, &["train", SMALL, "--resume", "--out", "out"], &["out/checkpoint.json", "no checkpoint"]);
    write(at, "begun/checkpoint.json", "{}");
    refused(at, &["train", SMALL, "--out", "begun"], &["begun/checkpoint.json", "was begun"]);
    refused(at, &["train", SMALL, "--resume", "--out", "begun"], &["begun/checkpoint.json: contents"]);
}

const STUDY: &str = r#"
name = "s"
dataset = "glyphs"
space = "strianet-glyphs"
seed = 1
budget = { trials = 2 }
training = { short = { epochs = 1 }, full = { epochs = 1 } }
"#;

#[test]
fn malformed_studies() {
    let dir = folder();
    let at = dir.path();
    let cases = [
        ("broken.toml", STUDY.replace("seed = 1", "seed = "), "line 5"),
        ("field.toml", STUDY.replace("seed", "sead"), "sead"),
        ("type.toml", STUDY.replace("seed = 1", "seed = \"one\""), "line 5"),
        ("range.toml", STUDY.replace("trials = 2", "trials = 0"), "budget.trials is 0"),
        ("data.toml", STUDY.replace("\"glyphs\"", "\"glyfs\""), "dataset: unknown data set \"glyfs\""),
        ("space.toml", STUDY.replace("strianet-glyphs", "strianet-glyfs"), "space: unknown space"),
        (
            "shape.toml",
            STUDY.replace("strianet-glyphs", "strianet-cifar10"),
            "takes 3x32x32, the images of glyphs are 1x28x28",
        ),
        ("refs.toml", format!("references = [\"resnet2\"]\n{STUDY}"), "references: unknown network `resnet2`"),
    ];
    for (name, text, field) in cases {
        write(at, name, text);
        refused(at, &["search", name], &[name, field]);
    }
    write(at, "gone.toml", STUDY.replace("strianet-glyphs", "mine/space.toml"));
    refused(at, &["search", "gone.toml"], &["space: ", "mine/space.toml: cannot be read"]);
    refused(at, &["search", "missing.toml"], &["missing.toml", "No such file"]);
    write(at, "space-file.toml", "name = \"x\"\ninput = [1, 28, 28]\nfoo = 1\n");
    refused(at, &["space", "sample", "space-file.toml"], &["space-file.toml", "line"]);
    write(at, "study.toml", STUDY);
    for command in ["report", "verify"] {
        refused(at, &[command, "study.toml"], &["study.striae.sqlite3", "no such file"]);
    }
    refused(at, &["export", "study.toml", "--trial", "0", "--out", "b"], &["study.striae.sqlite3", "no such file"]);
}

#[test]
fn stores_that_are_no_studies() {
    let dir = folder();
    let at = dir.path();
    write(at, "study.toml", STUDY);
    write(at, "text.sqlite3", "this is not a database, however long it may be");
    rusqlite::Connection::open(at.join("other.sqlite3"))
        .and_then(|c| c.execute_batch("CREATE TABLE t (x)"))
        .expect("written");
    let newer = |name: &str, sql: &str| {
        drop(Store::open_or_create(at.join(name)).expect("created"));
        let connection = rusqlite::Connection::open(at.join(name)).expect("opened");
        connection.execute_batch(&format!("PRAGMA journal_mode = DELETE; {sql}")).expect("written");
    };
    newer("schema.sqlite3", "UPDATE version_info SET schema_version = 99");
    newer("migration.sqlite3", "UPDATE alembic_version SET version_num = 'v9.9.9'");
    newer("empty.sqlite3", "");
    let cases = [
        ("text.sqlite3", "not an SQLite file"),
        ("other.sqlite3", "not a study: table studies is missing"),
        ("schema.sqlite3", "version_info.schema_version is 99, expected 12"),
        ("migration.sqlite3", "alembic_version.version_num is v9.9.9"),
    ];
    for (store, field) in cases {
        for command in ["search", "report", "verify"] {
            refused(at, &[command, "study.toml", "--store", store], &[store, field]);
        }
    }
    refused(at, &["report", "study.toml", "--store", "empty.sqlite3"], &["empty.sqlite3", "no study named s"]);
}

/// A bundle of [`SMALL`] in `<at>/bundle`.
fn bundle(at: &Path) -> WeightStore {
    let graph: TypedGraph = SMALL.parse().expect("notation");
    let mut weights = WeightStore::default();
    for spec in param_specs(&graph) {
        let data = vec![0.1; spec.shape.iter().product()];
        weights.insert(spec.name, Tensor { shape: spec.shape, data });
    }
    write(at, "bundle/architecture.json", graph.to_json());
    weights.save(&at.join("bundle/weights.safetensors")).expect("written");
    let parameters = "N=2^13 Q=45,35,35,35 P=46 scale=2^35";
    let options = PlanOptions { params: Some(parameters.parse().expect("parameters")), ..PlanOptions::default() };
    let plan = Lowerer::new(&Calibration::generic()).plan(&graph, &options).expect("planned");
    let manifest = json!({
        "format": 3, "study": "s", "trial": 0, "trained_arch_id": "0123456789abcdef", "dataset": "glyphs", "data_seed": 1,
        "normalisation": {"mean": [0.1], "std": [0.3]}, "parameters": parameters, "insecure": false,
        "lowering": plan.recipe(), "calibration": "", "program": Manifest::fingerprint(&plan.program), "created": "",
    });
    write(at, "bundle/bundle.json", manifest.to_string());
    weights
}

#[test]
fn malformed_bundles() {
    let dir = folder();
    let at = dir.path();
    let file = at.join("bundle/weights.safetensors");
    bundle(at);
    let good = fs::read(&file).expect("readable");
    for bytes in [&good[..good.len() / 2], &good[..4], b"{}".as_slice()] {
        fs::write(&file, bytes).expect("written");
        refused(at, &["verify", "bundle"], &["bundle/weights.safetensors", "not a valid safetensors file"]);
    }
    let mut wrong = bundle(at);
    wrong.insert("n1.weight", Tensor { shape: vec![4, 1, 9], data: vec![0.0; 36] });
    wrong.save(&file).expect("written");
    refused(at, &["verify", "bundle"], &["weights.safetensors", "n1.weight has shape [4, 1, 9]", "needs [4, 1, 25]"]);
    let mut nan = bundle(at);
    nan.insert("n4.bias", Tensor { shape: vec![10], data: vec![f32::NAN; 10] });
    nan.save(&file).expect("written");
    refused(at, &["verify", "bundle"], &["weights.safetensors", "n4.bias holds NaN"]);
    bundle(at);
    let manifest = fs::read_to_string(at.join("bundle/bundle.json")).expect("readable");
    write(at, "bundle/bundle.json", manifest.replace("\"format\":3", "\"format\":7"));
    refused(at, &["verify", "bundle"], &["bundle/bundle.json", "format: is 7"]);
    write(at, "bundle/bundle.json", manifest.replace("45,35,35,35", "45,35,35,35,45,45"));
    refused(at, &["verify", "bundle"], &["bundle", "128-bit security"]);
    fs::remove_file(at.join("bundle/bundle.json")).expect("removed");
    refused(at, &["verify", "bundle"], &["bundle/bundle.json", "No such file"]);
    refused(at, &["verify", "nowhere.toml"], &["nowhere.toml", "No such file"]);
}

#[test]
fn long_and_hostile_text_stays_on_one_line() {
    let dir = folder();
    let mut long = String::from("1x8x8:");
    for _ in 0..2000 {
        write!(long, " conv(4,k3)\n\u{1b}[31m").expect("a string");
    }
    refused(dir.path(), &["cost", &long], &["notation"]);
    refused(dir.path(), &["cost", "evil\nname"], &["unknown network"]);
    refused(dir.path(), &["train", SMALL, "--dataset", "\u{1b}[31m", "--out", "o"], &["\\u{1b}[31m"]);
}

#[test]
fn spaces_that_cannot_be_gone_through() {
    let dir = folder();
    let at = dir.path();
    let enumerate = |more: &[&'static str]| [&["space", "enumerate", "strianet-glyphs"], more].concat();
    refused(at, &enumerate(&["--max", "0"]), &["--max", "0"]);
    refused(at, &enumerate(&["--max", "3"]), &["--max 3", "704 networks within its bounds"]);
    refused(at, &enumerate(&["--limit", "0"]), &["--limit", "positive"]);
    refused(at, &enumerate(&["--limit", "soon"]), &["--limit", "number of seconds"]);
    refused(at, &enumerate(&["--out", "front.txt"]), &["--out front.txt", ".csv"]);
    refused(at, &enumerate(&["--capacity", "depth"]), &["--capacity", "macs"]);
    refused(at, &["space", "show", "strianet-glyphs", "--out", "costs.pdf"], &["--out costs.pdf", ".svg"]);
    refused(at, &["space", "show", "lenet-like", "--out", "costs.svg"], &["--out", "network, not a space"]);
    refused(at, &["space", "show", "strianet-glyphs", "--samples", "1"], &["--samples", "10..="]);
    let file = write(at, "odd.toml", "name = \"odd\"\ninput = [1, 28]\n");
    refused(at, &["space", "enumerate", &file], &["odd.toml", "line 2"]);
    refused(at, &["space", "show", &file], &["odd.toml", "line 2"]);
    refused(at, &["space", "enumerate", "gone.toml"], &["gone.toml"]);
}

#[test]
fn parameters_that_cannot_be_advised() {
    let dir = folder();
    let at = dir.path();
    refused(at, &["advise", "lenet-liek"], &["unknown network `lenet-liek`", "lenet-like"]);
    refused(at, &["advise", SMALL, "--security", "100"], &["--security", "128, 192 or 256"]);
    refused(at, &["advise", SMALL, "--min-precision", "60"], &["--min-precision", "20..=36"]);
    refused(at, &["advise", "1x28x28: conv(4,k3"], &["notation"]);
    let deep = format!("1x8x8: {}flatten linear(4)", "conv(2,k3) quad ".repeat(40));
    refused(at, &["advise", &deep], &["needs 81 levels", "more than the", "N = 2^16", "no bootstrapping"]);
    refused(at, &["advise", SMALL, "--security", "256", "--max-log-n", "12"], &["256-bit", "N = 2^14 would hold it"]);
}
