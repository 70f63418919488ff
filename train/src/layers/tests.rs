//! The convolution against its definition, and gradients against the definition's transposes.

use proptest::prelude::*;
use pulp::{Arch, Scalar, Simd, WithSimd};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use striae_spaces::{Conv2d, GraphBuilder, Grouping, Kernel, KernelMask, Op, Padding, Shape};

use super::{
    Conv,
    kernel::{Correlate, GradTask, Sweep, Task},
};
use crate::SeedTree;

pub(super) fn random(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Calls `f(image, output index, input index, weight index)` for every product the definition has.
fn products(conv: &Conv2d, input: Shape, output: Shape, batch: usize, mut f: impl FnMut(usize, usize, usize)) {
    let (c_in, (h, w), (ho, wo)) = (input.channels(), input.spatial(), output.spatial());
    let (per_group, taps) = (c_in / conv.groups, conv.kernel.tap_count());
    for image in 0..batch {
        for o in 0..conv.out_channels {
            for j in 0..per_group {
                let c = conv.input_channel(c_in, o, j);
                for (t, (dy, dx)) in conv.taps(j).into_iter().enumerate() {
                    for (y, x) in (0..ho).flat_map(|y| (0..wo).map(move |x| (y, x))) {
                        let (iy, ix) = ((y * conv.stride) as i32 + dy, (x * conv.stride) as i32 + dx);
                        if iy >= 0 && ix >= 0 && iy < h as i32 && ix < w as i32 {
                            let from = ((image * c_in + c) * h + iy as usize) * w + ix as usize;
                            let to = ((image * conv.out_channels + o) * ho + y) * wo + x;
                            f(to, from, (o * per_group + j) * taps + t);
                        }
                    }
                }
            }
        }
    }
}

fn close(name: &str, got: &[f32], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    let scale = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((f64::from(*g) - e).abs() <= 1e-5 * scale, "{name}[{i}]: {g} instead of {e}");
    }
}

fn check(conv: &Conv2d, input: Shape, batch: usize) {
    let mut builder = GraphBuilder::new(input).unwrap();
    builder.then(Op::Conv2d(conv.clone())).unwrap();
    let output = builder.build().unwrap().output_shape();
    let plan = Conv::new(conv, input, output);
    let mut rng = SeedTree::new(1).rng();
    let (x, w) = (random(&mut rng, batch * input.len()), random(&mut rng, plan.weight_count()));
    let g = random(&mut rng, batch * output.len());
    let mut y = vec![0f64; g.len()];
    let (mut dx, mut dw) = (vec![0f64; x.len()], vec![0f64; w.len()]);
    products(conv, input, output, batch, |to, from, weight| {
        y[to] += f64::from(x[from]) * f64::from(w[weight]);
        dx[from] += f64::from(g[to]) * f64::from(w[weight]);
        dw[weight] += f64::from(g[to]) * f64::from(x[from]);
    });
    close("y", &plan.forward(&x, &w), &y);
    let grads = plan.backward(&x, &w, &g, true);
    close("dx", grads.input.as_ref().unwrap(), &dx);
    close("dw", &grads.weight, &dw);
    let without = plan.backward(&x, &w, &g, false);
    assert_eq!((without.input, without.weight), (None, grads.weight));
}

fn conv(out_channels: usize, size: usize) -> Conv2d {
    Conv2d::dense(out_channels, size)
}

#[test]
fn stock_layers() {
    check(&conv(8, 3), Shape::map(3, 32, 32), 3);
    check(&Conv2d { stride: 2, ..conv(16, 5) }, Shape::map(1, 28, 28), 17);
    check(&conv(32, 1), Shape::map(16, 7, 7), 20);
    check(&Conv2d { groups: 16, ..conv(16, 5) }, Shape::map(16, 14, 14), 6);
    check(&Conv2d { padding: Padding::Valid, ..conv(10, 4) }, Shape::map(6, 4, 4), 33);
    check(&conv(4, 5), Shape::map(2, 1, 1), 2);
    // In tiles, in chunks that are full and not.
    check(&conv(24, 3), Shape::map(16, 8, 8), 17);
    check(&Conv2d { groups: 2, grouping: Grouping::Interleaved, ..conv(40, 3) }, Shape::map(32, 6, 16), 3);
    check(&Conv2d { groups: 2, ..conv(32, 3) }, Shape::map(48, 32, 32), 1);
    check(&conv(17, 3), Shape::map(19, 10, 22), 4);
    // Used in place, without padding.
    check(&conv(24, 1), Shape::map(16, 16, 16), 5);
    check(&Conv2d { groups: 4, grouping: Grouping::Interleaved, ..conv(8, 1) }, Shape::map(8, 32, 16), 3);
    check(&Conv2d { stride: 3, ..conv(2, 1) }, Shape::map(2, 1, 2), 2);
}

