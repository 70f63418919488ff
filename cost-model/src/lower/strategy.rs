//! Splitting the rotations of a linear step between its inputs and its partial sums.

use std::collections::BTreeSet;

use crate::{LinearPlan, RotationKinds, Strategy, Term};

use super::diagonals::{Cause, Link};

/// How to choose a strategy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StrategyChoice {
    /// The cheapest by calibrated time.
    #[default]
    Cheapest,
    /// Always this one.
    Always(Strategy),
}

/// Strategies worth trying for these links.
pub(super) fn candidates(links: &[Link]) -> Vec<Strategy> {
    let mut strategies = vec![Strategy::InputSide];
    let Some(largest) = links.iter().map(|l| l.position / l.unit).max() else { return strategies };
    if links.iter().any(|l| l.position != 0) {
        strategies.push(Strategy::OutputSide);
        let powers = (1..32).map(|k| 1usize << k).take_while(|&babies| babies <= largest as usize);
        strategies.extend(powers.map(|babies| Strategy::BabyGiant { babies }));
    }
    strategies
}

/// Shape of a step apart from its rotations.
pub(super) struct StepShape<'a> {
    pub(super) slots: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) folds: &'a [u32],
}

/// A diagonal before indices are assigned: output, giant, input, baby, cause of its position.
type Diagonal = (u16, u32, u16, u32);

/// The plan of `links` under a strategy, and what its rotations are for.
pub(super) fn plan(links: &[Link], shape: &StepShape<'_>, strategy: Strategy) -> (LinearPlan, RotationKinds) {
    let slots = shape.slots as u32;
    let mut diagonals: Vec<Diagonal> = Vec::with_capacity(links.iter().map(|l| l.taps.len()).sum());
    for link in links {
        let (baby_position, giant) = split(link, strategy);
        let babies = link.taps.iter().map(|tap| (tap + baby_position) % slots);
        diagonals.extend(babies.map(|baby| (link.output, giant, link.input, baby)));
    }
    diagonals.sort_unstable();
    diagonals.dedup();
    if links.len() > 1 {
        merge_equal_rotations(&mut diagonals, slots);
    }
    let mut babies = vec![Vec::new(); shape.inputs];
    diagonals.iter().for_each(|d| babies[d.2 as usize].push(d.3));
    for list in &mut babies {
        list.sort_unstable();
        list.dedup();
    }
    let giants: Vec<u32> = diagonals.iter().map(|d| d.1).collect::<BTreeSet<_>>().into_iter().collect();
    let index = |list: &[u32], r: u32| list.partition_point(|&x| x < r) as u16;
    let terms = diagonals
        .iter()
        .map(|&(output, giant, input, baby)| Term {
            output,
            giant: index(&giants, giant),
            input,
            baby: index(&babies[input as usize], baby),
        })
        .collect();
    let folds = shape.folds.to_vec();
    let plan = LinearPlan { inputs: shape.inputs, outputs: shape.outputs, babies, giants, terms, folds };
    let kinds = kinds(links, &plan, strategy);
    (plan, kinds)
}

/// Position split into a baby part, which joins the tap, and a giant part.
fn split(link: &Link, strategy: Strategy) -> (u32, u32) {
    match strategy {
        Strategy::InputSide => (link.position, 0),
        Strategy::OutputSide => (0, link.position),
        Strategy::BabyGiant { babies } => {
            let baby = link.position / link.unit % babies as u32 * link.unit;
            (baby, link.position - baby)
        }
    }
}

/// Where two diagonals of one output and input have the same total rotation, one of them carries both.
fn merge_equal_rotations(diagonals: &mut Vec<Diagonal>, slots: u32) {
    let key = |d: &Diagonal| (d.0, d.2, (d.1 + d.3) % slots);
    diagonals.sort_by_key(|d| (key(d), d.1, d.3));
    diagonals.dedup_by_key(|d| key(d));
    diagonals.sort_unstable();
}

/// Attributes each rotation to a kind. The taps of an input's first position are internal (and one rotation is the
/// position's own, if it is not zero); those of its further positions exist for the sake of the positions.
fn kinds(links: &[Link], plan: &LinearPlan, strategy: Strategy) -> RotationKinds {
    let mut kinds = RotationKinds::default();
    let mut by_input: Vec<Vec<(u32, Cause)>> = vec![Vec::new(); plan.inputs];
    for link in links {
        let entry = (split(link, strategy).0, link.cause);
        let list = &mut by_input[link.input as usize];
        if !list.contains(&entry) {
            list.push(entry);
        }
    }
    for (input, positions) in by_input.iter_mut().enumerate() {
        positions.sort_unstable();
        let rotations = plan.babies[input].iter().filter(|&&r| r != 0).count() as u64;
        let Some(&(home, home_cause)) = positions.first() else { continue };
        let taps = links.iter().filter(|l| l.input as usize == input).map(|l| l.taps.len()).max().unwrap_or(1);
        let internal = rotations.min(taps as u64 - 1);
        kinds.internal += internal;
        let mut rest = rotations - internal;
        if home != 0 && rest > 0 {
            *kind_of(&mut kinds, home_cause) += 1;
            rest -= 1;
        }
        let further = positions.get(1).map_or(home_cause, |p| p.1);
        *kind_of(&mut kinds, further) += rest;
    }
    for sum in plan.partial_sums().filter(|s| s.giant != 0) {
        let cause = links.iter().find(|l| split(l, strategy).1 == sum.giant).map_or(Cause::Sum, |l| l.cause);
        *kind_of(&mut kinds, cause) += 1;
    }
    kinds.dense += (plan.outputs * plan.folds.len()) as u64;
    kinds
}

fn kind_of(kinds: &mut RotationKinds, cause: Cause) -> &mut u64 {
    match cause {
        Cause::Sum => &mut kinds.external,
        Cause::Mixing => &mut kinds.mixing,
        Cause::Merge => &mut kinds.merge,
        Cause::Dense => &mut kinds.dense,
    }
}
