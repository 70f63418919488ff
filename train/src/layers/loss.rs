//! Losses: values and gradients.

use candle_core::{Result, Tensor};

use super::{
    Value,
    ops::{from_vec, with},
};

/// Target distributions of labels: of every class `smoothing / classes`, plus `1 - smoothing` for the label.
pub(crate) fn targets(labels: &[u8], classes: usize, smoothing: f32) -> Vec<f32> {
    let even = smoothing / classes as f32;
    let target = |label: u8, class| if class == usize::from(label) { even + 1.0 - smoothing } else { even };
    labels.iter().flat_map(|&label| (0..classes).map(move |class| target(label, class))).collect()
}

/// Mean softmax cross entropy with target distributions, and with a teacher
/// `(1 - share) CE + share T^2 KL(teacher / T, logits / T)` (Hinton et al. 2015).
pub(crate) struct Loss<'a> {
    /// A row per image.
    pub(crate) targets: &'a [f32],
    pub(crate) teacher: Option<Teacher<'a>>,
}

/// What a teacher says.
#[derive(Clone, Copy)]
pub(crate) struct Teacher<'a> {
    /// A row of logits per image.
    pub(crate) logits: &'a [f32],
    /// Its weight in the loss.
    pub(crate) share: f32,
    /// Divides the logits of both.
    pub(crate) temperature: f32,
}

impl Loss<'_> {
    /// The loss and the gradient of the logits `[batch, classes]`.
    pub(crate) fn value_and_grad(&self, logits: &Tensor) -> Result<(f32, Value)> {
        let (n, classes) = logits.dims2()?;
        let (total, grad) = with(logits, |values| {
            let (mut total, mut grad) = (0.0, Vec::with_capacity(values.len()));
            for (i, row) in values.chunks_exact(classes).enumerate() {
                let place = i * classes..(i + 1) * classes;
                total += self.row(row, place, &mut grad);
            }
            grad.iter_mut().for_each(|g| *g /= n as f32);
            (total, grad)
        })?;
        Ok(((total / n as f64) as f32, Value::foreign(from_vec(grad, logits)?)))
    }

    /// Loss of one row of logits; appends its gradient.
    fn row(&self, logits: &[f32], place: std::ops::Range<usize>, grad: &mut Vec<f32>) -> f64 {
        let targets = &self.targets[place.clone()];
        let log_p = log_softmax(logits, 1.0);
        let entropy: f64 = log_p.iter().zip(targets).map(|(l, t)| f64::from(-t * l)).sum();
        let hard = log_p.iter().zip(targets).map(|(l, t)| l.exp() - t);
        let Some(Teacher { logits: answers, share, temperature }) = self.teacher else {
            grad.extend(hard);
            return entropy;
        };
        let (student, teacher) = (log_softmax(logits, temperature), log_softmax(&answers[place], temperature));
        let divergence: f64 = student.iter().zip(&teacher).map(|(s, t)| f64::from(t.exp() * (t - s))).sum();
        let soft = student.iter().zip(&teacher).map(|(s, t)| temperature * (s.exp() - t.exp()));
        grad.extend(hard.zip(soft).map(|(hard, soft)| (1.0 - share) * hard + share * soft));
        f64::from(1.0 - share) * entropy + f64::from(share * temperature * temperature) * divergence
    }
}

fn log_softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let scaled = || logits.iter().map(|v| (v - max) / temperature);
    let log_sum = scaled().map(f32::exp).sum::<f32>().ln();
    scaled().map(|v| v - log_sum).collect()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn gradients_are_slopes_of_the_loss() {
        let (n, classes) = (3, 4);
        let draw = |phase: f32| -> Vec<f32> { (0..n * classes).map(|i| 2.0 * (i as f32 * phase).sin()).collect() };
        let (logits, answers) = (draw(1.3), draw(2.1));
        let targets = targets(&[0, 3, 1], classes, 0.1);
        assert!(targets.chunks(classes).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-6));
        for share in [0.0, 0.7, 1.0] {
            let teacher = Some(Teacher { logits: &answers, share, temperature: 3.0 });
            let loss = Loss { targets: &targets, teacher };
            let value = |at: &[f32]| {
                loss.value_and_grad(&Tensor::from_vec(at.to_vec(), (n, classes), &Device::Cpu).unwrap()).unwrap()
            };
            let grad = value(&logits).1.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for i in 0..logits.len() {
                let moved = |by: f32| {
                    let mut at = logits.clone();
                    at[i] += by;
                    value(&at).0
                };
                let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((grad[i] - slope).abs() < 1e-3, "share {share}: {}, expected {slope}", grad[i]);
            }
        }
    }
}
