//! Random convolutional networks that no space holds.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use striae_cost_model::CkksParams;
use striae_spaces::TypedGraph;

/// Scale of the small ring's parameters, in bits.
const LOG_SCALE: u32 = 30;

/// Two or three convolutions with strides, pools and masks, dense or grouped.
pub(super) fn convolutions(grouped: bool, rng: &mut ChaCha8Rng) -> Option<TypedGraph> {
    let input = pick(rng, &["1x28x28", "3x32x32", "1x16x16", "3x16x16"]);
    let stem = [8, 16, 32][rng.random_range(0..3)];
    let mut text = format!("{input}: conv({stem},k{}", pick(rng, &["3", "5"]));
    text += pick(rng, &[") bn quad", ",s2) bn quad"]);
    let mut channels: usize = stem;
    for _ in 0..rng.random_range(1..=2) {
        let next = (channels * rng.random_range(1..=2)).min(64);
        let kernel = pick(rng, &["k3", "k5,cross", "k3,row", "k1", "k3,cross", "k3"]);
        let groups = 1usize << rng.random_range(1..=4);
        let groups = if grouped { groups.min(channels) } else { 1 };
        let grouping = pick(rng, &["interleaved", "contiguous"]);
        let stride = pick(rng, &["", ",s2"]);
        let split = if groups > 1 { format!(",g{groups},{grouping}") } else { String::new() };
        text = format!("{text} conv({next},{kernel}{stride}{split}) bn quad");
        channels = next;
    }
    text += pick(rng, &["", " pool(2)"]);
    text += " flatten linear(10,bias)";
    text.parse().ok()
}

/// A network for N = 2^12: one linear layer, which is secure there, or a deeper one with parameters that are not.
pub(super) fn small(rng: &mut ChaCha8Rng) -> Option<(TypedGraph, Option<CkksParams>)> {
    if rng.random_bool(0.2) {
        let (size, outputs) = (rng.random_range(10..=40), rng.random_range(2..=20));
        return Some((format!("1x{size}x{size}: flatten linear({outputs})").parse().ok()?, None));
    }
    let input = pick(rng, &["1x28x28", "1x16x16", "3x16x16"]);
    let (channels, depth) = (4usize << rng.random_range(0..=2), rng.random_range(1..=2));
    let mut text = format!("{input}: conv({channels},k3,s2) bn quad");
    for _ in 1..depth {
        let (kernel, groups) = (pick(rng, &["k3", "k3,cross", "k1"]), pick(rng, &["", ",g2", ",g4"]));
        text = format!("{text} conv({channels},{kernel}{groups}) bn quad");
    }
    text += " flatten linear(10,bias)";
    let levels = 2 * depth + 1;
    let special = rng.random_range(1..=2u32);
    let q = format!("40{}", format!(",{LOG_SCALE}").repeat(levels));
    let p = if special == 1 { "41" } else { "36,36" };
    let ring = pick(rng, &["", " ring=conjugate-invariant"]);
    let params = format!("N=2^12 Q={q} P={p} scale=2^{LOG_SCALE}{ring} insecure");
    Some((text.parse().ok()?, Some(params.parse().ok()?)))
}

fn pick<'t>(rng: &mut ChaCha8Rng, words: &[&'t str]) -> &'t str {
    words.choose(rng).copied().unwrap_or_default()
}
