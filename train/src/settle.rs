//! Running statistics of a network that is done changing.
//!
//! What training leaves behind are averages over networks that have changed since, seen through augmented images, and the
//! moving average of the weights is a network that has never run at all. Quadratics square what is off by that. So the
//! network that is evaluated and kept has its statistics measured anew, on training images as they are.

use crate::{Dataset, Model, TrainError};

/// Images per batch.
const BATCH: usize = 128;
/// Images that are enough.
pub(crate) const SETTLE_IMAGES: usize = 1024;

impl Model {
    /// Replaces the running statistics of all batch norms and Hermite bases by their means over batches of `data`.
    pub(crate) fn settle(&mut self, data: &Dataset) -> Result<(), TrainError> {
        let images = data.len();
        for start in (0..images).step_by(BATCH) {
            let end = (start + BATCH).min(images);
            // One image has no variance over images; it joins no batch.
            if end - start < 2 {
                break;
            }
            let pass = self.train_pass(&self.input(data.images(start..end))?, None)?;
            self.update_running(&pass, (end - start) as f32 / end as f32)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use striae_spaces::TypedGraph;

    use super::*;
    use crate::{GlyphConfig, SeedTree, glyphs};

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
            model.settle(&data).unwrap();
            let after = difference(&model);
            // Running variances are those of a sample, larger by 1 / (n - 1).
            assert!(after < 2e-3 * scale && before > 10.0 * after, "{before}, then {after} of {scale}");
        }
    }
}
