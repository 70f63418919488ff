//! The network evaluated directly in f64, operation by operation: the referee of circuits.
//!
//! It shares nothing with lowering but the definitions of the IR, and is written for clarity, not speed.

use striae_spaces::{Activation, AvgPool, Conv2d, NodeId, Op, Shape, TypedGraph, WeightError, WeightStore};

/// Value of every node for one image, in channel-row-column order.
pub fn evaluate(graph: &TypedGraph, store: &WeightStore, image: &[f32]) -> Result<Vec<Vec<f64>>, WeightError> {
    let mut values: Vec<Vec<f64>> = vec![image.iter().map(|v| f64::from(*v)).collect()];
    for id in graph.ids().skip(1) {
        let node = graph.node(id);
        let x = &values[node.inputs[0].index()];
        let shape = graph.shape(node.inputs[0]);
        let parameter = |name: &str| -> Result<Vec<f64>, WeightError> {
            Ok(store.get(&format!("{id}.{name}"))?.data.iter().map(|v| f64::from(*v)).collect())
        };
        let per_channel = |i: usize| i / (node.shape.len() / node.shape.channels());
        let value = match &node.op {
            Op::Input | Op::Flatten => x.clone(),
            Op::Add => x.iter().zip(&values[node.inputs[1].index()]).map(|(a, b)| a + b).collect(),
            Op::Conv2d(conv) => {
                let bias = if conv.bias { parameter("bias")? } else { vec![0.0; conv.out_channels] };
                convolve(conv, x, (shape, node.shape), &parameter("weight")?, &bias)
            }
            Op::Linear(linear) => {
                let bias = if linear.bias { parameter("bias")? } else { vec![0.0; linear.out_features] };
                let weight = parameter("weight")?;
                let row = |o: usize| &weight[o * x.len()..(o + 1) * x.len()];
                let dot = |o: usize| row(o).iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
                (0..linear.out_features).map(|o| bias[o] + dot(o)).collect()
            }
            Op::AvgPool(pool) => average(pool, x, shape, node.shape),
            Op::Activation(Activation::Relu) => x.iter().map(|v| v.max(0.0)).collect(),
            Op::Activation(Activation::Quadratic) => {
                let (a, b, c) = (parameter("a")?, parameter("b")?, parameter("c")?);
                let quadratic =
                    |(i, v): (usize, &f64)| (a[per_channel(i)] * v + b[per_channel(i)]) * v + c[per_channel(i)];
                x.iter().enumerate().map(quadratic).collect()
            }
            Op::BatchNorm => batch_norm(x, id, store, per_channel)?,
        };
        values.push(value);
    }
    Ok(values)
}

/// The result of the network for one image.
pub fn logits(graph: &TypedGraph, store: &WeightStore, image: &[f32]) -> Result<Vec<f64>, WeightError> {
    Ok(evaluate(graph, store, image)?.pop().unwrap_or_default())
}

/// Added to the variance of a batch norm, as in training.
const EPSILON: f64 = 1e-5;

fn batch_norm(
    x: &[f64],
    id: NodeId,
    store: &WeightStore,
    channel: impl Fn(usize) -> usize,
) -> Result<Vec<f64>, WeightError> {
    let at = |name: &str, c: usize| -> Result<f64, WeightError> {
        Ok(f64::from(store.get(&format!("{id}.{name}"))?.data[c]))
    };
    x.iter()
        .enumerate()
        .map(|(i, v)| {
            let c = channel(i);
            let scale = at("gamma", c)? / (at("var", c)? + EPSILON).sqrt();
            Ok((v - at("mean", c)?) * scale + at("beta", c)?)
        })
        .collect()
}

fn convolve(conv: &Conv2d, x: &[f64], (input, output): (Shape, Shape), weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let ((in_h, in_w), (out_h, out_w)) = (input.spatial(), output.spatial());
    let (pairs, taps) = (input.channels() / conv.groups, conv.kernel.tap_count());
    let mut result = Vec::with_capacity(output.len());
    for o in 0..conv.out_channels {
        for (y, x0) in (0..out_h).flat_map(|y| (0..out_w).map(move |x| (y, x))) {
            let mut sum = bias[o];
            for j in 0..pairs {
                let channel = conv.input_channel(input.channels(), o, j);
                for (t, (dy, dx)) in conv.taps(j).into_iter().enumerate() {
                    let (iy, ix) =
                        ((y * conv.stride) as i64 + i64::from(dy), (x0 * conv.stride) as i64 + i64::from(dx));
                    if (0..in_h as i64).contains(&iy) && (0..in_w as i64).contains(&ix) {
                        let pixel = (channel * in_h + iy as usize) * in_w + ix as usize;
                        sum += weight[(o * pairs + j) * taps + t] * x[pixel];
                    }
                }
            }
            result.push(sum);
        }
    }
    result
}

fn average(pool: &AvgPool, x: &[f64], input: Shape, output: Shape) -> Vec<f64> {
    let ((in_h, in_w), (out_h, out_w)) = (input.spatial(), output.spatial());
    let mut result = Vec::with_capacity(output.len());
    for c in 0..output.channels() {
        for (y, x0) in (0..out_h).flat_map(|y| (0..out_w).map(move |x| (y, x))) {
            let window = (0..pool.size).flat_map(|dy| (0..pool.size).map(move |dx| (dy, dx)));
            let sum: f64 =
                window.map(|(dy, dx)| x[(c * in_h + y * pool.stride + dy) * in_w + x0 * pool.stride + dx]).sum();
            result.push(sum / (pool.size * pool.size) as f64);
        }
    }
    result
}