/// Runs the vector loops without vectors and with those of this machine; the results are equal within rounding.
pub(super) fn check_portable(len: usize, run: impl Fn(&mut [f32], bool)) {
    let [mut portable, mut here] = [vec![0.0; len], vec![0.0; len]];
    run(&mut portable, true);
    run(&mut here, false);
    let expected: Vec<f64> = portable.into_iter().map(f64::from).collect();
    close("portable", &here, &expected);
}

pub(super) fn dispatch<O: WithSimd>(op: O, portable: bool) -> O::Output {
    if portable { Scalar::new().vectorize(op) } else { Arch::new().dispatch(op) }
}

#[test]
fn portable_loops_agree_with_vectors() {
    let (plane, mut rng) = (48, SeedTree::new(2).rng());
    let src = random(&mut rng, 8 * plane);
    let packed = random(&mut rng, 8 * 3);
    let task = Task { dests: (0..8).collect(), sources: vec![0, plane + 1, 3 * plane], weights: vec![0; 24] };
    check_portable(8 * plane, |dst, portable| {
        let tasks = std::slice::from_ref(&task);
        dispatch(Sweep { tasks, packed: &packed, src: &src, dst, plane, len: plane }, portable);
    });
    let task = GradTask { outs: vec![0, plane], sources: vec![5, plane + 2, 7], weights: vec![0, 3] };
    check_portable(6, |dw, portable| {
        let tasks = std::slice::from_ref(&task);
        dispatch(Correlate { tasks, grad: &src, src: &src, dw, len: plane }, portable);
    });
}

fn any_conv() -> impl Strategy<Value = (Conv2d, Shape, usize)> {
    let masks = [KernelMask::Full, KernelMask::Cross, KernelMask::Row, KernelMask::Column, KernelMask::Alternating];
    let kernel = (1..=5usize, prop::sample::select(masks.to_vec())).prop_map(|(size, mask)| Kernel { size, mask });
    let grouping = (1..=3usize, 1..=3usize, 0..3usize).prop_map(|(blocks, subs, kind)| match kind {
        0 => (blocks * subs, Grouping::Contiguous),
        1 => (blocks * subs, Grouping::Interleaved),
        _ => (blocks * subs, Grouping::Shifted { blocks }),
    });
    let sizes = (1..=4usize, 1..=4usize, 5..=11usize, 5..=11usize, 1..=3usize, any::<bool>(), 1..=3usize);
    (kernel, grouping, sizes).prop_map(|(kernel, (groups, grouping), (ci, co, h, w, stride, same, batch))| {
        let padding = if same { Padding::Same } else { Padding::Valid };
        let out_channels = co * groups;
        let conv = Conv2d { out_channels, kernel, stride, padding, groups, grouping, bias: false };
        (conv, Shape::map(ci * groups, h, w), batch)
    })
}

/// 3 x 3 convolutions with enough channels for tiles.
fn any_tiled_conv() -> impl Strategy<Value = (Conv2d, Shape, usize)> {
    let grouping =
        prop::sample::select(vec![Grouping::Contiguous, Grouping::Interleaved, Grouping::Shifted { blocks: 1 }]);
    let sizes = (1..=2usize, 16..=35usize, 16..=35usize, 3..=13usize, 3..=13usize, 1..=5usize);
    (grouping, sizes).prop_map(|(grouping, (groups, ci, co, h, w, batch))| {
        let conv = Conv2d { groups, grouping, ..Conv2d::dense(co * groups, 3) };
        (conv, Shape::map(ci * groups, h, w), batch)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_convolution_is_its_definition((conv, input, batch) in any_conv()) {
        check(&conv, input, batch);
    }

    #[test]
    fn every_convolution_in_tiles_is_its_definition((conv, input, batch) in any_tiled_conv()) {
        check(&conv, input, batch);
    }
}
