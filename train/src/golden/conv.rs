//! Convolutions: every grouping, mask, stride and padding, at sizes that reach every kernel.

use std::sync::Arc;

use candle_core::CustomOp2;
use serde::Deserialize;
use striae_spaces::{Conv2d, GraphBuilder, Grouping, Kernel, KernelMask, Op, Padding, Shape};

use super::{Computed, close, draw, read};
use crate::layers::{ConvOp, ConvPlan};

#[derive(Deserialize)]
struct ConvCase {
    size: usize,
    mask: KernelMask,
    groups: usize,
    grouping: Grouping,
    stride: usize,
    padding: Padding,
    out_channels: usize,
    input: [usize; 3],
    batch: usize,
    y: Vec<f64>,
    dx: Vec<f64>,
    dw: Vec<f64>,
}

#[test]
fn convolutions_equal_pytorch() {
    let cases: Vec<ConvCase> = read(include_str!("../../tests/golden/conv.json"));
    for case in cases {
        let ConvCase { size, mask, groups, grouping, stride, padding, out_channels, input: [c, h, w], .. } = case;
        let kernel = Kernel { size, mask };
        let conv = Conv2d { out_channels, kernel, stride, padding, groups, grouping, bias: false };
        let input = Shape::map(c, h, w);
        let label = format!("{conv:?} on {input}");
        let mut builder = GraphBuilder::new(input).unwrap();
        builder.then(Op::Conv2d(conv.clone())).unwrap();
        let output = builder.build().unwrap().output_shape();
        let (x, weight) = (draw(1, &[case.batch, c, h, w]), draw(2, &[out_channels, c / groups, kernel.tap_count()]));
        let conv = Arc::new(ConvPlan::new(&conv, input, output));
        let op = ConvOp { conv, output: output.spatial(), need_input: true };
        let y = x.apply_op2_no_bwd(&weight, &op).unwrap();
        let grad = draw(3, y.dims());
        let (dx, dw) = op.bwd(&x, &weight, &y, &grad).unwrap();
        for got in [Computed::new(&y, &[dx, dw]), Computed::stock(&op, &[&x, &weight], &grad)] {
            close(&format!("y of {label}"), &got.result, &case.y);
            close(&format!("dx of {label}"), &got.grads[0], &case.dx);
            close(&format!("dw of {label}"), &got.grads[1], &case.dw);
        }
    }
}
