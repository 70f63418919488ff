//! Splitting the rotations of a linear step between its inputs and its partial sums.

use crate::{LinearPlan, RotationKinds, Strategy, Term};

use super::{
    bit_set::BitSet,
    diagonals::{Cause, Link},
};

/// How to choose a strategy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StrategyChoice {
    /// The cheapest by calibrated time.
    #[default]
    Cheapest,
    /// Always this one.
    Always(Strategy),
    /// Baby and giant steps as many as each other, or nearly: the split of public libraries, whatever steps cost.
    Balanced,
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

/// Splits the whole index of the diagonals, the number of baby steps doubled until there are as many distinct ones as giant
/// steps, or halved again where that makes more (`FindBestBSGSRatio` of Lattigo, which Orion uses).
pub(super) fn balanced(links: &[Link]) -> Strategy {
    let indices = || links.iter().map(|l| (l.position / l.unit) as usize);
    let largest = indices().max().unwrap_or(0);
    let steps = |babies: usize| {
        let count = |step: &dyn Fn(usize) -> usize| {
            let mut seen = BitSet::new(largest + 1);
            indices().for_each(|index| seen.insert(step(index)));
            let mut distinct = 0;
            seen.drain(|_| distinct += 1);
            distinct
        };
        (count(&|index| index % babies), count(&|index| index / babies))
    };
    let mut babies = 1;
    while babies <= largest {
        let (baby, giant) = steps(babies);
        if baby == giant {
            break;
        }
        if baby > giant {
            babies /= 2;
            break;
        }
        babies *= 2;
    }
    Strategy::BabyGiant { babies: babies.max(1) }
}

/// Shape of a step apart from its rotations.
pub(super) struct StepShape<'a> {
    pub(super) slots: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) folds: &'a [u32],
}

/// The plan of `links` under a strategy, and what its rotations are for.
pub(super) fn plan(links: &[Link], shape: &StepShape<'_>, strategy: Strategy) -> (LinearPlan, RotationKinds) {
    let slots = shape.slots as u32;
    let mut diagonals: Vec<Diagonal> = Vec::with_capacity(links.iter().map(|l| l.taps.len()).sum());
    for link in links {
        let (baby_position, giant) = split(link, strategy);
        let babies = link.taps.iter().map(|tap| (tap + baby_position) % slots);
        diagonals.extend(babies.map(|baby| Diagonal::new([link.output.into(), giant, link.input.into(), baby])));
    }
    diagonals.sort_unstable();
    diagonals.dedup();
    if links.len() > 1 && strategy != Strategy::InputSide {
        merge_equal_rotations(&mut diagonals, slots);
    }
    let mut babies = vec![Vec::new(); shape.inputs];
    let (mut giants, mut used) = (BitSet::new(shape.slots), BitSet::new(shape.inputs * shape.slots));
    for [_, giant, input, baby] in diagonals.iter().map(|d| d.parts()) {
        giants.insert(giant as usize);
        used.insert(input as usize * shape.slots + baby as usize);
    }
    used.drain(|bit| babies[bit / shape.slots].push((bit % shape.slots) as u32));
    let mut list = Vec::new();
    giants.drain(|giant| list.push(giant as u32));
    let giants = list;
    let index = |list: &[u32], r: u32| list.partition_point(|&x| x < r) as u16;
    let term = |[output, giant, input, baby]: [u32; 4]| Term {
        output: output as u16,
        giant: index(&giants, giant),
        input: input as u16,
        baby: index(&babies[input as usize], baby),
    };
    let terms = diagonals.iter().map(|d| term(d.parts())).collect();
    let folds = shape.folds.to_vec();
    let plan = LinearPlan { inputs: shape.inputs, outputs: shape.outputs, babies, giants, terms, folds };
    let kinds = kinds(links, &plan, strategy);
    (plan, kinds)
}

/// A diagonal before indices are assigned: output, giant, input, baby, in one word so that sorting is fast. Slots and
/// ciphertexts are fewer than 2^16.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Diagonal(u64);

impl Diagonal {
    fn new(parts: [u32; 4]) -> Self {
        Self(parts.into_iter().fold(0, |word, part| word << 16 | u64::from(part)))
    }

    fn parts(self) -> [u32; 4] {
        [48, 32, 16, 0].map(|shift| u32::from((self.0 >> shift) as u16))
    }
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

/// Where two diagonals of one output and input have the same total rotation, the one with the smaller giant carries both.
fn merge_equal_rotations(diagonals: &mut Vec<Diagonal>, slots: u32) {
    for diagonal in &mut *diagonals {
        let [output, giant, input, baby] = diagonal.parts();
        *diagonal = Diagonal::new([output, input, (giant + baby) % slots, giant]);
    }
    diagonals.sort_unstable();
    diagonals.dedup_by_key(|d| d.0 >> 16);
    for diagonal in &mut *diagonals {
        let [output, input, total, giant] = diagonal.parts();
        *diagonal = Diagonal::new([output, giant, input, (total + slots - giant) % slots]);
    }
    diagonals.sort_unstable();
}

/// Attributes each rotation to a kind. The taps of an input's first position are internal (and one rotation is the
/// position's own, if it is not zero); those of its further positions exist for the sake of the positions.
fn kinds(links: &[Link], plan: &LinearPlan, strategy: Strategy) -> RotationKinds {
    let mut kinds = RotationKinds::default();
    let mut by_input: Vec<(Vec<(u32, Cause)>, usize)> = vec![(Vec::new(), 0); plan.inputs];
    let mut giants: Vec<(u32, Cause)> = Vec::with_capacity(links.len());
    for link in links {
        let (baby, giant) = split(link, strategy);
        let (positions, taps) = &mut by_input[link.input as usize];
        positions.push((baby, link.cause));
        *taps = link.taps.iter().filter(|&&tap| tap != 0).count().max(*taps);
        giants.push((giant, link.cause));
    }
    // Stable, so that the first link with a giant step names its cause.
    giants.sort_by_key(|g| g.0);
    giants.dedup_by_key(|g| g.0);
    for ((positions, taps), babies) in by_input.iter_mut().zip(&plan.babies) {
        positions.sort_unstable();
        positions.dedup();
        let rotations = babies.iter().filter(|&&r| r != 0).count() as u64;
        let Some(&(home, home_cause)) = positions.first() else { continue };
        let internal = rotations.min(*taps as u64);
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
        let found = giants.binary_search_by_key(&sum.giant, |g| g.0);
        *kind_of(&mut kinds, found.map_or(Cause::Sum, |i| giants[i].1)) += 1;
    }
    let dense = links.iter().any(|link| link.cause == Cause::Dense);
    let folds = if dense { &mut kinds.dense } else { &mut kinds.external };
    *folds += (plan.outputs * plan.folds.len()) as u64;
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
