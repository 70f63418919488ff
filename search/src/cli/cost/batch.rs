//! What `striae cost --batch` says of a batch.

use striae_cost_model::{BatchEstimate, MemoryEstimate};
use striae_reports::format::bytes;

use super::super::failure::Failure;
use super::super::output::Output;

/// What an image of a batch takes, and the two orders that a batch can run in.
pub(super) fn print(batch: &BatchEstimate, output: Output) -> Result<(), Failure> {
    let BatchEstimate { images, per_image, resident, stages } = batch;
    let peak = |what: &str, memory: &MemoryEstimate| {
        let [total, weights, keys, ciphertexts] =
            [memory.total(), memory.weights, memory.keys, memory.ciphertexts].map(|b| bytes(b.0));
        format!("{total} {what} (weights {weights}, keys {keys}, ciphertexts {ciphertexts})")
    };
    output.line(format_args!(
        "batch       {images} images per batch, {per_image} per image, peak {}",
        peak("with all images resident", resident)
    ))?;
    let Some(largest) = stages.iter().max_by_key(|stage| stage.memory.total()).filter(|_| stages.len() > 1) else {
        return Ok(());
    };
    let groups = stages.iter().map(|stage| stage.groups.to_string()).collect::<Vec<_>>().join(", ");
    output.line(format_args!(
        "pipeline    {} stages of {groups} groups, peak {}",
        stages.len(),
        peak("group by group, with the keys of one stage", &largest.memory)
    ))
}
