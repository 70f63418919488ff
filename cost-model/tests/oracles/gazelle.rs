//! Section 2: Gazelle (Juvekar et al., USENIX Security 2018; `conv2d.cpp` of its public code).

use striae_cost_model::Strategy;
use striae_spaces::{Conv2d, Shape};

use super::{conv_graph, lower, options};

/// With `c_n = s / pad2(HW)`: rotating inputs takes `in_ct (c_n K^2 - 1)` rotations, all hoisted; rotating outputs
/// `in_ct (K^2 - 1)` hoisted and `out_ct (c_n - 1)` plain; either way `in_ct out_ct c_n K^2` multiplications.
#[test]
fn one_and_two_stages() {
    // 64 -> 64 channels on 32 x 32, 3 x 3, 2048 slots: 544 and 288. The others follow the same formulas.
    for (channels, outputs, side, kernel) in [(64, 64, 32, 3), (32, 128, 16, 3), (16, 32, 16, 5), (64, 64, 16, 1)] {
        let graph = conv_graph(Shape::map(channels, side, side), Conv2d::dense(outputs, kernel));
        let one = lower(&graph, 12, &options(Strategy::InputSide)).counts();
        let two = lower(&graph, 12, &options(Strategy::OutputSide)).counts();
        let capacity = 2048 / (side * side);
        let (inputs, outputs, taps) = (channels / capacity, outputs / capacity, kernel * kernel);
        let all = (one.rotations() as usize, two.rotations() as usize);
        if (channels, side) == (64, 32) {
            assert_eq!(all, (544, 288));
        }
        assert_eq!(all, (inputs * (capacity * taps - 1), inputs * (taps - 1) + outputs * (capacity - 1)));
        assert_eq!((one.rotations_hoisted as usize, one.giant_steps), (all.0, 0));
        assert_eq!(
            (two.rotations_hoisted as usize, two.giant_steps as usize),
            (inputs * (taps - 1), outputs * (capacity - 1))
        );
        let mults = (inputs * outputs * capacity * taps) as u64;
        assert_eq!((one.plain_mults, two.plain_mults), (mults, mults));
    }
}
