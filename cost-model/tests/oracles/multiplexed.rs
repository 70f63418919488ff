//! Section 5: multiplexed parallel convolution (Lee et al., ICML 2022), 32768 slots. Its formulas are not those of our
//! lowering, which is set beside them.

use striae_cost_model::published::lee::{Conv, Maps, dense_rotations, pool_rotations};
use striae_cost_model::{LowerOptions, Packing, StrategyChoice};
use striae_spaces::zoo;

use super::count;

const fn maps(channels: usize, side: usize, gap: usize) -> Maps {
    Maps { slots: 32768, channels, side, gap }
}

/// ResNet-20: conv1 28; 16->16 56 (6 layers); 16->32 stride 2 106; 32->32 82 (5); 32->64 stride 2 158; 64->64 126 (5);
/// down-sampling 19 and 23; pool 21; classifier 72; in all 1,803 without bootstrapping.
#[test]
fn resnet20() {
    let (image, wide, middle, deep) = (maps(3, 32, 1), maps(16, 32, 1), maps(32, 16, 2), maps(64, 8, 4));
    let conv = |input, output| Conv { input, output, kernel: 3 };
    let (first, second) = (conv(wide, middle), conv(middle, deep));
    let lines = [conv(image, wide), conv(wide, wide), first, conv(middle, middle), second, conv(deep, deep)];
    assert_eq!(lines.map(|conv| conv.rotations()), [28, 56, 106, 82, 158, 126]);
    assert_eq!([first, second].map(|conv| conv.shortcut_rotations()), [19, 23]);
    let ends = [pool_rotations(&deep), dense_rotations(10, 64)];
    assert_eq!(ends, [21, 72]);
    let times = [1, 6, 1, 5, 1, 5];
    let convs: usize = lines.iter().zip(times).map(|(conv, times)| conv.rotations() * times).sum();
    assert_eq!(convs + 19 + 23 + 21 + 72, 1803);
    // `q f_h f_w + c_o` multiplications and two levels; 16 -> 16: 8 * 9 + 16.
    assert_eq!((lines[1].passes(), lines[1].multiplications(), Conv::LEVELS), (8, 88, 2));
}

/// The network as we lower it: half the rotations where rotations are split evenly, whatever they take, and one level for
/// each convolution; our shortcuts are part of the convolutions they are added to, the pool of the classifier.
#[test]
fn our_lowering_of_resnet20() {
    let options = LowerOptions { strategy: StrategyChoice::Balanced, ..LowerOptions::default() };
    let program = count(&zoo::build("resnet20").unwrap(), 32768, &options);
    assert_eq!(program.packing, Packing::Multiplexed);
    assert!(2 * program.counts().rotations() < 1803, "{}", program.counts().rotations());
    // 19 convolutions, as many squares, the classifier; two levels each for Lee et al. without activations and classifier.
    assert_eq!((program.depth(), 19 * Conv::LEVELS), (39, 38));
}
