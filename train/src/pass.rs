//! Forward passes over a model, and the reverse walk that collects gradients.
//!
//! Every layer is a candle custom operation, but the chain rule runs over the typed graph here instead of candle's tape:
//! that one starts each gradient as a tensor of zeros and adds to it, which for these small layers costs as much as the
//! layers do.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use candle_core::{CustomOp1, CustomOp2, CustomOp3, Tensor};
use striae_spaces::{Activation, NodeId, Op};

use crate::{
    Model, TrainError,
    layers::{
        ActivationOp, BiasOp, ConvOp, LinearOp, Moments, NormOp, Pool, PoolOp, RangePenalty, Value, add, apply1,
        apply2, apply3,
    },
};

/// Share of a batch in the running mean and variance.
const RUNNING_SHARE: f32 = 0.1;

/// Gradients by parameter name.
pub(crate) type Gradients = BTreeMap<String, Tensor>;

/// Penalty on the inputs of quadratic activations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Penalty {
    /// Magnitude that is free.
    pub(crate) limit: f32,
    /// Factor in the loss.
    pub(crate) weight: f32,
}

/// How a node was computed, as far as its gradient needs to know.
enum Record {
    Conv(ConvOp),
    Linear(LinearOp),
    Pool(PoolOp),
    Add,
    Flatten,
    /// Batch norm; its result is kept by the activation it was fused with.
    Fused,
    /// Batch norm `of`, fused with `activation` if it stands at another node; with both parameter stacks.
    Norm {
        op: NormOp,
        of: NodeId,
        norm: Tensor,
        curve: Tensor,
    },
    Activation {
        op: ActivationOp,
        curve: Tensor,
    },
    Input,
}

/// A training pass.
pub(crate) struct Pass {
    /// Value of every node; none where a batch norm was fused into the activation after it.
    pub(crate) values: Vec<Option<Value>>,
    /// Weighted sum of all penalties.
    pub(crate) penalty: f32,
    records: Vec<Record>,
}

impl Pass {
    pub(crate) fn logits(&self) -> &Value {
        self.values.last().and_then(Option::as_ref).expect("the output is never fused away")
    }

    pub(crate) fn value(&self, id: NodeId) -> &Value {
        self.values[id.index()].as_ref().expect("computed before, and kept where it is read")
    }
}

impl Model {
    /// Runs the network with the batch's own statistics.
    pub(crate) fn train_pass(&self, input: &Value, penalty: Option<Penalty>) -> Result<Pass, TrainError> {
        let values = vec![Some(input.clone())];
        let mut pass = Pass { values, penalty: 0.0, records: vec![Record::Input] };
        for id in self.graph().ids().skip(1) {
            let node = self.graph().node(id);
            let before = node.inputs[0];
            let quadratic = node.op == Op::Activation(Activation::Quadratic);
            let (value, record) = if matches!(pass.records[before.index()], Record::Fused) {
                self.norm(&pass, before, Some(id))?
            } else if node.op != Op::BatchNorm {
                if let Some(Penalty { limit, weight }) = penalty.filter(|_| quadratic) {
                    pass.penalty += weight * RangePenalty { limit }.value(pass.value(before))?;
                }
                let (value, record) = self.layer(id, &pass.values)?;
                (Some(value), record)
            } else if penalty.is_none() && self.feeds_only_activation(id) {
                // The penalty needs the value between batch norm and activation.
                (None, Record::Fused)
            } else {
                self.norm(&pass, id, None)?
            };
            pass.values.push(value);
            pass.records.push(record);
        }
        Ok(pass)
    }

    /// Runs the network with the running statistics; returns the values of the output and of all inputs of activations.
    pub(crate) fn eval_pass(&self, input: &Value) -> Result<Vec<Option<Value>>, TrainError> {
        let mut values = vec![Some(input.clone())];
        for id in self.graph().ids().skip(1) {
            let node = self.graph().node(id);
            let value = if node.op == Op::BatchNorm {
                let x = values[node.inputs[0].index()].as_ref().expect("computed before");
                Value::new(apply2(x, &self.running_curve(id)?, &ActivationOp { relu: false })?)
            } else {
                self.layer(id, &values)?.0
            };
            values.push(Some(value));
            for input in &node.inputs {
                let reader_is_activation = |r: &NodeId| matches!(self.graph().node(*r).op, Op::Activation(_));
                let done = self.consumers(*input).iter().all(|r| *r <= id);
                if done && !self.consumers(*input).iter().any(reader_is_activation) {
                    values[input.index()] = None;
                }
            }
        }
        Ok(values)
    }

