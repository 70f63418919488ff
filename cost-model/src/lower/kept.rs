//! Which diagonals a pruned network keeps.

use std::{collections::BTreeSet, sync::Arc};

use striae_spaces::WeightMask;

use crate::{CostError, SourceOp, packing::Layout};

use super::{
    diagonals::Link,
    hash::HashMap,
    places::{DiagonalId, StepPlaces},
};

/// The diagonals that a lowering lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Diagonals {
    /// All that the network's structure needs.
    #[default]
    All,
    /// Those of them that carry a weight which is kept. An output ciphertext that keeps none has one of zeros.
    Of(Arc<WeightMask>),
    /// Exactly these, by linear step in the order of the program, sorted.
    Recorded(Arc<[Arc<[DiagonalId]>]>),
}

/// An operator of a step, the layout it reads, and the first of its ciphertexts among those of the step.
pub(super) type Operand<'a> = (&'a SourceOp, &'a Layout, usize);

/// The diagonals of a step that carry a weight which `mask` keeps, sorted; `None` if that is all of them.
pub(super) fn kept_diagonals(
    step: &StepPlaces<'_>,
    operands: &[Operand<'_>],
    mask: &WeightMask,
) -> Option<Arc<[DiagonalId]>> {
    let mut carries: HashMap<(u32, u32), bool> = HashMap::default();
    for (op, layout, first) in operands {
        step.each(op, layout, *first, |weight, DiagonalId { output, input, rotation }| {
            let kept = weight.is_none_or(|(layer, index)| mask.layer(layer).is_none_or(|kept| kept[index]));
            *carries.entry((u32::from(output) << 16 | u32::from(input), rotation)).or_default() |= kept;
        });
    }
    if carries.values().all(|carries| *carries) {
        return None;
    }
    let id = |(key, rotation): (u32, u32)| DiagonalId { output: (key >> 16) as u16, input: key as u16, rotation };
    let mut all: Vec<(DiagonalId, bool)> = carries.into_iter().map(|(key, carries)| (id(key), carries)).collect();
    all.sort_unstable();
    for own in all.chunk_by_mut(|a, b| a.0.output == b.0.output) {
        // Encrypted evaluation has no sum of nothing.
        if own.iter().all(|(_, carries)| !*carries) {
            own.iter_mut().min_by_key(|(diagonal, _)| diagonal.rotation).into_iter().for_each(|first| first.1 = true);
        }
    }
    Some(all.into_iter().filter(|(_, carries)| *carries).map(|(diagonal, _)| diagonal).collect())
}

/// The links without the taps whose diagonals are not kept.
///
/// # Errors
///
/// [`CostError::Recipe`] where something is kept that the links do not have, or an output keeps nothing.
pub(super) fn keep(mut links: Vec<Link>, kept: &[DiagonalId], slots: usize) -> Result<Vec<Link>, CostError> {
    let outputs = |links: &[Link]| links.iter().map(|link| link.output).collect::<BTreeSet<u16>>();
    let before = outputs(&links);
    let mut met = vec![false; kept.len()];
    for link in &mut links {
        let (output, input) = (link.output, link.input);
        link.taps.retain(|tap| {
            let rotation = (link.position + tap) % slots as u32;
            let found = kept.binary_search(&DiagonalId { output, input, rotation });
            found.map(|i| met[i] = true).is_ok()
        });
    }
    links.retain(|link| !link.taps.is_empty());
    if let Some(i) = met.iter().position(|met| !met) {
        let DiagonalId { output, input, rotation } = kept[i];
        let why = format!("keeps a diagonal [{output}, {input}, {rotation}] that its step does not have");
        return Err(CostError::Recipe { why });
    }
    match before.difference(&outputs(&links)).next() {
        Some(output) => Err(CostError::Recipe { why: format!("keeps no diagonal of output ciphertext {output}") }),
        None => Ok(links),
    }
}
