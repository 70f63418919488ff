//! Quadratic activations in Hermite form: running statistics of their bases, and the way from and to plain coefficients.

use std::f32::consts::PI;

use striae_spaces::{NodeId, Op};

use crate::{
    MIN_CURVATURE, Model, Quadratics, TrainError,
    layers::{BasisMoments, Moments, Value, with},
};

/// Names of the running statistics of one activation.
pub(crate) const STATISTICS: [&str; 4] = ["mean", "var", "square_mean", "square_var"];

impl Model {
    /// Gives every quadratic activation the Hermite expansion of the rectifier to degree two (Park et al. 2022).
    pub(crate) fn start_hermite(&mut self) -> Result<(), TrainError> {
        let coefficients = [1.0 / (4.0 * PI).sqrt(), 0.5, 1.0 / (2.0 * PI).sqrt()];
        let (mean, var) = BasisMoments::IDENTITY;
        let mut statistics = Vec::new();
        for id in self.quadratic_nodes() {
            let n = self.graph().shape(id).channels();
            for (name, value) in ["a", "b", "c"].into_iter().zip(coefficients) {
                self.set(&format!("{id}.{name}"), vec![value; n])?;
            }
            for (name, value) in STATISTICS.into_iter().zip([mean, var, mean, var]) {
                statistics.push((format!("{id}.{name}"), vec![value as f32; n]));
            }
        }
        self.extend(Quadratics::Hermite, statistics);
        Ok(())
    }

    /// Brings plain quadratics into Hermite form without changing the network, with the statistics of `images`.
    pub(crate) fn bring_to_hermite(&mut self, images: &Value) -> Result<(), TrainError> {
        let values = self.eval_pass(images)?;
        let mut statistics = Vec::new();
        for id in self.quadratic_nodes() {
            let input = self.graph().node(id).inputs[0];
            let input = values[input.index()].as_ref().expect("inputs of activations are kept");
            let dims = self.map_dims(id);
            let moments = with(input, |x| BasisMoments::of(x, dims, self.normalises_first(id)))?;
            let [mut a, mut b, mut c] = self.coefficients(id)?;
            for i in 0..a.len() {
                [a[i], b[i], c[i]] = moments.unfold(i, [a[i], b[i], c[i]]);
            }
            for (name, values) in [("a", a), ("b", b), ("c", c)] {
                self.set(&format!("{id}.{name}"), values)?;
            }
            let Moments { mean, var } = moments.first;
            let Moments { mean: square_mean, var: square_var } = moments.second;
            let all = [mean, var, square_mean, square_var];
            statistics.extend(STATISTICS.into_iter().zip(all).map(|(name, v)| (format!("{id}.{name}"), v)));
        }
        self.extend(Quadratics::Hermite, statistics);
        Ok(())
    }

    /// Whether the first basis of an activation is normalised: where no batch norm has done it.
    pub(crate) fn normalises_first(&self, id: NodeId) -> bool {
        self.graph().node(self.graph().node(id).inputs[0]).op != Op::BatchNorm
    }

    /// The folded `a`, `b`, `c` of a quadratic activation, `|a|` at [`MIN_CURVATURE`] or more.
    pub(crate) fn folded(&self, id: NodeId) -> Result<[Vec<f32>; 3], TrainError> {
        let [mut a, mut b, mut c] = self.coefficients(id)?;
        if self.quadratics() == Quadratics::Hermite {
            let moments = self.running_bases(id)?;
            for i in 0..a.len() {
                [a[i], b[i], c[i]] = moments.fold(i, [a[i], b[i], c[i]]);
                a[i] = a[i].abs().max(MIN_CURVATURE).copysign(a[i]);
            }
        }
        Ok([a, b, c])
    }

    /// Keeps the curvature of every quadratic activation away from zero.
    pub(crate) fn keep_curved(&mut self) -> Result<(), TrainError> {
        for id in self.quadratic_nodes() {
            let [mut a, ..] = self.coefficients(id)?;
            let moments = match self.quadratics() {
                Quadratics::Plain => None,
                Quadratics::Hermite => Some(self.running_bases(id)?),
            };
            for (i, a) in a.iter_mut().enumerate() {
                let unit = moments.as_ref().map_or(1.0, |m| m.second.inverse_std(i));
                *a = a.abs().max(MIN_CURVATURE / unit).copysign(*a);
            }
            self.set(&format!("{id}.a"), a)?;
        }
        Ok(())
    }

    fn coefficients(&self, id: NodeId) -> Result<[Vec<f32>; 3], TrainError> {
        let get = |name: &str| self.values(&format!("{id}.{name}"));
        Ok([get("a")?, get("b")?, get("c")?])
    }

    fn running_bases(&self, id: NodeId) -> Result<BasisMoments, TrainError> {
        let get = |i: usize| self.values(&format!("{id}.{}", STATISTICS[i]));
        let first = Moments { mean: get(0)?, var: get(1)? };
        Ok(BasisMoments { first, second: Moments { mean: get(2)?, var: get(3)? } })
    }
}
