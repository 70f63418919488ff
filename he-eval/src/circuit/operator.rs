//! The numbers behind a linear step: effective convolutions, with fused chains multiplied out.

use std::collections::{BTreeMap, HashMap};

use striae_cost_model::lower::convs::ConvDesc;
use striae_spaces::{NodeId, Op, Tap, TypedGraph, WeightStore};

use super::{CircuitError, weights::linear_bias};

/// A convolution with its values. A chain of convolutions with biases has, besides the weights, a constant that reaches an
/// output pixel through each tap that stays inside the map: the padding zeros stand behind the first bias, not before it.
pub(super) struct EffectiveConv {
    /// Connectivity and shapes.
    pub(super) desc: ConvDesc,
    /// `[out_channel][j]`: weights in the order of `desc.conv.taps(j)`.
    pub(super) weights: Vec<Vec<Vec<f64>>>,
    /// `[out_channel]`: constants in the order of `desc.conv.taps(0)`; empty where there is none.
    pub(super) through_taps: Vec<Vec<f64>>,
    /// `[out_channel]`.
    pub(super) bias: Vec<f64>,
}

impl EffectiveConv {
    /// The identity on every channel.
    pub(super) fn identity(desc: ConvDesc) -> Self {
        let channels = desc.output.channels();
        let weights = vec![vec![vec![1.0]]; channels];
        Self { desc, weights, through_taps: Vec::new(), bias: vec![0.0; channels] }
    }

    /// An average pool: every channel's window with equal weights.
    pub(super) fn pool(desc: ConvDesc) -> Self {
        let (channels, taps) = (desc.output.channels(), desc.conv.kernel.tap_count());
        let weights = vec![vec![vec![1.0 / taps as f64; taps]]; channels];
        Self { desc, weights, through_taps: Vec::new(), bias: vec![0.0; channels] }
    }

    /// A fully connected layer as a convolution whose kernel is as large as the map.
    pub(super) fn dense(
        desc: ConvDesc,
        node: NodeId,
        graph: &TypedGraph,
        store: &WeightStore,
    ) -> Result<Self, CircuitError> {
        let weight = store.get(&format!("{node}.weight"))?;
        let (outputs, elements) = (weight.shape[0], weight.shape[1]);
        let pixels = desc.conv.kernel.tap_count();
        let row = |row: &[f32]| row.chunks(pixels).map(|map| map.iter().map(|w| f64::from(*w)).collect()).collect();
        let weights = weight.data.chunks(elements).map(row).collect();
        let bias = bias_of(node, linear_bias(graph, node), outputs, store)?;
        Ok(Self { desc, weights, through_taps: Vec::new(), bias })
    }

    /// The composition of the convolutions at `chain`.
    pub(super) fn compose(
        desc: ConvDesc,
        chain: &[NodeId],
        graph: &TypedGraph,
        store: &WeightStore,
    ) -> Result<Self, CircuitError> {
        if let [single] = chain {
            return Self::single(desc, *single, graph, store);
        }
        let mut parts = Composition::identity(desc.input.channels());
        for &node in chain {
            parts = parts.then(node, graph, store)?;
        }
        Ok(parts.finish(desc))
    }

    fn single(desc: ConvDesc, node: NodeId, graph: &TypedGraph, store: &WeightStore) -> Result<Self, CircuitError> {
        let Op::Conv2d(conv) = &graph.node(node).op else { return Err(CircuitError::NotFolded { node }) };
        let weight = store.get(&format!("{node}.weight"))?;
        let (per_pair, pairs) = (weight.shape[2], weight.shape[1]);
        let value = |o: usize, j: usize| {
            let start = (o * pairs + j) * per_pair;
            weight.data[start..start + per_pair].iter().map(|w| f64::from(*w)).collect::<Vec<f64>>()
        };
        let weights = (0..conv.out_channels).map(|o| (0..pairs).map(|j| value(o, j)).collect()).collect();
        let bias = bias_of(node, conv.bias, conv.out_channels, store)?;
        Ok(Self { desc, weights, through_taps: Vec::new(), bias })
    }
}

