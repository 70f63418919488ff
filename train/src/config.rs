//! How to train: every option of a recipe, and what each may be.

use serde::{Deserialize, Serialize};

use crate::{Augment, TrainDevice, TrainError, layers::Bounds, schedule::Schedule};

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images per step; an incomplete last batch is left out.
    pub batch: usize,
    /// Peak learning rate.
    pub lr: f64,
    /// How the learning rate goes on after the warm-up.
    pub schedule: Schedule,
    /// Share of all steps in which the learning rate rises to its peak.
    pub warm_up: f64,
    /// Nesterov momentum.
    pub momentum: f32,
    /// Weight decay of convolution and linear weights.
    pub weight_decay: f32,
    /// Largest norm of the gradient, scales and offsets of batch norms left out; 0 for any.
    pub clip: f32,
    /// Decay of the moving average of the weights that is evaluated and kept; 0 for the weights themselves.
    pub ema: f64,
    /// How images are varied.
    pub augment: Augment,
    /// Side of the square that is blanked in each training image (DeVries and Taylor 2017); 0 for none.
    pub cutout: usize,
    /// Parameter alpha of `MixUp`, which trains on weighted sums of two images (Zhang et al. 2018); 0 for none.
    pub mixup: f64,
    /// Train on the first so many images only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subset: Option<usize>,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f32,
    /// How quadratic activations are parametrised.
    pub quadratics: Quadratics,
    /// Share of all steps over which rectifiers turn gradually into the network's quadratics; 0 for quadratics at once.
    pub replacement: f64,
    /// Weight of the penalty on inputs of quadratic activations beyond `range_limit`; 0 for none.
    pub range_penalty: f64,
    /// Magnitude up to which the penalty is zero.
    pub range_limit: f32,
    /// Share of all steps over which inputs are clamped, first at `range_limit`, then ever wider: single images that stand
    /// out would spoil the statistics of their batches otherwise. 0 for no clamp, more than 1 for one to the end.
    pub range_clamp: f64,
    /// A twin with rectifiers to learn from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<TeacherConfig>,
    /// Root of all random choices.
    pub seed: u64,
    /// Where to train. One device repeats its own bits only.
    pub device: TrainDevice,
}

/// How quadratic activations are parametrised while training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quadratics {
    /// `a u^2 + b u + c`.
    #[default]
    Plain,
    /// In Hermite form with a normalisation of each basis, folded afterwards (AESPA, Park et al. 2022).
    Hermite,
}

/// The rectifier twin: trained first by the same recipe, then a teacher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TeacherConfig {
    /// Passes over the training images.
    pub epochs: usize,
    /// Peak learning rate.
    pub lr: f64,
    /// Weight of the teacher's answers in the loss; the labels have the rest.
    pub share: f32,
    /// Temperature at which both are softened (Hinton et al. 2015).
    pub temperature: f32,
    /// Start from the twin's weights.
    pub warm_start: bool,
}

impl Default for TeacherConfig {
    fn default() -> Self {
        Self { epochs: 5, lr: 0.05, share: 0.5, temperature: 4.0, warm_start: true }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 5,
            batch: 64,
            lr: 0.05,
            schedule: Schedule::Cosine,
            warm_up: 0.05,
            momentum: 0.9,
            weight_decay: 5e-4,
            clip: 2.0,
            ema: 0.0,
            augment: Augment::None,
            cutout: 0,
            mixup: 0.0,
            subset: None,
            label_smoothing: 0.0,
            quadratics: Quadratics::Plain,
            replacement: 0.0,
            range_penalty: 0.0,
            range_limit: 4.0,
            range_clamp: 0.0,
            teacher: None,
            seed: 0,
            device: TrainDevice::Cpu,
        }
    }
}

