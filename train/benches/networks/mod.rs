//! The networks whose training speed is measured, and the measurement.

use std::{ops::ControlFlow, time::Duration};

use striae_spaces::{
    Activation, AvgPool, Conv2d, GraphBuilder, GraphError, Grouping, Kernel, KernelMask, Linear, NodeId, Op, Shape,
    TypedGraph,
};
use striae_train::{SeedTree, Splits, TrainConfig, train};

/// Images per step.
pub(crate) const BATCH: usize = 64;

/// Name, network, and steps in a run of a second or so.
pub(crate) fn all() -> [(&'static str, TypedGraph, usize); 5] {
    [
        ("resnet20", resnet20(), 10),
        ("strianet-16", strianet(16), 10),
        ("strianet-32", strianet(32), 5),
        ("vgg5", vgg5(), 10),
        ("small-mnist", small(), 100),
    ]
    .map(|(name, graph, steps)| (name, graph.expect("the network type-checks"), steps))
}

/// Time of `steps` training steps (forward, backward, update) on invented images.
pub(crate) fn time(graph: &TypedGraph, steps: usize) -> Duration {
    let shape = graph.input_shape();
    let bytes = |count: usize| {
        let pixels = (0..count * shape.len()).map(|i| (i * 31 % 251) as u8).collect();
        (pixels, (0..count).map(|i| (i % 10) as u8).collect())
    };
    // The first epoch warms caches, pools and code.
    let splits = Splits::from_bytes(shape, bytes(steps * BATCH + 10), bytes(10), 10, &SeedTree::new(1));
    let config = TrainConfig { epochs: 2, batch: BATCH, lr: 1e-3, ..TrainConfig::default() };
    let trained = train(graph, &splits, &config, None, &mut |_| ControlFlow::Continue(())).expect("training runs");
    // The time of validation and range recording is not part of the speed.
    Duration::from_secs_f64((steps * BATCH) as f64 / trained.history[1].images_per_second)
}

fn conv(out_channels: usize, size: usize, mask: KernelMask, groups: usize) -> Conv2d {
    let (kernel, grouping) = (Kernel { size, mask }, Grouping::Interleaved);
    Conv2d { kernel, groups, grouping, ..Conv2d::dense(out_channels, size) }
}

/// Convolution, batch norm and, if asked for, an activation.
fn layer(b: &mut GraphBuilder, conv: Conv2d, activation: Option<Activation>) -> Result<NodeId, GraphError> {
    b.then(Op::Conv2d(conv))?;
    let norm = b.then(Op::BatchNorm)?;
    activation.map_or(Ok(norm), |a| b.then(Op::Activation(a)))
}

fn linear(b: &mut GraphBuilder, out_features: usize) -> Result<NodeId, GraphError> {
    b.then(Op::Linear(Linear { out_features, bias: true }))
}

/// Nine StriaBlocks in three stages on 32 x 32 images, as in the prototype whose speed is the yardstick.
fn strianet(width: usize) -> Result<TypedGraph, GraphError> {
    let quadratic = Some(Activation::Quadratic);
    let mut b = GraphBuilder::new(Shape::map(3, 32, 32))?;
    let mut trunk = layer(&mut b, Conv2d::dense(width, 3), quadratic)?;
    for stage in 0..3 {
        let (width, groups) = (width << stage, 4 << stage);
        if stage > 0 {
            b.then(Op::AvgPool(AvgPool { size: 2, stride: 2 }))?;
            trunk = layer(&mut b, Conv2d::dense(width, 1), None)?;
        }
        for _ in 0..3 {
            layer(&mut b, Conv2d::dense(width, 1), quadratic)?;
            layer(&mut b, conv(width, 3, KernelMask::Cross, groups), quadratic)?;
            b.then(Op::Conv2d(conv(width, 5, KernelMask::Row, width)))?;
            layer(&mut b, conv(width, 5, KernelMask::Column, width), None)?;
            let branch = layer(&mut b, Conv2d::dense(width, 1), None)?;
            b.push(Op::Add, &[trunk, branch])?;
            trunk = b.then(Op::Activation(Activation::Quadratic))?;
        }
    }
    b.then(Op::AvgPool(AvgPool { size: 8, stride: 1 }))?;
    b.then(Op::Flatten)?;
    linear(&mut b, 10)?;
    b.build()
}

/// ResNet-20 (He et al., CVPR 2016) with rectifiers and option B shortcuts: PyTorch's home ground.
fn resnet20() -> Result<TypedGraph, GraphError> {
    let relu = Some(Activation::Relu);
    let mut b = GraphBuilder::new(Shape::map(3, 32, 32))?;
    let mut trunk = layer(&mut b, Conv2d::dense(16, 3), relu)?;
    for stage in 0..3 {
        for block in 0..3 {
            let (width, stride) = (16 << stage, if stage > 0 && block == 0 { 2 } else { 1 });
            let shortcut = trunk;
            b.push(Op::Conv2d(Conv2d { stride, ..Conv2d::dense(width, 3) }), &[trunk])?;
            b.then(Op::BatchNorm)?;
            b.then(Op::Activation(Activation::Relu))?;
            let branch = layer(&mut b, Conv2d::dense(width, 3), None)?;
            trunk = if stride == 1 {
                shortcut
            } else {
                b.push(Op::Conv2d(Conv2d { stride, ..Conv2d::dense(width, 1) }), &[shortcut])?;
                b.then(Op::BatchNorm)?
            };
            b.push(Op::Add, &[trunk, branch])?;
            trunk = b.then(Op::Activation(Activation::Relu))?;
        }
    }
    b.then(Op::AvgPool(AvgPool { size: 8, stride: 1 }))?;
    b.then(Op::Flatten)?;
    linear(&mut b, 10)?;
    b.build()
}

/// Three wide dense convolutions and two linear layers with rectifiers.
fn vgg5() -> Result<TypedGraph, GraphError> {
    let mut b = GraphBuilder::new(Shape::map(3, 32, 32))?;
    for width in [64, 128, 128] {
        layer(&mut b, Conv2d::dense(width, 3), Some(Activation::Relu))?;
        b.then(Op::AvgPool(AvgPool { size: 2, stride: 2 }))?;
    }
    b.then(Op::Flatten)?;
    linear(&mut b, 256)?;
    b.then(Op::Activation(Activation::Relu))?;
    linear(&mut b, 10)?;
    b.build()
}

/// The network that `small_quadratic_network_learns_mnist` trains.
fn small() -> Result<TypedGraph, GraphError> {
    let quadratic = Some(Activation::Quadratic);
    let mut b = GraphBuilder::new(Shape::map(1, 28, 28))?;
    layer(&mut b, Conv2d { stride: 2, ..Conv2d::dense(16, 5) }, quadratic)?;
    layer(&mut b, Conv2d { stride: 2, ..conv(32, 3, KernelMask::Full, 4) }, quadratic)?;
    b.then(Op::Flatten)?;
    linear(&mut b, 10)?;
    b.build()
}
