//! Running statistics of a network that is done changing.
//!
//! What training leaves behind are averages over networks that have changed since, seen through augmented images, and the
//! moving average of the weights is a network that has never run at all. Quadratics square what is off by that. So the
//! network that is evaluated and kept has its statistics measured anew, on training images as they are.
//!
//! Where single images drive a deep network's squares out of all proportion, a few batches say little about the others, and
//! what training leaves behind is the better estimate. Of both networks the one that classifies more of these images is kept.

use crate::{Dataset, Model, TrainError, evaluate::evaluate_model, layers::Bounds};

/// Images per batch.
const BATCH: usize = 128;
/// Images that are enough.
pub(crate) const SETTLE_IMAGES: usize = 1024;

impl Model {
    /// This network with the statistics of `data`, unless it does better on `data` with its own.
    pub(crate) fn settled(self, data: &Dataset, bounds: Option<Bounds>) -> Result<Self, TrainError> {
        let mut settled = self.with_params(self.params().clone());
        settled.settle(data, bounds)?;
        let [own, new] =
            [&self, &settled].map(|model| Ok::<_, TrainError>(evaluate_model(model, data, BATCH)?.accuracy));
        Ok(if own? > new? { self } else { settled })
    }

    /// Replaces the running statistics of all batch norms and Hermite bases by their means over batches of `data`, within the
    /// bounds of the training.
    pub(crate) fn settle(&mut self, data: &Dataset, bounds: Option<Bounds>) -> Result<(), TrainError> {
        let images = data.len();
        for start in (0..images).step_by(BATCH) {
            let end = (start + BATCH).min(images);
            // One image has no variance over images; it joins no batch.
            if end - start < 2 {
                break;
            }
            let pass = self.train_pass(&self.input(data.images(start..end))?, bounds)?;
            self.update_running(&pass, (end - start) as f32 / end as f32)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use striae_spaces::TypedGraph;

    use super::*;
    use crate::{GlyphConfig, SeedTree, TrainConfig, Training, glyphs};

    #[test]
    fn a_settled_network_computes_what_it_computed_on_that_batch() {
        let notation = "1x16x16: conv(8,k3,s2) bn quad conv(8,k3) quad flatten linear(10,bias)";
        let graph: TypedGraph = notation.parse().unwrap();
        let splits = glyphs(&GlyphConfig::default(), &SeedTree::new(3)).unwrap();
        let data = splits.train.take(BATCH);
        for hermite in [false, true] {
            let mut model = Model::new(&graph, &SeedTree::new(1)).unwrap();
            if hermite {
                model.start_hermite().unwrap();
            }
            let input = model.input(data.images(0..data.len())).unwrap();
            let logits = |values: &[Option<crate::layers::Value>]| -> Vec<f32> {
                values.last().unwrap().as_ref().unwrap().flatten_all().unwrap().to_vec1().unwrap()
            };
            let trained = logits(&model.train_pass(&input, None).unwrap().values);
            let difference = |model: &Model| {
                let evaluated = logits(&model.eval_pass(&input).unwrap());
                trained.iter().zip(&evaluated).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max)
            };
            let scale = trained.iter().fold(0f32, |m, v| m.max(v.abs()));
            let before = difference(&model);
            model.settle(&data, None).unwrap();
            let after = difference(&model);
            // Running variances are those of a sample, larger by 1 / (n - 1).
            assert!(after < 2e-3 * scale && before > 10.0 * after, "{before}, then {after} of {scale}");
        }
    }

    #[test]
    fn the_better_statistics_are_kept() {
        let graph: TypedGraph = "1x28x28: conv(8,k5,s2) bn quad flatten linear(10,bias)".parse().unwrap();
        let splits = glyphs(&GlyphConfig::default(), &SeedTree::new(3)).unwrap();
        let config = TrainConfig { epochs: 1, subset: Some(2048), ..TrainConfig::default() };
        let trained = Training::new(&graph, &splits, &config).run(&mut |_| ControlFlow::Continue(())).unwrap();
        let model = Model::from_weights(&graph, &trained.weights).unwrap();
        let mut spoilt = model.with_params(model.params().clone());
        let var = spoilt.values("n2.var").unwrap();
        spoilt.set("n2.var", var.iter().map(|v| 100.0 * v).collect()).unwrap();
        let (mut own_kept, mut new_kept) = (0, 0);
        for model in [model, spoilt] {
            for images in [2, 3, 5, 8, 13, 1024] {
                let data = splits.train.take(images);
                let right = |model: &Model| evaluate_model(model, &data, BATCH).unwrap().accuracy;
                let mut new = model.with_params(model.params().clone());
                new.settle(&data, None).unwrap();
                let (own, new) = (right(&model), right(&new));
                let kept = right(&model.with_params(model.params().clone()).settled(&data, None).unwrap());
                assert!((kept - own.max(new)).abs() < 1e-12, "{images} images: {kept} of {own} and {new}");
                own_kept += usize::from(own > new);
                new_kept += usize::from(new > own);
            }
        }
        assert!(own_kept > 0 && new_kept > 0, "{own_kept}, {new_kept}");
    }
}
