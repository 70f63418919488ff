//! Folding batch norm into linear layers.
//!
//! With running statistics a batch norm is `k x + d` per channel. After a convolution or linear layer that nothing else
//! reads, `k` scales its weights and `d` joins its bias; any other batch norm becomes a depthwise point convolution.

use std::collections::BTreeMap;

use striae_spaces::{
    Conv2d, GraphBuilder, Grouping, Kernel, KernelMask, NodeId, Op, Padding, Shape, Tensor, TypedGraph, WeightStore,
};

use crate::{TrainError, layers::Moments};

/// The same network without batch norms.
pub fn fold(graph: &TypedGraph, weights: &WeightStore) -> Result<(TypedGraph, WeightStore), TrainError> {
    weights.check(graph)?;
    let consumers = graph.consumers();
    let mut folded = Folding { builder: GraphBuilder::new(graph.input_shape())?, store: WeightStore::default() };
    let mut places: BTreeMap<NodeId, NodeId> = BTreeMap::from([(NodeId(0), NodeId(0))]);
    for id in graph.ids().skip(1) {
        let node = graph.node(id);
        let inputs: Vec<NodeId> = node.inputs.iter().map(|i| places[i]).collect();
        let next = match consumers[id.index()][..] {
            [reader] if graph.node(reader).op == Op::BatchNorm => Some(reader),
            _ => None,
        };
        let absorbed = node.op == Op::BatchNorm
            && matches!(graph.node(node.inputs[0]).op, Op::Conv2d(_) | Op::Linear(_))
            && consumers[node.inputs[0].index()].len() == 1;
        let place = match &node.op {
            Op::Conv2d(_) | Op::Linear(_) => folded.linear_layer(id, &node.op, &inputs, weights, next)?,
            Op::BatchNorm if absorbed => inputs[0],
            Op::BatchNorm => folded.lone_norm(id, node.shape, inputs[0], weights)?,
            op @ (Op::Input | Op::AvgPool(_) | Op::Activation(_) | Op::Add | Op::Flatten) => {
                folded.copy(id, op, &inputs, weights)?
            }
        };
        places.insert(id, place);
    }
    let graph = folded.builder.build()?;
    folded.store.check(&graph)?;
    Ok((graph, folded.store))
}

struct Folding {
    builder: GraphBuilder,
    store: WeightStore,
}

impl Folding {
    fn copy(&mut self, id: NodeId, op: &Op, inputs: &[NodeId], weights: &WeightStore) -> Result<NodeId, TrainError> {
        let place = self.builder.push(op.clone(), inputs)?;
        let prefix = format!("{id}.");
        for (name, tensor) in weights.iter() {
            if let Some(parameter) = name.strip_prefix(&prefix) {
                self.store.insert(format!("{place}.{parameter}"), tensor.clone());
            }
        }
        Ok(place)
    }

    /// A convolution or linear layer with the batch norm after it, if there is one.
    fn linear_layer(
        &mut self,
        id: NodeId,
        op: &Op,
        inputs: &[NodeId],
        weights: &WeightStore,
        norm: Option<NodeId>,
    ) -> Result<NodeId, TrainError> {
        let Some(norm) = norm else { return self.copy(id, op, inputs, weights) };
        let affine = affine(norm, weights)?;
        let mut op = op.clone();
        let bias = match &mut op {
            Op::Conv2d(conv) => &mut conv.bias,
            Op::Linear(linear) => &mut linear.bias,
            Op::Input | Op::AvgPool(_) | Op::Activation(_) | Op::Add | Op::Flatten | Op::BatchNorm => {
                unreachable!("called for linear layers")
            }
        };
        let old = if *bias { weights.get(&format!("{id}.bias"))?.data.clone() } else { vec![0.0; affine.len()] };
        *bias = true;
        let mut weight = weights.get(&format!("{id}.weight"))?.clone();
        let row = weight.data.len() / affine.len();
        for (row, (k, _)) in weight.data.chunks_exact_mut(row).zip(&affine) {
            for w in row {
                *w = (f64::from(*w) * k) as f32;
            }
        }
        let bias = affine.iter().zip(old).map(|((k, d), b)| (k * f64::from(b) + d) as f32).collect();
        let place = self.builder.push(op, inputs)?;
        self.store.insert(format!("{place}.weight"), weight);
        self.store.insert(format!("{place}.bias"), Tensor { shape: vec![affine.len()], data: bias });
        Ok(place)
    }

    /// A batch norm that follows no linear layer of its own: a depthwise point convolution.
    fn lone_norm(
        &mut self,
        id: NodeId,
        shape: Shape,
        input: NodeId,
        weights: &WeightStore,
    ) -> Result<NodeId, TrainError> {
        let affine = affine(id, weights)?;
        let n = affine.len();
        let (ks, ds): (Vec<f32>, Vec<f32>) = affine.iter().map(|&(k, d)| (k as f32, d as f32)).unzip();
        let conv = Conv2d {
            out_channels: n,
            kernel: Kernel { size: 1, mask: KernelMask::Full },
            stride: 1,
            padding: Padding::Same,
            groups: n,
            grouping: Grouping::Contiguous,
            bias: true,
        };
        let (op, weight) = match shape {
            Shape::Map { .. } => (Op::Conv2d(conv), Tensor { shape: vec![n, 1, 1], data: ks }),
            // The IR has no diagonal layer for vectors; a linear one with zeros off the diagonal is the same.
            Shape::Vector { .. } => {
                let data = (0..n * n).map(|i| if i / n == i % n { ks[i % n] } else { 0.0 }).collect();
                (Op::Linear(striae_spaces::Linear { out_features: n, bias: true }), Tensor { shape: vec![n, n], data })
            }
        };
        let place = self.builder.push(op, &[input])?;
        self.store.insert(format!("{place}.weight"), weight);
        self.store.insert(format!("{place}.bias"), Tensor { shape: vec![n], data: ds });
        Ok(place)
    }
}

/// `(k, d)` per channel of a batch norm with running statistics.
fn affine(id: NodeId, weights: &WeightStore) -> Result<Vec<(f64, f64)>, TrainError> {
    let get = |name: &str| weights.get(&format!("{id}.{name}")).map(|t| t.data.clone());
    let moments = Moments { mean: get("mean")?, var: get("var")? };
    if let Some(channel) = moments.var.iter().position(|v| *v < 0.0) {
        return Err(TrainError::Fold { node: id, channel, var: moments.var[channel] });
    }
    let (gamma, beta) = (get("gamma")?, get("beta")?);
    let channel = |c: usize| {
        let k = f64::from(gamma[c]) * f64::from(moments.inverse_std(c));
        (k, f64::from(beta[c]) - f64::from(moments.mean[c]) * k)
    };
    Ok((0..gamma.len()).map(channel).collect())
}
