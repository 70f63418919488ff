//! Which diagonals pruning has left, as a view.

use std::collections::BTreeSet;

use striae_cost_model::{DiagonalId, HeProgram, StepKind};
use striae_reports::view::{DiagonalState, PatternLayer, PatternRow, PatternView};
use striae_spaces::TypedGraph;

use crate::view::description;

/// The diagonals of `pruned` among those of `dense`: two programs of `graph` in the same packing.
pub fn pattern(label: &str, graph: &TypedGraph, dense: &HeProgram, pruned: &HeProgram) -> PatternView {
    let slots = dense.image_slots() as i64;
    let mut layers = Vec::new();
    for (step, (before, after)) in dense.steps.iter().zip(&pruned.steps).enumerate() {
        let (StepKind::Linear(all), StepKind::Linear(left)) = (&before.kind, &after.kind) else { continue };
        let all: BTreeSet<DiagonalId> = dense.diagonals(all).into_iter().collect();
        let left: BTreeSet<DiagonalId> = pruned.diagonals(left).into_iter().collect();
        // To the left by more than half the slots is to the right by less.
        let signed = |rotation: u32| {
            let rotation = i64::from(rotation);
            if 2 * rotation > slots { rotation - slots } else { rotation }
        };
        let rotations: BTreeSet<(i64, u32)> = all.iter().map(|d| (signed(d.rotation), d.rotation)).collect();
        let pairs: BTreeSet<(u16, u16)> = all.iter().map(|d| (d.input, d.output)).collect();
        let row = |&(input, output): &(u16, u16)| {
            let state = |&(_, rotation): &(i64, u32)| {
                let diagonal = DiagonalId { output, input, rotation };
                match (all.contains(&diagonal), left.contains(&diagonal)) {
                    (_, true) => DiagonalState::Kept,
                    (true, false) => DiagonalState::Pruned,
                    (false, false) => DiagonalState::Absent,
                }
            };
            let diagonals = rotations.iter().map(state).collect();
            PatternRow { input: input.into(), output: output.into(), diagonals }
        };
        layers.push(PatternLayer {
            name: format!("{} {}", before.node, description(graph, dense, step)),
            rotations: rotations.iter().map(|(signed, _)| *signed).collect(),
            rows: pairs.iter().map(row).collect(),
        });
    }
    PatternView { label: label.to_owned(), layers }
}