    /// Gradients of all parameters, given that of the logits.
    pub(crate) fn gradients(
        &self,
        pass: &Pass,
        logits: Value,
        penalty: Option<Penalty>,
    ) -> Result<Gradients, TrainError> {
        let mut walk = Reverse { grads: vec![None; pass.values.len()], params: Gradients::new() };
        walk.grads[self.graph().output().index()] = Some(logits);
        for id in self.graph().ids().skip(1).collect::<Vec<_>>().into_iter().rev() {
            let Some(grad) = walk.grads[id.index()].take() else { continue };
            walk.node(self, pass, id, grad)?;
            let node = self.graph().node(id);
            if let (Some(Penalty { limit, weight }), Op::Activation(Activation::Quadratic)) = (penalty, &node.op) {
                let slope = RangePenalty { limit }.slope(pass.value(node.inputs[0]), weight)?;
                walk.add(node.inputs[0], Value::new(slope))?;
            }
        }
        Ok(walk.params)
    }

    /// Moves the running statistics towards those of a batch.
    pub(crate) fn update_running(&mut self, pass: &Pass) -> Result<(), TrainError> {
        for record in &pass.records {
            let Record::Norm { op, of, .. } = record else { continue };
            let moments = op.moments.get().expect("the forward pass ran");
            let (height, width) = self.graph().shape(*of).spatial();
            let n = (pass.logits().dim(0)? * height * width) as f32;
            let unbiased = if n > 1.0 { n / (n - 1.0) } else { 1.0 };
            for (name, values, factor) in [("mean", &moments.mean, 1.0), ("var", &moments.var, unbiased)] {
                let name = format!("{of}.{name}");
                let mut running = self.values(&name)?;
                running.iter_mut().zip(values).for_each(|(r, v)| *r += RUNNING_SHARE * (factor * v - *r));
                self.set(&name, running)?;
            }
        }
        Ok(())
    }

    fn feeds_only_activation(&self, id: NodeId) -> bool {
        let [reader] = self.consumers(id) else { return false };
        matches!(self.graph().node(*reader).op, Op::Activation(_))
    }

    /// `[a, b, c]` of an activation, the identity where there is none.
    fn curve(&self, id: Option<NodeId>, channels: usize) -> Result<Tensor, TrainError> {
        if let Some(id) = id.filter(|&id| self.graph().node(id).op == Op::Activation(Activation::Quadratic)) {
            return Ok(Tensor::stack(&["a", "b", "c"].map(|name| self.param(id, name)), 0)?);
        }
        let values = (0..3 * channels).map(|i| if i / channels == 1 { 1.0f32 } else { 0.0 }).collect();
        Ok(Tensor::from_vec(values, (3, channels), self.device())?)
    }

    fn is_relu(&self, id: Option<NodeId>) -> bool {
        id.is_some_and(|id| self.graph().node(id).op == Op::Activation(Activation::Relu))
    }

    /// Batch norm `of` with the batch's statistics, followed by `activation`.
    fn norm(&self, pass: &Pass, of: NodeId, activation: Option<NodeId>) -> Result<(Option<Value>, Record), TrainError> {
        let x = pass.value(self.graph().node(of).inputs[0]);
        let norm = Tensor::stack(&[self.param(of, "gamma"), self.param(of, "beta")], 0)?;
        let curve = self.curve(activation, norm.dim(1)?)?;
        let op = NormOp { relu: self.is_relu(activation), moments: Arc::new(OnceLock::new()) };
        let y = apply3(x, &norm, &curve, &op)?;
        Ok((Some(Value::new(y)), Record::Norm { op, of, norm, curve }))
    }

    /// The value of a node that is no batch norm.
    fn layer(&self, id: NodeId, values: &[Option<Value>]) -> Result<(Value, Record), TrainError> {
        let node = self.graph().node(id);
        let x = |i: usize| values[node.inputs[i].index()].as_ref().expect("computed before");
        let need_input = node.inputs.iter().any(|i| i.index() != 0);
        Ok(match &node.op {
            Op::Conv2d(conv) => {
                let op = ConvOp { conv: self.conv(id), output: node.shape.spatial(), need_input };
                let y = Value::new(apply2(x(0), self.param(id, "weight"), &op)?);
                (self.biased(y, id, conv.bias)?, Record::Conv(op))
            }
            Op::Linear(linear) => {
                let op = LinearOp { need_input };
                let y = Value::new(apply2(x(0), self.param(id, "weight"), &op)?);
                (self.biased(y, id, linear.bias)?, Record::Linear(op))
            }
            Op::AvgPool(pool) => {
                let (input, output) = (self.graph().shape(node.inputs[0]).spatial(), node.shape.spatial());
                let op = PoolOp(Pool { size: pool.size, stride: pool.stride, input, output });
                (Value::new(apply1(x(0), &op)?), Record::Pool(op))
            }
            Op::Activation(_) => {
                let curve = self.curve(Some(id), node.shape.channels())?;
                let op = ActivationOp { relu: self.is_relu(Some(id)) };
                (Value::new(apply2(x(0), &curve, &op)?), Record::Activation { op, curve })
            }
            Op::Add => (Value::new(add(x(0), x(1))?), Record::Add),
            Op::Flatten => (x(0).view(|x| x.flatten_from(1))?, Record::Flatten),
            Op::Input | Op::BatchNorm => unreachable!("the callers compute these"),
        })
    }

