//! All links of a linear step, over the ciphertexts of all its operands.

use crate::packing::Layout;

use super::{
    dense::dense_links,
    diagonals::{Cause, Link, aligned, conv_folds, conv_links, merged_groups, rotation},
    layers::Operator,
};

/// Ciphertexts of an operand that one run of a step reads: those of all groups that it merges; `None` if the step does not
/// have as many groups as it would need.
pub(super) fn operand_ciphertexts(operand: &Layout, output: &Layout) -> Option<usize> {
    Some(merged_groups(operand.groups(), output.groups())? * operand.group_ciphertexts())
}

/// The links of `operators`, each with the index of its operand, and the folds; `None` if a value would have to move to be
/// added.
pub(super) fn step_links<'o>(
    operators: impl Iterator<Item = (usize, &'o Operator)>,
    operands: &[&Layout],
    output: &Layout,
    slots: usize,
) -> Option<(Vec<Link>, Vec<u32>)> {
    let mut firsts = vec![0];
    for operand in operands {
        firsts.push(firsts[firsts.len() - 1] + operand_ciphertexts(operand, output)?);
    }
    let mut links = Vec::new();
    let mut folds: Option<Vec<u32>> = None;
    for (operand, operator) in operators {
        let first = firsts[operand];
        let needed = match (operator, operands[operand], output) {
            (Operator::Conv(desc), Layout::Map(input), Layout::Map(output)) if aligned(desc, input, output) => {
                links.extend(conv_links(desc, input, output, first));
                conv_folds(output)
            }
            (Operator::Dense(outputs, embedding), layout, Layout::Vector(_)) => {
                let dense = dense_links(layout, slots, *outputs, *embedding);
                links.extend(dense_step_links(&dense.rotations, first, slots));
                dense.folds
            }
            (Operator::Copy, layout, output) if layout == output => {
                links.extend(dense_step_links(&[vec![0]], first, slots));
                Vec::new()
            }
            _ => return None,
        };
        if folds.as_ref().is_some_and(|folds| *folds != needed) {
            return None;
        }
        folds = Some(needed);
    }
    Some((links, folds.unwrap_or_default()))
}

fn dense_step_links(rotations: &[Vec<u32>], first: usize, slots: usize) -> Vec<Link> {
    let of_input = |(i, rotations): (usize, &Vec<u32>)| {
        let input = (first + i) as u16;
        let link = move |&r: &u32| Link {
            output: 0,
            input,
            position: rotation(i64::from(r), slots),
            cause: Cause::Dense,
            unit: 1,
            taps: vec![0],
        };
        rotations.iter().map(link).collect::<Vec<_>>()
    };
    rotations.iter().enumerate().flat_map(of_input).collect()
}