fn bias_of(node: NodeId, present: bool, outputs: usize, store: &WeightStore) -> Result<Vec<f64>, CircuitError> {
    if present {
        Ok(store.get(&format!("{node}.bias"))?.data.iter().map(|b| f64::from(*b)).collect())
    } else {
        Ok(vec![0.0; outputs])
    }
}

/// A partly composed chain, by output channel.
struct Composition {
    channels: Vec<ComposedChannel>,
    /// Taps of the chain so far.
    moved: bool,
}

#[derive(Clone, Default)]
struct ComposedChannel {
    /// Weight by input channel and tap.
    weights: BTreeMap<(usize, Tap), f64>,
    /// Constant by tap.
    through_taps: BTreeMap<Tap, f64>,
    bias: f64,
}

impl Composition {
    fn identity(channels: usize) -> Self {
        let channel = |c| ComposedChannel { weights: BTreeMap::from([((c, (0, 0)), 1.0)]), ..Default::default() };
        Self { channels: (0..channels).map(channel).collect(), moved: false }
    }

    /// Appends a convolution; at most one of a chain has other taps than (0, 0).
    fn then(&self, node: NodeId, graph: &TypedGraph, store: &WeightStore) -> Result<Self, CircuitError> {
        let Op::Conv2d(conv) = &graph.node(node).op else { return Err(CircuitError::NotFolded { node }) };
        let weight = store.get(&format!("{node}.weight"))?;
        let bias = bias_of(node, conv.bias, conv.out_channels, store)?;
        let (pairs, per_pair) = (weight.shape[1], weight.shape[2]);
        let moves = !conv.kernel.is_point() || conv.stride != 1;
        let mut channels = Vec::with_capacity(conv.out_channels);
        for o in 0..conv.out_channels {
            let mut channel = ComposedChannel { bias: bias[o], ..ComposedChannel::default() };
            for j in 0..pairs {
                let middle = &self.channels[conv.input_channel(self.channels.len(), o, j)];
                for (t, tap) in conv.taps(j).into_iter().enumerate() {
                    let w = f64::from(weight.data[(o * pairs + j) * per_pair + t]);
                    channel.add(middle, w, tap, moves);
                }
            }
            channels.push(channel);
        }
        Ok(Self { channels, moved: self.moved || moves })
    }

    fn finish(self, desc: ConvDesc) -> EffectiveConv {
        let inputs = desc.input.channels();
        let pairs = inputs / desc.conv.groups;
        let index: HashMap<Tap, usize> = desc.conv.taps(0).into_iter().enumerate().map(|(i, t)| (t, i)).collect();
        let mut weights = vec![vec![vec![0.0; index.len()]; pairs]; self.channels.len()];
        for (o, channel) in self.channels.iter().enumerate() {
            for (j, list) in weights[o].iter_mut().enumerate() {
                let input = desc.conv.input_channel(inputs, o, j);
                for (tap, slot) in &index {
                    list[*slot] = channel.weights.get(&(input, *tap)).copied().unwrap_or(0.0);
                }
            }
        }
        let constants = |c: &ComposedChannel| {
            let mut list = vec![0.0; index.len()];
            c.through_taps.iter().for_each(|(tap, v)| list[index[tap]] = *v);
            list
        };
        let through_taps = self.channels.iter().map(constants).collect();
        let bias = self.channels.iter().map(|c| c.bias).collect();
        EffectiveConv { desc, weights, through_taps, bias }
    }
}

impl ComposedChannel {
    fn add(&mut self, middle: &Self, w: f64, tap: Tap, moves: bool) {
        let shift = |t: Tap| (t.0 + tap.0, t.1 + tap.1);
        for (&(input, t), v) in &middle.weights {
            *self.weights.entry((input, shift(t))).or_default() += w * v;
        }
        for (&t, v) in &middle.through_taps {
            *self.through_taps.entry(shift(t)).or_default() += w * v;
        }
        if moves {
            *self.through_taps.entry(tap).or_default() += w * middle.bias;
        } else {
            self.bias += w * middle.bias;
        }
    }
}