    fn biased(&self, y: Value, id: NodeId, bias: bool) -> Result<Value, TrainError> {
        if bias { Ok(Value::new(apply2(&y, self.param(id, "bias"), &BiasOp)?)) } else { Ok(y) }
    }

    /// Batch norm with the running statistics as `[0, k, d]`.
    fn running_curve(&self, id: NodeId) -> Result<Tensor, TrainError> {
        let get = |name: &str| self.values(&format!("{id}.{name}"));
        let (gamma, beta, moments) = (get("gamma")?, get("beta")?, Moments { mean: get("mean")?, var: get("var")? });
        let n = gamma.len();
        let mut values = vec![0.0; 3 * n];
        for c in 0..n {
            let curve = moments.curve(c, gamma[c], beta[c], [0.0, 1.0, 0.0]);
            values[n + c] = curve.k;
            values[2 * n + c] = curve.d;
        }
        Ok(Tensor::from_vec(values, (3, n), self.device())?)
    }
}

/// The reverse walk.
struct Reverse {
    /// Gradient of each node's value, as far as its readers were visited.
    grads: Vec<Option<Value>>,
    params: Gradients,
}

impl Reverse {
    fn add(&mut self, id: NodeId, grad: Value) -> Result<(), TrainError> {
        let sum = match self.grads[id.index()].take() {
            Some(sum) => Value::new(add(&sum, &grad)?),
            None => grad,
        };
        self.grads[id.index()] = Some(sum);
        Ok(())
    }

    /// Splits the gradient of a stack of parameters.
    fn stacked(&mut self, id: NodeId, names: &[&str], grad: Option<Tensor>) -> Result<(), TrainError> {
        let grad = grad.expect("operations return the gradients of their parameters");
        for (row, name) in names.iter().enumerate() {
            self.params.insert(format!("{id}.{name}"), grad.get(row)?);
        }
        Ok(())
    }

    fn weighted(
        &mut self,
        model: &Model,
        pass: &Pass,
        id: NodeId,
        op: &dyn CustomOp2,
        grad: &Tensor,
    ) -> Result<(), TrainError> {
        let (y, input) = (pass.value(id), model.graph().node(id).inputs[0]);
        let bias = match &model.graph().node(id).op {
            Op::Conv2d(conv) => conv.bias,
            Op::Linear(linear) => linear.bias,
            Op::Input | Op::AvgPool(_) | Op::Activation(_) | Op::Add | Op::Flatten | Op::BatchNorm => false,
        };
        if bias {
            let (_, d_bias) = BiasOp.bwd(y, model.param(id, "bias"), y, grad)?;
            self.params.extend(d_bias.map(|d| (format!("{id}.bias"), d)));
        }
        let (dx, dw) = op.bwd(pass.value(input), model.param(id, "weight"), y, grad)?;
        self.params.extend(dw.map(|d| (format!("{id}.weight"), d)));
        dx.map_or(Ok(()), |dx| self.add(input, Value::new(dx)))
    }

    fn node(&mut self, model: &Model, pass: &Pass, id: NodeId, grad: Value) -> Result<(), TrainError> {
        let inputs = &model.graph().node(id).inputs;
        let x = || pass.value(inputs[0]);
        match &pass.records[id.index()] {
            Record::Conv(op) => self.weighted(model, pass, id, op, &grad),
            Record::Linear(op) => self.weighted(model, pass, id, op, &grad),
            Record::Pool(op) => match op.bwd(x(), pass.value(id), &grad)? {
                Some(dx) => self.add(inputs[0], Value::new(dx)),
                None => Ok(()),
            },
            Record::Add => {
                self.add(inputs[0], grad.clone())?;
                self.add(inputs[1], grad)
            }
            Record::Flatten => self.add(inputs[0], grad.view(|g| g.reshape(x().shape()))?),
            Record::Norm { op, of, norm, curve } => {
                let input = model.graph().node(*of).inputs[0];
                let (dx, d_norm, d_curve) = op.bwd(pass.value(input), norm, curve, pass.value(id), &grad)?;
                self.stacked(*of, &["gamma", "beta"], d_norm)?;
                if model.graph().node(id).op == Op::Activation(Activation::Quadratic) {
                    self.stacked(id, &["a", "b", "c"], d_curve)?;
                }
                dx.map_or(Ok(()), |dx| self.add(input, Value::new(dx)))
            }
            Record::Activation { op, curve } => {
                let (dx, d_curve) = op.bwd(x(), curve, pass.value(id), &grad)?;
                if !op.relu {
                    self.stacked(id, &["a", "b", "c"], d_curve)?;
                }
                dx.map_or(Ok(()), |dx| self.add(inputs[0], Value::new(dx)))
            }
            Record::Fused | Record::Input => Ok(()),
        }
    }
}
