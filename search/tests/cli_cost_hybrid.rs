//! `striae cost --protocol cryptflow2` and `cheetah`, through the binary.

use assert_cmd::Command;
use serde_json::Value;

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::cargo_bin("striae").expect("the binary is built");
    command.env_remove("STRIAE_CALIBRATION").env("NO_COLOR", "1");
    let output = command.arg("cost").args(args).output().expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn json(args: &[&str]) -> Value {
    let (code, stdout, stderr) = run(&[args, &["--json"]].concat());
    assert_eq!(code, Some(0), "{stderr}");
    serde_json::from_str(&stdout).expect("JSON on stdout and nothing else")
}

#[track_caller]
fn refused(args: &[&str], message: &str, hint: &str) {
    let (code, stdout, stderr) = run(args);
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.contains(message) && stderr.contains(hint), "{stderr}");
}

#[test]
fn layers_add_up_and_networks_of_other_sizes_are_compared_at_one() {
    let args = ["resnet20", "--protocol", "cryptflow2", "--against", "vgg16,mobilenetv2", "--against", "lola"];
    let costs = json(&args);
    let networks = costs["networks"].as_array().expect("list");
    let labels: Vec<&str> = networks.iter().filter_map(|n| n["label"].as_str()).collect();
    let at = "at 3x32x32, 10 classes";
    let expected = ["resnet20".to_owned(), format!("vgg16 {at}"), format!("mobilenetv2 {at}"), format!("lola {at}")];
    assert_eq!(labels, expected);
    for network in networks {
        let steps = network["layers"].as_array().expect("list");
        let sum = |part: &str, key: &str| -> u64 {
            steps.iter().filter_map(|s| s["step"].pointer(&format!("{part}/{key}"))?.as_u64()).sum()
        };
        for key in ["internal", "external", "swaps", "dense", "multiplications", "inputs", "outputs"] {
            assert_eq!(Some(sum("/counts", key)), network["total"]["counts"][key].as_u64(), "{key}");
        }
        for key in ["upload", "download", "two_party", "rounds"] {
            assert_eq!(Some(sum("", key)), network["total"][key].as_u64(), "{key}");
        }
    }
    let ratio = |i: usize, key: &str| costs["comparisons"][i]["ratios"][key].as_f64().expect("a number");
    let seconds = |i: usize| networks[i]["total"]["server"].as_f64().expect("a number");
    for i in 0..3 {
        assert!((ratio(i, "linear_time") - seconds(i + 1) / seconds(0)).abs() < 1e-9);
    }
    let (_, table, _) = run(&args);
    for text in ["vgg16 at 3x32x32", "against lola", "held equal: images 3x32x32, 10 results", "x in linear HE time"] {
        assert!(table.contains(text), "{text} in\n{table}");
    }
}

#[test]
fn the_blocks_of_a_stria_network_need_no_external_rotation() {
    let costs = json(&["strianet-cifar10-exrot-free", "--protocol", "cryptflow2", "--against", "plain", "--factored"]);
    let blocks = &costs["comparisons"][0]["blocks"];
    let rotations = |which: &str, kind: &str| blocks[which][kind].as_u64().expect("a count");
    assert_eq!((rotations("stria", "external"), rotations("stria", "swaps")), (0, 0));
    assert!(rotations("plain", "external") > 0);
    assert!(rotations("stria", "internal") * 100 <= rotations("plain", "internal") * 19);
    let costs = json(&["strianet-cifar10-exrot-free", "--protocol", "cryptflow2", "--network", "wan"]);
    assert_eq!(costs["links"].as_array().map(Vec::len), Some(1));
    assert_eq!(costs["networks"][0]["latency"].as_array().map(Vec::len), Some(1));
}

#[test]
fn cheetah_rotates_nothing() {
    let costs = json(&["lola", "--protocol", "cheetah"]);
    for key in ["internal", "external", "swaps", "dense"] {
        assert_eq!(costs["networks"][0]["total"]["counts"][key], 0, "{key}");
    }
}

#[test]
fn what_a_protocol_has_no_use_for_is_refused() {
    refused(&["lola", "--protocol", "cheeta"], "invalid value 'cheeta'", "hint: did you mean `cheetah`?");
    refused(&["lola", "--protocol", "cheetah", "--params", "x"], "--params: cheetah has parameters", "leave --params");
    refused(&["lola", "--protocol", "cryptflow2", "--explain"], "--explain: it explains", "--protocol ckks");
    refused(&["lola", "--network", "wan"], "--network: under ckks", "--protocol cryptflow2");
    refused(&["lola", "--protocol", "cheetah", "--network", "wlan"], "invalid value 'wlan'", "did you mean `wan`");
    refused(&["lola", "--protocol", "cheetah", "--against", "plain"], "no StriaBlock", "give a StriaNet");
    let wide = "1x8x2048: conv(1,k3) quad flatten linear(2)";
    refused(&[wide, "--protocol", "cryptflow2"], "3 rows of a 1x8x2048 map", "smaller images");
    let unpadded = "3x32x32: conv(4,k9,valid) quad flatten linear(10)";
    let args = ["1x4x4: conv(4,k3) quad flatten linear(2)", "--protocol", "cheetah", "--against", unpadded];
    refused(&args, "as a network of 1x4x4 images and 2 classes", "images of its own size");
}
