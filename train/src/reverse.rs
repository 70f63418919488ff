//! The reverse walk that collects gradients.
//!
//! Every layer is a candle custom operation, but the chain rule runs over the typed graph here instead of candle's tape:
//! that one starts each gradient as a tensor of zeros and adds to it, which for these small layers costs as much as the
//! layers do.

use std::collections::BTreeMap;

use candle_core::{CustomOp1, CustomOp2, CustomOp3, Tensor};
use striae_spaces::{Activation, NodeId, Op};

use crate::{
    Model, TrainError,
    layers::{ActivationOp, BiasOp, Value, add, blend},
    pass::{Pass, Record},
};

/// Gradients by parameter name.
pub(crate) type Gradients = BTreeMap<String, Tensor>;

impl Model {
    /// Gradients of all parameters, given that of the logits.
    pub(crate) fn gradients(&self, pass: &Pass, logits: Value) -> Result<Gradients, TrainError> {
        let mut walk = Reverse { grads: vec![None; pass.values.len()], params: Gradients::new() };
        walk.grads[self.graph().output().index()] = Some(logits);
        for id in self.graph().ids().skip(1).collect::<Vec<_>>().into_iter().rev() {
            let Some(grad) = walk.grads[id.index()].take() else { continue };
            walk.node(self, pass, id, grad)?;
        }
        Ok(walk.params)
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
        let record = &pass.records[id.index()];
        let reader = if let Record::Norm { of, .. } = record { *of } else { id };
        let x = pass.value(model.graph().node(reader).inputs[0]);
        self.record(model, pass, (id, x), record, grad)
    }

    /// A node that read `x`.
    fn record(
        &mut self,
        model: &Model,
        pass: &Pass,
        (id, x): (NodeId, &Value),
        record: &Record,
        grad: Value,
    ) -> Result<(), TrainError> {
        let inputs = &model.graph().node(id).inputs;
        match record {
            Record::Conv(op) => self.weighted(model, pass, id, op, &grad),
            Record::Linear(op) => self.weighted(model, pass, id, op, &grad),
            Record::Pool(op) => match op.bwd(x, pass.value(id), &grad)? {
                Some(dx) => self.add(inputs[0], Value::new(dx)),
                None => Ok(()),
            },
            Record::Add => {
                self.add(inputs[0], grad.clone())?;
                self.add(inputs[1], grad)
            }
            Record::Flatten => self.add(inputs[0], grad.view(|g| g.reshape(x.shape()))?),
            Record::Norm { op, of, norm, curve } => {
                let input = model.graph().node(*of).inputs[0];
                let (dx, d_norm, d_curve) = op.bwd(x, norm, curve, pass.value(id), &grad)?;
                self.stacked(*of, &["gamma", "beta"], d_norm)?;
                if model.graph().node(id).op == Op::Activation(Activation::Quadratic) {
                    self.stacked(id, &["a", "b", "c"], d_curve)?;
                }
                dx.map_or(Ok(()), |dx| self.add(input, Value::new(dx)))
            }
            Record::Activation { op, curve } => {
                let (dx, d_curve) = op.bwd(x, curve, pass.value(id), &grad)?;
                if !op.relu {
                    self.stacked(id, &["a", "b", "c"], d_curve)?;
                }
                dx.map_or(Ok(()), |dx| self.add(inputs[0], Value::new(dx)))
            }
            Record::Basis { op, coefficients } => {
                let (dx, d_coefficients) = op.bwd(x, coefficients, pass.value(id), &grad)?;
                self.stacked(id, &["a", "b", "c"], d_coefficients)?;
                dx.map_or(Ok(()), |dx| self.add(inputs[0], Value::new(dx)))
            }
            Record::Replacing { share, quadratic } => {
                let (rectifier, rest) = (ActivationOp { relu: true }, 1.0 - share);
                let unused = Tensor::zeros((3, x.dim(1)?), candle_core::DType::F32, x.device())?;
                let (dx, _) = rectifier.bwd(x, &unused, pass.value(id), &grad)?;
                let dx = Value::new(dx.expect("the operation returns its input's gradient"));
                self.add(inputs[0], Value::new(blend(rest, &dx, 0.0, &dx)?))?;
                let grad = Value::new(blend(*share, &grad, 0.0, &grad)?);
                self.record(model, pass, (id, x), quadratic, grad)
            }
            Record::Bounded { bounds, clamped, quadratic } => {
                let before = inputs[0];
                // Others read the value as it is.
                let others = self.grads[before.index()].take();
                self.record(model, pass, (id, clamped.as_ref().unwrap_or(x)), quadratic, grad)?;
                let entering = self.grads[before.index()].take().expect("a quadratic gives its input's gradient");
                self.grads[before.index()] = others;
                self.add(before, Value::new(bounds.gradient(x, &entering)?))
            }
            Record::Fused | Record::Input => Ok(()),
        }
    }
}
