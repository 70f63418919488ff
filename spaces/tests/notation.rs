//! The notation, the JSON form and the names of networks, through the public API.

use proptest::prelude::*;
use striae_spaces::{
    Activation, AvgPool, Conv2d, GraphBuilder, Grouping, JsonError, Kernel, KernelMask, Linear, NodeId, Op, Padding,
    Shape, TypedGraph, zoo,
};

fn error(text: &str) -> String {
    text.parse::<TypedGraph>().unwrap_err().to_string()
}

#[test]
fn every_construct_reads_and_writes() {
    let text = "4x9x9: conv(16,k5,cross,s2,g4,interleaved,bias) bn quad conv(16,k3,alternating,g8,shifted4) \
                conv(16,k3,row,g4) add(n3) relu pool(2,s1) conv(8,k1) conv(8,k1,column)@n8 add(n9,n10) pool(2) \
                conv(8,k2,valid) flatten linear(12,bias) linear(3)";
    let net: TypedGraph = text.parse().unwrap();
    assert_eq!(net.to_string(), text);
    assert_eq!(net.output_shape(), Shape::vector(3));
    let loose = "  4x9x9 :conv( 16 , full, interleaved,cross".replace(" full,", "");
    let loose = format!("{loose},s2 ,same,k5,bias,g4)\nbn  quad {}", text.split_once("quad ").unwrap().1);
    assert_eq!(loose.parse::<TypedGraph>().unwrap(), net);
    assert_eq!("7: linear(2)".parse::<TypedGraph>().unwrap().to_string(), "7: linear(2)");
}

#[test]
fn errors_name_position_text_and_expectation() {
    let expect = |text: &str, message: &str| assert_eq!(error(text), format!("notation, character {message}"));
    expect("", "1: found the end, expected an input shape such as 1x28x28 or 784");
    expect("1x28: quad", "5: found `:`, expected `x` and the width of the map");
    expect("1x8x8 quad", "7: found `quad`, expected `:`");
    let ops = "one of conv(..), linear(..), pool(..), bn, quad, relu, flatten, add(..)";
    expect("1x8x8: quud", &format!("8: found `quud`, expected {ops}"));
    expect("1x8x8: é", &format!("8: found `é`, expected {ops}"));
    expect("1x8x8: conv(4)", "15: found the end, expected a kernel side such as k3 in the brackets");
    expect("1x8x8: conv(4,k3,k5)", "18: the kernel side is given twice");
    expect("1x8x8: conv(four,k3)", "13: found `four`, expected a number of channels");
    expect("1x8x8: conv(99999999999999999999999,k3)", {
        "13: found `99999999999999999999999`, expected a number of channels"
    });
    expect("1x8x8: conv(4,k3", "17: found the end, expected `,` or `)`");
    expect("1x8x8: quad@3", "13: found `3`, expected a node such as n3");
    expect("1x8x8: linear(10)", {
        "8: `linear(10)`: linear cannot take a value of shape 1x8x8: it needs a vector (add a flatten)"
    });
    expect("1x8x8: quad add(n7)", "13: `add(n7)`: node n2 reads node n7, which does not come before it");
    expect("3x8x8: conv(4,k3,g2)", {
        "8: `conv(4,k3,g2)`: conv: groups = 2 must divide 3 input and 4 output channels"
    });
    assert!(error("1x8x8: conv(4294967296,k1)").contains("too large"));
    assert!(error("99999999999x99999999999x9: quad").contains("too large"));
    assert!(error("1x8x8: conv(4,k256)").contains("kernel = 256 must be at most 255"));
    expect("1x8x8: ", "8: the network has no operation");
    expect("1x8x8: quad relu conv(2,k1)@n1 bn", "13: `relu`: node n2 is read by no other node and is not the output");
    assert!(!error("1x8x8: qu\nad").contains('\n'));
}

#[test]
fn ids_are_stable() {
    let id = |text: &str| text.parse::<TypedGraph>().unwrap().arch_id().to_string();
    // BLAKE3 of the canonical notation; a change here renames every network of every study.
    assert_eq!(id("1x8x8: conv(4,k3) quad flatten linear(10,bias)"), GOLDEN);
    assert_eq!(id("1x8x8:conv(4, same, k3)quad flatten linear(10, bias)"), GOLDEN);
    assert_ne!(id("1x8x8: conv(4,k3) quad flatten linear(10)"), GOLDEN);
    let parsed: striae_spaces::ArchId = GOLDEN.parse().unwrap();
    assert_eq!(serde_json::to_string(&parsed).unwrap(), format!("\"{GOLDEN}\""));
    assert!("+123456789abcdef".parse::<striae_spaces::ArchId>().is_err());
}

const GOLDEN: &str = "ff0eb5a451ce4f33";

