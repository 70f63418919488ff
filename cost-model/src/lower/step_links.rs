//! All links of a linear step, over the ciphertexts of all its operands.

use crate::packing::Layout;

use super::{
    diagonals::{Cause, Link, conv_links, dense_links, rotation},
    layers::Operator,
};

/// The links of `operators`, each with the index of its operand, and the folds; `None` if a value would have to move to be
/// added.
pub(super) fn step_links<'o>(
    operators: impl Iterator<Item = (usize, &'o Operator)>,
    operands: &[&Layout],
    output: &Layout,
    slots: usize,
) -> Option<(Vec<Link>, Vec<u32>)> {
    let mut firsts = vec![0];
    firsts.extend(operands.iter().scan(0, |next, layout| {
        *next += layout.ciphertexts();
        Some(*next)
    }));
    let (mut links, mut folds) = (Vec::new(), Vec::new());
    for (operand, operator) in operators {
        let first = firsts[operand];
        match (operator, operands[operand], output) {
            (Operator::Conv(desc), Layout::Map(input), Layout::Map(output)) => {
                links.extend(conv_links(desc, input, output, first));
            }
            (Operator::Dense(outputs), layout, Layout::Vector(_)) => {
                let dense = dense_links(layout, slots, *outputs);
                if !folds.is_empty() && folds != dense.folds {
                    return None;
                }
                folds.clone_from(&dense.folds);
                links.extend(dense_step_links(&dense.rotations, first, slots));
            }
            (Operator::Copy, layout, output) if layout == output && folds.is_empty() => {
                links.extend(dense_step_links(&[vec![0]], first, slots));
            }
            _ => return None,
        }
    }
    Some((links, folds))
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
