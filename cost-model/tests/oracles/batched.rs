//! Section 8: one channel of many images in a ciphertext (FHEON; "Towards Deep Encrypted Training", 2026).

use striae_cost_model::{LowerOptions, Packing, RotationKinds, Strategy, StrategyChoice};
use striae_spaces::TypedGraph;

use super::count;

/// A batch row-major: in gaps stand images, never channels.
fn batch(images: usize) -> LowerOptions {
    let strategy = StrategyChoice::Always(Strategy::OutputSide);
    LowerOptions { packing: Packing::RowMajor, batch: images, strategy, ..LowerOptions::default() }
}

/// `Ci (K^2 - 1)` rotations, none of them outer, `Ci Co K^2` multiplications, a ciphertext for each channel. The paper composes
/// the corner shifts of two, so that 4 keys `{+-1, +-W}` do; ours are hoisted, for which each of the 8 shifts has its key.
#[test]
fn one_channel_of_many_images() {
    for (inputs, outputs, kernel) in [(16, 16, 3), (16, 32, 3), (64, 64, 3), (8, 16, 5), (32, 64, 1)] {
        let graph: TypedGraph = format!("{inputs}x32x32: conv({outputs},k{kernel})").parse().unwrap();
        let program = count(&graph, 32768, &batch(32));
        let (counts, taps) = (program.counts(), kernel * kernel);
        assert_eq!((program.batch(), program.interleaved), (32, 32));
        assert_eq!(program.values.iter().map(|v| v.layout.ciphertexts()).collect::<Vec<_>>(), [inputs, outputs]);
        assert_eq!(counts.rotations_hoisted as usize, inputs * (taps - 1));
        assert_eq!(counts.plain_mults as usize, inputs * outputs * taps);
        let internal = (inputs * (taps - 1)) as u64;
        assert_eq!(program.rotation_kinds(), RotationKinds { internal, ..RotationKinds::default() });
        assert_eq!(program.keys().rotations.len(), taps - 1);
    }
}

/// After a stride 2, four ciphertexts of one channel and different images merge into one with 3 rotations per channel: at
/// 32768 slots 32 -> 128 -> 512 images per ciphertext for 32x32 -> 16x16 -> 8x8.
#[test]
fn ciphertexts_merge_behind_strides() {
    let graph: TypedGraph = "16x32x32: conv(32,k3,s2) quad conv(64,k3,s2)".parse().unwrap();
    let program = count(&graph, 32768, &batch(512));
    assert_eq!((program.batch(), program.interleaved), (512, 32));
    let images = |layout: &striae_cost_model::packing::Layout| program.interleaved * layout.group_images();
    let layouts: Vec<_> = program.values.iter().map(|v| &v.layout).collect();
    let at = |i: usize| (images(layouts[i]), layouts[i].groups(), layouts[i].group_ciphertexts());
    assert_eq!([at(0), at(1), at(3)], [(32, 16, 16), (128, 4, 32), (512, 1, 64)]);
    for (step, inputs, outputs) in [(0, 16 * 16, 4 * 32), (2, 4 * 32, 64)] {
        let kinds = program.step_rotation_kinds(step);
        assert_eq!((kinds.internal, kinds.merge, kinds.external), (inputs * 8, outputs * 3, 0));
    }
    // Multiplexed, channels share a ciphertext only when all images are in.
    let multiplexed = LowerOptions { packing: Packing::Multiplexed, ..batch(32) };
    let program = count(&graph, 32768, &multiplexed);
    let layouts: Vec<_> = program.values.iter().map(|v| (v.layout.groups(), v.layout.group_ciphertexts())).collect();
    assert_eq!([layouts[0], layouts[1], layouts[3]], [(1, 16), (1, 8), (1, 4)]);
}
