//! Forward passes over a model.

use std::sync::{Arc, OnceLock};

use candle_core::Tensor;
use striae_spaces::{Activation, NodeId, Op};

use crate::{
    Model, Quadratics, TrainError,
    hermite::STATISTICS,
    layers::{
        ActivationOp, BasisOp, BiasOp, Bounds, ConvOp, Dims, LinearOp, Moments, NormOp, Pool, PoolOp, Value, add,
        apply1, apply2, apply3, blend,
    },
};

/// Share of a batch in the running mean and variance.
pub(crate) const RUNNING_SHARE: f32 = 0.1;

/// How a node was computed, as far as its gradient needs to know.
pub(crate) enum Record {
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
    /// A quadratic in Hermite form, with its coefficients.
    Basis {
        op: BasisOp,
        coefficients: Tensor,
    },
    /// A quadratic that has so large a share of the value; a rectifier has the rest.
    Replacing {
        share: f32,
        quadratic: Box<Record>,
    },
    /// A quadratic within bounds, with what enters it if that is clamped.
    Bounded {
        bounds: Bounds,
        clamped: Option<Value>,
        quadratic: Box<Record>,
    },
    Input,
}

/// A training pass.
pub(crate) struct Pass {
    /// Value of every node; none where a batch norm was fused into the activation after it.
    pub(crate) values: Vec<Option<Value>>,
    /// Weighted sum of all penalties.
    pub(crate) penalty: f32,
    pub(crate) records: Vec<Record>,
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
    pub(crate) fn train_pass(&self, input: &Value, bounds: Option<Bounds>) -> Result<Pass, TrainError> {
        let values = vec![Some(input.clone())];
        let mut pass = Pass { values, penalty: 0.0, records: vec![Record::Input] };
        for id in self.graph().ids().skip(1) {
            let node = self.graph().node(id);
            let before = node.inputs[0];
            let quadratic = node.op == Op::Activation(Activation::Quadratic);
            let (value, record) = if matches!(pass.records[before.index()], Record::Fused) {
                self.norm(&pass, before, Some(id))?
            } else if node.op != Op::BatchNorm {
                let (value, record) = match bounds {
                    Some(bounds) if quadratic => self.bounded(id, &mut pass, bounds)?,
                    _ if quadratic => self.quadratic(id, pass.value(before))?,
                    _ => self.layer(id, &pass.values)?,
                };
                (Some(value), record)
            } else if bounds.is_none() && self.fuses_with_activation(id) {
                // Bounds need the value between batch norm and activation.
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

    /// Moves the running statistics towards those of a batch by a share of the way.
    pub(crate) fn update_running(&mut self, pass: &Pass, share: f32) -> Result<(), TrainError> {
        let batch = pass.logits().dim(0)?;
        for (id, record) in self.graph().ids().collect::<Vec<_>>().into_iter().zip(&pass.records) {
            let record = if let Record::Bounded { quadratic, .. } = record { quadratic } else { record };
            let record = if let Record::Replacing { quadratic, .. } = record { quadratic } else { record };
            if let Record::Norm { op, of, .. } = record {
                let n = (batch * self.map_dims(*of).pixels) as f32;
                let unbiased = if n > 1.0 { n / (n - 1.0) } else { 1.0 };
                let moments = op.moments.get().expect("the forward pass ran");
                self.move_running(*of, "mean", &moments.mean, share, 1.0)?;
                self.move_running(*of, "var", &moments.var, share, unbiased)?;
            } else if let Record::Basis { op, .. } = record {
                let moments = op.moments.get().expect("the forward pass ran");
                let (first, second) = (&moments.first, &moments.second);
                for (name, values) in STATISTICS.iter().zip([&first.mean, &first.var, &second.mean, &second.var]) {
                    self.move_running(id, name, values, share, 1.0)?;
                }
            }
        }
        Ok(())
    }

    fn move_running(
        &mut self,
        id: NodeId,
        name: &str,
        batch: &[f32],
        share: f32,
        factor: f32,
    ) -> Result<(), TrainError> {
        let name = format!("{id}.{name}");
        let mut running = self.values(&name)?;
        running.iter_mut().zip(batch).for_each(|(r, v)| *r += share * (factor * v - *r));
        self.set(&name, running)
    }

    /// Channels and pixels of a node's value.
    pub(crate) fn map_dims(&self, id: NodeId) -> Dims {
        let shape = self.graph().shape(id);
        Dims { channels: shape.channels(), pixels: shape.len() / shape.channels() }
    }

    /// Whether a batch norm is computed together with the one reader of its value.
    fn fuses_with_activation(&self, id: NodeId) -> bool {
        let [reader] = self.consumers(id) else { return false };
        let Op::Activation(activation) = self.graph().node(*reader).op else { return false };
        let plain = self.quadratics() == Quadratics::Plain && self.replaced() >= 1.0;
        activation == Activation::Relu || plain
    }

    /// A quadratic activation whose input is to stay within bounds; what is beyond is added to the loss.
    fn bounded(&self, id: NodeId, pass: &mut Pass, bounds: Bounds) -> Result<(Value, Record), TrainError> {
        let x = pass.value(self.graph().node(id).inputs[0]).clone();
        pass.penalty += bounds.penalty(&x)?;
        let clamped = bounds.clamp.is_finite().then(|| bounds.clamped(&x).map(Value::new)).transpose()?;
        let (value, quadratic) = self.quadratic(id, clamped.as_ref().unwrap_or(&x))?;
        Ok((value, Record::Bounded { bounds, clamped, quadratic: Box::new(quadratic) }))
    }

    /// A quadratic activation in training, in the form and the share that it has.
    fn quadratic(&self, id: NodeId, x: &Value) -> Result<(Value, Record), TrainError> {
        let (value, record) = match self.quadratics() {
            Quadratics::Plain => {
                let (op, curve) = (ActivationOp { relu: false }, self.curve(Some(id), x.dim(1)?)?);
                (Value::new(apply2(x, &curve, &op)?), Record::Activation { op, curve })
            }
            Quadratics::Hermite => {
                let op = BasisOp { normalise_first: self.normalises_first(id), moments: Arc::default() };
                let coefficients = Tensor::stack(&["a", "b", "c"].map(|name| self.param(id, name)), 0)?;
                (Value::new(apply2(x, &coefficients, &op)?), Record::Basis { op, coefficients })
            }
        };
        let share = self.replaced();
        if share >= 1.0 {
            return Ok((value, record));
        }
        let value = self.with_rectifier(share, &value, x)?;
        Ok((value, Record::Replacing { share, quadratic: Box::new(record) }))
    }

    /// `share` of a quadratic's value and the rest from the rectifier of `x`.
    fn with_rectifier(&self, share: f32, value: &Value, x: &Value) -> Result<Value, TrainError> {
        let rectified = Value::new(apply2(x, &self.curve(None, x.dim(1)?)?, &ActivationOp { relu: true })?);
        Ok(Value::new(blend(share, value, 1.0 - share, &rectified)?))
    }

    /// `[a, b, c]` of an activation, the identity where there is none.
    fn curve(&self, id: Option<NodeId>, channels: usize) -> Result<Tensor, TrainError> {
        if let Some(id) = id.filter(|&id| self.graph().node(id).op == Op::Activation(Activation::Quadratic)) {
            return Ok(Tensor::from_vec(self.folded(id)?.concat(), (3, channels), self.device())?);
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
                let (op, share) = (ActivationOp { relu: self.is_relu(Some(id)) }, self.replaced());
                let mut value = Value::new(apply2(x(0), &curve, &op)?);
                if !op.relu && share < 1.0 {
                    value = self.with_rectifier(share, &value, x(0))?;
                }
                (value, Record::Activation { op, curve })
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
