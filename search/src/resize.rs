//! A network for other images: the same layers on maps of another size, for comparisons at one task.

use striae_spaces::{AvgPool, GraphBuilder, GraphError, Linear, NodeId, Op, Shape, TypedGraph};

/// `graph` for images of shape `input` and `classes` results. Every layer keeps its width, kernel, stride and groups; a pooling over
/// the whole map stays one, other windows shrink to the map where it is smaller; a linear last layer gets `classes`
/// outputs, and those after a flattening as many inputs as there are.
///
/// ```
/// use striae_spaces::Shape;
/// let vgg = striae_spaces::zoo::build("vgg16")?;
/// let small = striae_search::resize::resized(&vgg, Shape::map(3, 64, 64), 200)?;
/// assert_eq!(small.output_shape(), Shape::vector(200));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Where a layer does not type-check on the other maps, such as an unpadded kernel larger than its map.
pub fn resized(graph: &TypedGraph, input: Shape, classes: usize) -> Result<TypedGraph, GraphError> {
    let last = last_layers(graph);
    let mut builder = GraphBuilder::new(input)?;
    for id in graph.ids().skip(1) {
        let node = graph.node(id);
        let op = match &node.op {
            Op::AvgPool(pool) => {
                let (before, now) = (graph.shape(node.inputs[0]), builder.shape(node.inputs[0]));
                Op::AvgPool(fitting(pool, before, now))
            }
            Op::Linear(linear) if last.contains(&id) => Op::Linear(Linear { out_features: classes, ..linear.clone() }),
            Op::Input | Op::Conv2d(_) | Op::Linear(_) | Op::Activation(_) | Op::Add | Op::Flatten | Op::BatchNorm => {
                node.op.clone()
            }
        };
        builder.push(op, &node.inputs)?;
    }
    builder.build()
}

/// The layers whose sum is the result.
fn last_layers(graph: &TypedGraph) -> Vec<NodeId> {
    let mut nodes = vec![graph.output()];
    let mut next = 0;
    while let Some(&id) = nodes.get(next) {
        if graph.node(id).op == Op::Add {
            nodes.extend(&graph.node(id).inputs);
        }
        next += 1;
    }
    nodes
}

fn fitting(pool: &AvgPool, before: Shape, now: Shape) -> AvgPool {
    let ((height, width), (now_height, now_width)) = (before.spatial(), now.spatial());
    let side = now_height.min(now_width);
    if pool.size == height && pool.size == width {
        return AvgPool { size: side, stride: side };
    }
    let size = pool.size.min(side);
    AvgPool { size, stride: pool.stride.min(size) }
}

#[cfg(test)]
mod tests {
    use striae_spaces::zoo;

    use super::*;

    #[test]
    fn layers_keep_their_widths_and_pools_their_meaning() {
        let net: TypedGraph =
            "3x16x16: conv(4,k3,s2) quad pool(2) conv(8,k3) quad pool(4) flatten linear(10,bias)".parse().expect("net");
        let small = resized(&net, Shape::map(1, 4, 4), 3).expect("fits");
        assert_eq!(
            small.to_string(),
            "1x4x4: conv(4,k3,s2) quad pool(2) conv(8,k3) quad pool(1) flatten linear(3,bias)"
        );
        assert_eq!(resized(&net, net.input_shape(), 10), Ok(net));
    }

    #[test]
    fn networks_for_imagenet_run_on_small_images() {
        for name in ["vgg16", "resnet18", "resnet50", "mobilenetv2", "densenet121"] {
            let net = zoo::build(name).expect("zoo");
            for side in [32, 64] {
                let small = resized(&net, Shape::map(3, side, side), 200).expect("fits");
                assert_eq!(small.output_shape(), Shape::vector(200), "{name}");
                assert!(small.macs() < net.macs() / 5, "{name}");
            }
        }
    }
}
