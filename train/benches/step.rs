//! Images per second of training steps (forward, backward, update) at batch 64.

use std::{ops::ControlFlow, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use striae_spaces::{
    Activation, AvgPool, Conv2d, GraphBuilder, GraphError, Grouping, Kernel, KernelMask, Linear, NodeId, Op, Shape,
    TypedGraph,
};
use striae_train::{SeedTree, Splits, TrainConfig, train};

/// A step allocates and frees megabytes per layer; the system's allocator returns them to the kernel each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 64;

fn conv(out_channels: usize, size: usize, mask: KernelMask, groups: usize) -> Conv2d {
    let (kernel, grouping) = (Kernel { size, mask }, Grouping::Interleaved);
    Conv2d { kernel, groups, grouping, ..Conv2d::dense(out_channels, size) }
}

/// Convolution, batch norm and, if asked for, a quadratic activation.
fn layer(b: &mut GraphBuilder, conv: Conv2d, activation: bool) -> Result<NodeId, GraphError> {
    b.then(Op::Conv2d(conv))?;
    let norm = b.then(Op::BatchNorm)?;
    if activation { b.then(Op::Activation(Activation::Quadratic)) } else { Ok(norm) }
}

/// Nine StriaBlocks in three stages on 32 x 32 images, as in the prototype whose speed is the yardstick.
fn strianet(width: usize) -> Result<TypedGraph, GraphError> {
    let mut b = GraphBuilder::new(Shape::map(3, 32, 32))?;
    let mut trunk = layer(&mut b, Conv2d::dense(width, 3), true)?;
    for stage in 0..3 {
        let (width, groups) = (width << stage, 4 << stage);
        if stage > 0 {
            b.then(Op::AvgPool(AvgPool { size: 2, stride: 2 }))?;
            trunk = layer(&mut b, Conv2d::dense(width, 1), false)?;
        }
        for _ in 0..3 {
            layer(&mut b, Conv2d::dense(width, 1), true)?;
            layer(&mut b, conv(width, 3, KernelMask::Cross, groups), true)?;
            b.then(Op::Conv2d(conv(width, 5, KernelMask::Row, width)))?;
            layer(&mut b, conv(width, 5, KernelMask::Column, width), false)?;
            let branch = layer(&mut b, Conv2d::dense(width, 1), false)?;
            b.push(Op::Add, &[trunk, branch])?;
            trunk = b.then(Op::Activation(Activation::Quadratic))?;
        }
    }
    b.then(Op::AvgPool(AvgPool { size: 8, stride: 1 }))?;
    b.then(Op::Flatten)?;
    b.then(Op::Linear(Linear { out_features: 10, bias: true }))?;
    b.build()
}

/// The network that `small_quadratic_network_learns_mnist` trains.
fn small() -> Result<TypedGraph, GraphError> {
    let mut b = GraphBuilder::new(Shape::map(1, 28, 28))?;
    layer(&mut b, Conv2d { stride: 2, ..Conv2d::dense(16, 5) }, true)?;
    layer(&mut b, Conv2d { stride: 2, ..conv(32, 3, KernelMask::Full, 4) }, true)?;
    b.then(Op::Flatten)?;
    b.then(Op::Linear(Linear { out_features: 10, bias: true }))?;
    b.build()
}

fn steps(c: &mut Criterion) {
    let networks = [("strianet-16", strianet(16), 10), ("strianet-32", strianet(32), 5), ("small-mnist", small(), 100)];
    let mut group = c.benchmark_group("training-step");
    group.sample_size(10).throughput(Throughput::Elements(BATCH as u64)).measurement_time(Duration::from_secs(10));
    for (name, graph, per_run) in networks {
        let graph = graph.expect("the network type-checks");
        let shape = graph.input_shape();
        let bytes = |count: usize| {
            let pixels = (0..count * shape.len()).map(|i| (i * 31 % 251) as u8).collect();
            (pixels, (0..count).map(|i| (i % 10) as u8).collect())
        };
        let splits = Splits::from_bytes(shape, bytes(per_run * BATCH + 10), bytes(10), 10, &SeedTree::new(1));
        group.bench_function(name, |b| {
            b.iter_custom(|iterations| {
                // Whole runs of several steps; the time of validation and range recording is not part of the speed.
                let runs = iterations.div_ceil(per_run as u64);
                let mut seconds = 0.0;
                for _ in 0..runs {
                    let config = TrainConfig { epochs: 1, batch: BATCH, ..TrainConfig::default() };
                    let trained = train(&graph, &splits, &config, None, &mut |_| ControlFlow::Continue(()))
                        .expect("training runs");
                    seconds += BATCH as f64 / trained.history[0].images_per_second;
                }
                Duration::from_secs_f64(seconds / runs as f64 * iterations as f64)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