#[test]
fn zoo_notation_is_pinned() {
    let lines: Vec<String> = zoo::names()
        .iter()
        .map(|name| {
            let net = zoo::build(name).unwrap();
            // Of the large ones the id, which is a hash of the notation, is enough.
            let notation = net.to_string();
            let shown = if notation.len() <= 2500 { notation.as_str() } else { "" };
            format!("{name} {}\n{shown}", net.arch_id())
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n\n"));
}

#[test]
fn json_errors() {
    let net: TypedGraph = "1x4x4: conv(2,k3) flatten linear(2)".parse().unwrap();
    let json = net.to_json();
    assert_eq!(TypedGraph::from_json(&json).unwrap(), net);
    let message = |text: &str| TypedGraph::from_json(text).unwrap_err().to_string();
    let newer = json.replace("\"format\": 1", "\"format\": 2");
    assert!(matches!(TypedGraph::from_json(&newer), Err(JsonError::Newer { found: 2 })));
    assert_eq!(message(&newer), "architecture JSON: field `format` is 2, this build reads at most 1: update striae");
    assert!(message("{}").contains("missing field `format`"));
    assert!(message(&json.replace("\"stride\"", "\"strude\"")).contains("unknown field `strude`"));
    assert!(message(&json[..json.len() / 2]).starts_with("architecture JSON: EOF"));
    assert!(message(&json.replace("\"groups\": 1", "\"groups\": 3")).contains("groups = 3"));
}

/// One random step: which operation, which earlier node, and raw numbers for its fields.
type Step = (u8, u16, [u8; 8]);

/// Builds a graph from random steps, leaving out those that do not type-check.
fn graph(input: Shape, steps: &[Step]) -> Option<TypedGraph> {
    let mut builder = GraphBuilder::new(input).ok()?;
    for &(kind, from, raw) in steps {
        let last = builder.last();
        let from = NodeId(u32::from(from) % (last.0 + 1));
        let mut trial = builder.clone();
        let op = op(kind, raw, trial.shape(last).channels());
        let branches = raw[7].is_multiple_of(3);
        let added = if op == Op::Add {
            let (first, second) = if branches { (last, from) } else { (from, last) };
            trial.push(op, &[first, second])
        } else if branches {
            // A branch off an earlier node, joined at once, since a value must be read.
            trial.push(op, &[from]).and_then(|branch| trial.push(Op::Add, &[branch, last]))
        } else {
            trial.push(op, &[last])
        };
        if added.is_ok() {
            builder = trial;
        }
    }
    builder.build().ok()
}

fn op(kind: u8, raw: [u8; 8], channels: usize) -> Op {
    let pick = |i: usize, n: u8| usize::from(raw[i] % n);
    let groups = [1, 2, 4, channels][pick(4, 4)];
    let conv = Conv2d {
        out_channels: groups * (1 + pick(0, 5)),
        kernel: Kernel { size: 1 + pick(1, 5), mask: KernelMask::ALL[pick(2, 5)] },
        stride: 1 + pick(3, 3),
        padding: if raw[5].is_multiple_of(3) { Padding::Valid } else { Padding::Same },
        groups,
        grouping: [Grouping::Contiguous, Grouping::Interleaved, Grouping::Shifted { blocks: 1 + pick(6, 4) }]
            [pick(5, 3)],
        bias: raw[6].is_multiple_of(2),
    };
    match kind % 9 {
        0..3 => Op::Conv2d(conv),
        3 => Op::Add,
        4 => Op::BatchNorm,
        5 => Op::Activation(if raw[0].is_multiple_of(2) { Activation::Quadratic } else { Activation::Relu }),
        6 => Op::AvgPool(AvgPool { size: 1 + pick(0, 3), stride: 1 + pick(1, 3) }),
        7 if raw[0].is_multiple_of(4) => Op::Flatten,
        _ => Op::Linear(Linear { out_features: 1 + pick(0, 20), bias: raw[1].is_multiple_of(2) }),
    }
}

/// Text that is nearly a network.
fn damaged() -> impl Strategy<Value = String> {
    let base =
        "4x9x9: conv(16,k5,cross,s2,g4,shifted2,bias) bn quad conv(16,k3)@n3 add(n3) pool(2,s1) flatten linear(12)";
    (any::<prop::sample::Index>(), "[ -~é\n]{0,4}", 0..6usize).prop_map(move |(at, insert, remove)| {
        let at = at.index(base.len());
        let end = (at + remove).min(base.len());
        format!("{}{insert}{}", &base[..at], &base[end..])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn display_and_parse_are_inverse(
        shape in prop_oneof![(1..9usize, 1..12usize, 1..12usize).prop_map(|(c, h, w)| Shape::map(c, h, w)),
            (1..50usize).prop_map(Shape::vector)],
        steps in prop::collection::vec(any::<Step>(), 1..25),
    ) {
        if let Some(net) = graph(shape, &steps) {
            let text = net.to_string();
            prop_assert_eq!(&text.parse::<TypedGraph>().unwrap(), &net);
            prop_assert_eq!(TypedGraph::from_json(&net.to_json()).unwrap(), net);
        }
    }

    #[test]
    fn malformed_text_is_an_error_on_one_line(text in prop_oneof![damaged(), any::<String>()]) {
        if let Err(error) = text.parse::<TypedGraph>() {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