impl TrainConfig {
    /// What inputs of quadratic activations are held to after a share `progress` of all steps.
    pub(crate) fn bounds(&self, progress: f64) -> Option<Bounds> {
        let Self { range_limit: limit, range_penalty, range_clamp, .. } = *self;
        let clamped = progress < range_clamp;
        // Ever wider, and infinite in the end: what was beyond the limit comes in little by little.
        let clamp = if clamped { (f64::from(limit) / (1.0 - progress / range_clamp)) as f32 } else { f32::INFINITY };
        (clamped || range_penalty > 0.0).then_some(Bounds { limit, weight: range_penalty as f32, clamp })
    }

    /// The configuration of the rectifier twin.
    pub(crate) fn of_teacher(&self, teacher: &TeacherConfig) -> Self {
        Self { epochs: teacher.epochs, lr: teacher.lr, teacher: None, replacement: 0.0, ..self.clone() }
    }

    /// Refuses what cannot be trained with, given the number of training images.
    pub(crate) fn check(&self, images: usize) -> Result<(), TrainError> {
        const SHARE: &str = "0 or more, below 1";
        const POSITIVE: &str = "a positive number";
        const NOT_NEGATIVE: &str = "0 or more";
        let share = |v: f64| (0.0..1.0).contains(&v);
        let not_negative = |v: f64| v.is_finite() && v >= 0.0;
        let positive = |v: f64| v.is_finite() && v > 0.0;
        let batch_fits = self.batch > 0 && self.batch <= images;
        let mut rules = vec![
            ("epochs", self.epochs as f64, self.epochs > 0, "at least 1"),
            ("batch", self.batch as f64, batch_fits, "1 to the number of training images"),
            ("lr", self.lr, positive(self.lr), POSITIVE),
            ("warm_up", self.warm_up, share(self.warm_up), SHARE),
            ("momentum", self.momentum.into(), share(self.momentum.into()), SHARE),
            ("weight_decay", self.weight_decay.into(), not_negative(self.weight_decay.into()), NOT_NEGATIVE),
            ("clip", self.clip.into(), not_negative(self.clip.into()), NOT_NEGATIVE),
            ("ema", self.ema, share(self.ema), SHARE),
            ("mixup", self.mixup, not_negative(self.mixup), NOT_NEGATIVE),
            ("label_smoothing", self.label_smoothing.into(), share(self.label_smoothing.into()), SHARE),
            ("replacement", self.replacement, share(self.replacement), SHARE),
            ("range_penalty", self.range_penalty, not_negative(self.range_penalty), NOT_NEGATIVE),
            ("range_clamp", self.range_clamp, not_negative(self.range_clamp), NOT_NEGATIVE),
            ("range_limit", self.range_limit.into(), not_negative(self.range_limit.into()), NOT_NEGATIVE),
        ];
        if let Some(TeacherConfig { epochs, lr, share, temperature, .. }) = &self.teacher {
            rules.extend([
                ("teacher.epochs", *epochs as f64, *epochs > 0, "at least 1"),
                ("teacher.lr", *lr, positive(*lr), POSITIVE),
                ("teacher.share", (*share).into(), (0.0..=1.0).contains(share), "0 to 1"),
                ("teacher.temperature", (*temperature).into(), positive((*temperature).into()), POSITIVE),
            ]);
        }
        match rules.into_iter().find(|(_, _, kept, _)| !kept) {
            Some((field, value, _, expected)) => Err(TrainError::Config { field, value, expected }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clamp_widens_from_the_limit_to_nothing() {
        let config = TrainConfig { range_limit: 3.0, range_clamp: 0.5, range_penalty: 2.0, ..TrainConfig::default() };
        let clamp = |progress: f64| config.bounds(progress).unwrap().clamp;
        assert_eq!([0.0, 0.25, 0.375, 0.5, 1.0].map(clamp), [3.0, 6.0, 12.0, f32::INFINITY, f32::INFINITY]);
        let free = TrainConfig { range_penalty: 0.0, ..config };
        assert!(free.bounds(0.4).is_some() && free.bounds(0.5).is_none());
    }
}
