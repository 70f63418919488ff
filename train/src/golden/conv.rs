//! Convolutions: every grouping, mask, stride and padding, at sizes that reach every kernel.

use serde::Deserialize;
use striae_spaces::{Conv2d, GraphBuilder, Grouping, Kernel, KernelMask, Op, Padding, Shape};

use super::{close, read, sequence};
use crate::Conv;

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
        let mut builder = GraphBuilder::new(input).unwrap();
        builder.then(Op::Conv2d(conv.clone())).unwrap();
        let output = builder.build().unwrap().output_shape();
        let plan = Conv::new(&conv, input, output);
        let (x, weight) = (sequence(1, case.batch * input.len()), sequence(2, plan.weight_count()));
        let grads = plan.backward(&x, &weight, &sequence(3, case.batch * output.len()), true);
        let name = |part: &str| format!("{part} of {conv:?} on {input}");
        close(&name("y"), &plan.forward(&x, &weight), &case.y);
        close(&name("dx"), &grads.input.unwrap(), &case.dx);
        close(&name("dw"), &grads.weight, &case.dw);
    }
}
