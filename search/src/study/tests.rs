use std::path::Path;

use striae_cost_model::Packing;
use striae_cost_model::hybrid::Protocol;
use striae_train::{TrainDevice, proxies::Proxy};

use super::*;
use crate::{Direction, Seed};

const FULL: &str = r#"
name = "mnist"
dataset = "mnist"
data_dir = "data"
space = "spaces/mine.toml"
seed = 7
objectives = ["latency", "accuracy"]

[budget]
trials = 40
trained = 10
minutes = 5.0

[sampler]
kind = "random"

[limits]
latency_ms = 500.0
memory_gib = 4.0
max_log_n = 14

[training.short]
epochs = 1
subset = 4000

[training.full]
epochs = 8
learning_rate = 0.05

[verify]
images = 16
top = 2
"#;

const SHORT: &str = r#"
name = "d"
dataset = "glyphs"
space = "strianet-mnist"
seed = 1
budget = { trials = 1 }
training = { short = { epochs = 1 }, full = { epochs = 2 } }
"#;

fn parse(text: &str) -> Result<Study, StudyError> {
    Study::from_toml(text, Path::new("some/study.toml"))
}

#[test]
fn packings_are_named_once_and_known() {
    let with = |list: &str| parse(&format!("packings = {list}\n{SHORT}"));
    let study = with("[\"multiplexed\", \"block:2\"]").expect("a valid study");
    assert_eq!(study.costing().packings(), [Packing::Multiplexed, Packing::Block(2)]);
    assert!(parse(SHORT).expect("a valid study").costing().packings().is_empty());
    for (list, message) in [
        ("[\"blok\"]", "some/study.toml: packings is blok, it must be row-major, group-interleaved, multiplexed"),
        ("[\"row-major\", \"row-major\"]", "some/study.toml: packings is row-major, it must be listed once"),
    ] {
        let error = with(list).expect_err("refused").to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn devices_and_screens_are_read_and_checked() {
    let with = |more: &str| parse(&SHORT.replace("full = { epochs = 2 }", &format!("full = {{ epochs = 2 }}, {more}")));
    let study =
        with("device = \"cuda:1\", screen = { proxy = \"gradient-norm\", keep = 0.25 }").expect("a valid study");
    let training = study.training();
    assert_eq!(training.device, TrainDevice::Cuda(1));
    assert_eq!(
        (training.short_config(Seed(3)).device, training.full_config(Seed(3)).epochs),
        (TrainDevice::Cuda(1), 2)
    );
    let screen = training.screen.clone().expect("a screen");
    assert_eq!(screen, Screen { proxy: Proxy::GradientNorm, keep: 0.25, warm_up: 8 });
    // The first eight are trained; of the others those among the best quarter.
    let before: Vec<f64> = (0..8).map(f64::from).collect();
    assert_eq!(screen.shortfall(-1.0, &before[..7]), None);
    assert_eq!(screen.shortfall(6.5, &before), None);
    assert!(screen.shortfall(5.5, &before).is_some_and(|by| by > 0.0 && by < 0.01));
    assert!(screen.shortfall(-1.0, &before).is_some_and(|by| (by - 0.75).abs() < 1e-9));
    // A study that names neither is stored as before there were any.
    let stored = serde_json::to_value(parse(SHORT).expect("a valid study").config()).expect("JSON");
    assert_eq!(stored["training"].as_object().map(serde_json::Map::len), Some(2));
    for (more, message) in [
        ("screen = { proxy = \"synflow\", keep = 0.0 }", "training.screen.keep is 0, it must be above 0"),
        ("screen = { proxy = \"luck\", keep = 0.5 }", "unknown variant `luck`"),
        ("device = \"gpu\"", "unknown device \"gpu\", expected cpu, auto or cuda:N"),
    ] {
        let error = with(more).expect_err("refused").to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn every_field_is_read() {
    let study = parse(FULL).expect("a valid study");
    assert_eq!((study.name(), study.dataset(), study.seed().0), ("mnist", "mnist", 7));
    assert_eq!(study.data_dir().as_deref(), Some(Path::new("some/data")));
    assert_eq!(study.space(), SpaceRef::File("some/spaces/mine.toml".into()));
    assert_eq!(study.directions(), [Direction::Minimize, Direction::Maximize]);
    assert_eq!((study.budget().trials, study.budget().trained, study.budget().minutes), (40, Some(10), Some(5.0)));
    assert_eq!((study.sampler().kind, study.sampler().population), (SamplerKind::Random, 10));
    assert_eq!(study.limits().max_log_n, Some(14));
    assert_eq!((study.training().short.subset, study.training().full.learning_rate), (Some(4000), Some(0.05)));
    assert_eq!(study.verify(), &VerifyConfig { images: Some(16), top: 2 });
}

#[test]
fn absent_fields_have_defaults_and_the_literal_survives_toml() {
    let study = parse(SHORT).expect("a valid study");
    assert_eq!(study.space(), SpaceRef::Builtin("strianet-mnist".to_owned()));
    assert_eq!(study.directions(), [Direction::Maximize, Direction::Minimize]);
    assert_eq!((study.sampler().kind, study.limits().max_log_n), (SamplerKind::Nsga2, Some(15)));
    for study in [study, parse(FULL).expect("a valid study")] {
        let text = toml::to_string(study.config()).expect("a literal is TOML");
        assert_eq!(parse(&text).expect("its own text is valid"), study);
    }
}

#[test]
fn bad_fields_are_named_on_one_line() {
    let cases = [
        ("seed = 7", "sead = 7", "some/study.toml: line 6: unknown field `sead`"),
        ("seed = 7", "seed = -7", "some/study.toml: line 6: "),
        ("seed = 7", "", "some/study.toml: line 1: missing field `seed`"),
        ("seed = 7", "seed = ", "some/study.toml: line 6: "),
        ("trials = 40", "trials = 0", "budget.trials is 0, it must be at least 1"),
        ("trials = 40", "trials = 40\nepochs = 1", "line 11: unknown field `epochs`"),
        ("minutes = 5.0", "minutes = nan", "budget.minutes is NaN, it must be positive"),
        ("kind = \"random\"", "kind = \"bayes\"", "line 15: unknown variant `bayes`"),
        ("kind = \"random\"", "population = 1", "sampler.population is 1, it must be at least 2"),
        ("kind = \"random\"", "crossover = 1.5", "sampler.crossover is 1.5, it must lie between 0 and 1"),
        ("kind = \"random\"", "mutation = -1.0", "sampler.mutation is -1, it must lie between 0 and 1"),
        ("max_log_n = 14", "max_log_n = 17", "limits.max_log_n is 17, it must lie between 12 and 16"),
        ("latency_ms = 500.0", "latency_ms = 0.0", "limits.latency_ms is 0, it must be positive"),
        ("subset = 4000", "subset = 0", "training.short.subset is 0"),
        ("epochs = 8", "epochs = 0", "training.full.epochs is 0"),
        ("learning_rate = 0.05", "learning_rate = inf", "training.full.learning_rate is inf"),
        ("[\"latency\", \"accuracy\"]", "[\"latency\", \"latency\"]", "objectives is [latency, latency], it must list"),
        ("[\"latency\", \"accuracy\"]", "[]", "objectives is [], it must list"),
        ("name = \"mnist\"", "name = \" \"", "some/study.toml: name is  , it must have"),
        ("top = 2", "top = 0", "verify.top is 0"),
    ];
    for (from, to, expected) in cases {
        assert!(FULL.contains(from), "{from}");
        let error = parse(&FULL.replace(from, to)).expect_err(to);
        let message = error.to_string();
        assert!(message.contains(expected) && !message.contains('\n'), "{to}: {message}");
        assert!(message.starts_with("some/study.toml: ") && !error.hint().is_empty());
    }
    let missing = Study::from_file("no/such.toml").expect_err("it is missing").to_string();
    assert!(missing.starts_with("no/such.toml: cannot be read"), "{missing}");
}

#[test]
fn a_study_resumes_with_its_own_settings_only() {
    let stored = serde_json::to_value(parse(FULL).expect("valid").config()).expect("JSON");
    let with = |from: &str, to: &str| parse(&FULL.replace(from, to)).expect("valid").check_resumes(&stored);
    assert!(with("trials = 40", "trials = 80").is_ok());
    assert!(with("top = 2", "top = 1").is_ok());
    let error = with("seed = 7", "seed = 8").expect_err("another seed").to_string();
    assert_eq!(error, "some/study.toml: seed is 8, the study was begun with 7");
    let error = with("subset = 4000", "").expect_err("other training").to_string();
    assert!(error.contains("training is {"), "{error}");
}

fn hybrid(more: &str) -> String {
    format!("protocol = \"cheetah\"\nlink = \"wan\"\n{more}\n{SHORT}")
}

#[test]
fn hybrid_protocols_have_a_link_and_no_ring() {
    let study = parse(&hybrid("")).expect("a valid study");
    assert_eq!(*study.costing(), Costing::Hybrid { protocol: Protocol::Cheetah, link: LinkName::Wan });
    assert_eq!(study.costing().to_string(), "cheetah over wan (44 MB/s, 40 ms)");
    assert_eq!(study.limits().max_log_n, None);
    let text = toml::to_string(study.config()).expect("a literal is TOML");
    assert_eq!(parse(&text).expect("its own text is valid"), study);
    let limits =
        "objectives = [\"accuracy\", \"communication\"]\nlimits = { latency_ms = 9.5, communication_mib = 20 }";
    let study = parse(&hybrid(limits)).expect("a valid study");
    assert_eq!((study.limits().latency_ms, study.limits().communication_mib), (Some(9.5), Some(20.0)));
    assert_eq!(study.directions(), [Direction::Maximize, Direction::Minimize]);
    assert_eq!(parse(SHORT).expect("a valid study").costing().to_string(), "ckks");
}

#[test]
fn what_a_protocol_has_no_use_for_is_named() {
    let refused = |text: &str, message: &str| {
        let error = parse(text).expect_err(message);
        assert_eq!(error.to_string(), format!("some/study.toml: {message}"));
        assert!(!error.hint().is_empty());
    };
    for (more, message) in [
        ("packings = [\"multiplexed\"]", "packings has no use under cheetah: it has a packing of its own"),
        ("limits = { max_log_n = 14 }", "limits.max_log_n has no use under cheetah: its ring is fixed"),
        ("limits = { memory_gib = 4.0 }", "limits.memory_gib has no use under cheetah: its estimates have no memory"),
        (
            "verify = { images = 4 }",
            "verify.images has no use under cheetah: its networks are estimated, not run encrypted",
        ),
        ("limits = { communication_mib = 0.0 }", "limits.communication_mib is 0, it must be positive and finite"),
    ] {
        refused(&hybrid(more), message);
    }
    let penalised = hybrid("").replace("{ epochs = 2 }", "{ epochs = 2, range_penalty = 0.1 }");
    refused(
        &penalised,
        "training.full.range_penalty has no use under cheetah: it is for quadratic activations, and two-party computation \
         has rectifiers",
    );
    refused(
        &hybrid("").replace("link = \"wan\"\n", ""),
        "link is absent, its latencies depend on the network between client and server: it must be lan or wan",
    );
    refused(
        &format!("link = \"lan\"\n{SHORT}"),
        "link has no use under ckks: the server works alone, no network is part of the estimate",
    );
    for (from, to) in [("cheetah", "cheeta"), ("wan", "wlan")] {
        let error = parse(&hybrid("").replace(from, to)).expect_err(to).to_string();
        assert!(
            error.starts_with("some/study.toml: line ") && error.contains(&format!("unknown variant `{to}`")),
            "{error}"
        );
    }
}

#[test]
fn studies_without_a_protocol_are_stored_as_before_there_were_any() {
    let stored = serde_json::to_value(parse(SHORT).expect("valid").config()).expect("JSON");
    assert!(stored.get("protocol").is_none() && stored.get("link").is_none());
    assert_eq!(stored["limits"], serde_json::json!({ "max_log_n": 15 }));
    let study = parse(&hybrid("")).expect("valid");
    let error = study.check_resumes(&stored).expect_err("another protocol").to_string();
    assert_eq!(error, "some/study.toml: protocol is \"cheetah\", the study was begun with absent");
}

#[test]
fn the_examples_are_studies() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    for (name, costing) in
        [("demo", "ckks"), ("mnist", "ckks"), ("mnist-cheetah", "cheetah over lan (384 MB/s, 0.3 ms)")]
    {
        let study = Study::from_file(examples.join(name).with_extension("toml")).expect("a valid study");
        assert_eq!((study.name(), study.costing().to_string().as_str()), (name, costing));
    }
}
