//! Which networks a sweep visits, and in what order.

use striae_spaces::{
    TypedGraph,
    space::{Bounds, Trellis},
};

/// What a sweep goes through: the branches of a space that its bounds admit, in an order that lets it stop early.
#[derive(Clone, Debug)]
pub struct Agenda {
    pub(super) bounds: Bounds,
    /// By column and state: the branches that keep the bounds on their own, by ascending levels.
    pub(super) branches: Vec<Vec<Vec<u32>>>,
    /// By column and state: the fewest levels of what follows, the column included.
    pub(super) least_levels: Vec<Vec<usize>>,
    /// By column, state and branch: what it adds to the capacity of a network.
    pub(super) capacity: Vec<Vec<Vec<u64>>>,
}

impl Agenda {
    /// All networks of a space within `bounds`, which are those of the space or tighter. `capacity` is what a network is
    /// worth, the sum over its parts, such as [`TypedGraph::macs`].
    pub fn new(trellis: &Trellis, bounds: Bounds, capacity: impl Fn(&TypedGraph) -> u64) -> Self {
        let columns = trellis.columns();
        let mut least_levels: Vec<Vec<usize>> = vec![vec![0]];
        let mut branches: Vec<Vec<Vec<u32>>> = Vec::new();
        for column in columns.iter().rev() {
            let of_state = column.states.iter().map(|state| {
                let all = &state.branches;
                let alone = |b: &u32| all[*b as usize].size.check(&bounds).is_ok();
                let mut order: Vec<u32> = (0..all.len() as u32).filter(alone).collect();
                order.sort_by_key(|b| all[*b as usize].size.levels);
                order
            });
            let of_state: Vec<Vec<u32>> = of_state.collect();
            let behind = &least_levels[least_levels.len() - 1];
            let least = of_state.iter().zip(&column.states).map(|(order, state)| {
                let branches = order.iter().map(|&b| &state.branches[b as usize]);
                let levels = branches.map(|b| b.size.levels.saturating_add(behind[b.next as usize]));
                levels.min().unwrap_or(usize::MAX)
            });
            let least = least.collect();
            branches.push(of_state);
            least_levels.push(least);
        }
        branches.reverse();
        least_levels.reverse();
        let of_state = |state: &striae_spaces::space::State| {
            let value = |branch| trellis.graph_of(state, branch).map_or(0, |graph| capacity(&graph));
            state.branches.iter().map(value).collect()
        };
        let capacity = columns.iter().map(|column| column.states.iter().map(of_state).collect()).collect();
        Self { bounds, branches, least_levels, capacity }
    }

    /// The starts of all networks, as the branches of the first columns: a share of the work each.
    pub fn starts(&self, trellis: &Trellis) -> Vec<Vec<u32>> {
        let mut starts = vec![(0, Vec::new())];
        for (column, branches) in trellis.columns().iter().zip(&self.branches).take(2) {
            let longer = starts.iter().flat_map(|(state, start): &(usize, Vec<u32>)| {
                branches[*state].iter().map(|&b| {
                    let next = column.states[*state].branches[b as usize].next as usize;
                    (next, start.iter().copied().chain([b]).collect())
                })
            });
            starts = longer.collect();
        }
        starts.into_iter().map(|(_, start)| start).collect()
    }
}
