//! Every network of a space in turn, each sum of seconds begun where its predecessor's can be kept.

use striae_spaces::space::{Branch, Genotype, HeSize};

use super::{SpaceEstimator, agenda::Agenda, pieces::Depths, prices::Lanes, rounds::Series};

/// A network that a sweep visits.
#[derive(Clone, Copy, Debug)]
pub struct Visited<'v> {
    /// Seconds that [`SpaceEstimator::estimate`] gives; infinite where no ring holds the network.
    pub latency: f64,
    /// What its parts are worth together.
    pub capacity: u64,
    /// Its branches, one of each column of the trellis.
    pub branches: &'v [u32],
}

/// Goes through the networks of an agenda, depth first.
pub struct Sweep<'s, 'a> {
    estimator: &'s mut SpaceEstimator<'a>,
    agenda: &'s Agenda,
    /// The branches of the network at hand, and what is known of the network up to each.
    branches: Vec<u32>,
    rows: Vec<Row>,
    stamp: u64,
}

/// A network up to one of its columns.
#[derive(Default)]
struct Row {
    state: usize,
    size: HeSize,
    depths: Option<Depths>,
    capacity: u64,
    /// Changes with the row; sums of an older one are of another network.
    stamp: u64,
    /// By series.
    sums: Vec<Sums>,
}

/// Sums up to a column, for each layout that the networks of a series may have there. Where packings of the image have
/// led to one layout, only the smaller sums count: the same is added to both, and rounding keeps their order.
#[derive(Default)]
struct Sums {
    stamp: u64,
    strands: Vec<(u32, Lanes)>,
}

impl<'s, 'a> Sweep<'s, 'a> {
    /// A sweep that estimates by `estimator`, of whose space `agenda` is.
    pub fn new(estimator: &'s mut SpaceEstimator<'a>, agenda: &'s Agenda) -> Self {
        let rows = estimator.trellis().columns().iter().map(|_| Row::default()).collect();
        Self { estimator, agenda, branches: Vec::new(), rows, stamp: 0 }
    }

    /// Visits every network of the agenda that begins with the branches `start`.
    pub fn run(&mut self, start: &[u32], visit: &mut impl FnMut(Visited<'_>)) {
        self.branches.clear();
        let mut state = 0;
        for &branch in start {
            match self.enter(state, branch) {
                Some(next) => state = next,
                None => return,
            }
        }
        self.descend(state, visit);
    }

    fn descend(&mut self, state: usize, visit: &mut impl FnMut(Visited<'_>)) {
        let (column, agenda) = (self.branches.len(), self.agenda);
        let Some(branches) = agenda.branches.get(column) else {
            let latency = self.latency().unwrap_or_else(|| self.latency_of_new());
            let capacity = self.rows[column - 1].capacity;
            return visit(Visited { latency, capacity, branches: &self.branches });
        };
        let levels_before = column.checked_sub(1).map_or(0, |before| self.rows[before].size.levels);
        for &branch in &branches[state] {
            if levels_before + self.branch(column, state, branch).size.levels > agenda.bounds.max_levels {
                break;
            }
            if let Some(next) = self.enter(state, branch) {
                self.descend(next, visit);
                self.branches.pop();
            }
        }
    }

    fn branch(&self, column: usize, state: usize, branch: u32) -> &'a Branch {
        &self.estimator.trellis().columns()[column].states[state].branches[branch as usize]
    }

    /// Adds a branch to the network at hand and returns the state behind it, unless no network goes on from there within
    /// the bounds.
    fn enter(&mut self, state: usize, index: u32) -> Option<usize> {
        let column = self.branches.len();
        let branch = self.branch(column, state, index);
        let before = column.checked_sub(1).map(|before| &self.rows[before]);
        let size = before.map_or(HeSize::default(), |row| row.size).then(branch.size);
        let least = self.agenda.least_levels[column + 1][branch.next as usize];
        if size.levels.saturating_add(least) > self.agenda.bounds.max_levels || size.check(&self.agenda.bounds).is_err()
        {
            return None;
        }
        let depths = before.map_or(Some(Depths::NONE), |row| row.depths);
        let depths = depths.and_then(|before| Some(before.then(self.estimator.pieces.depths(&branch.pieces)?)));
        let capacity = before.map_or(0, |row| row.capacity) + self.agenda.capacity[column][state][index as usize];
        self.stamp += 1;
        let (row, stamp) = (&mut self.rows[column], self.stamp);
        (row.state, row.size, row.depths, row.capacity, row.stamp) = (state, size, depths, capacity, stamp);
        self.branches.push(index);
        Some(branch.next as usize)
    }

    /// Seconds of the network at hand; `None` where something of it was not met yet.
    fn latency(&mut self) -> Option<f64> {
        let last = self.branches.len() - 1;
        let round = self.estimator.rounds.known(self.rows[last].depths?)?;
        let head = self.branch(last, self.rows[last].state, self.branches[last]);
        let mut least = f64::INFINITY;
        for i in 0..self.estimator.rounds.of(round).len() {
            let index = self.estimator.rounds.of(round)[i];
            self.sum(last - 1, index)?;
            let (series, before) = (self.estimator.rounds.series(index), &self.rows[last - 1]);
            let level = series.levels - before.depths?.levels(series.fuse);
            for &(node, sum) in &before.sums[index].strands {
                let (_, [sum]) = self.estimator.follow(series, (node, level), &head.pieces, [sum], least)?;
                least = sum.into_iter().fold(least, f64::min);
            }
        }
        Some(least)
    }

    /// The same for any network; what is new in it is then known.
    fn latency_of_new(&mut self) -> f64 {
        let genotype = self.genotype();
        let latency = self.estimator.estimate(&genotype).map_or(f64::INFINITY, |cost| cost.latency.0);
        self.estimator.learn_all(&genotype);
        let mut depths = Some(Depths::NONE);
        for (column, &index) in self.branches.iter().enumerate() {
            let branch = self.branch(column, self.rows[column].state, index);
            let more = self.estimator.pieces.depths(&branch.pieces);
            depths = depths.and_then(|before| Some(before.then(more?)));
            self.rows[column].depths = depths;
        }
        latency
    }

    fn genotype(&self) -> Genotype {
        let path = self.branches.iter().enumerate().map(|(column, &b)| self.branch(column, self.rows[column].state, b));
        #[expect(clippy::expect_used, reason = "each branch was checked when it was entered")]
        self.estimator.trellis().genotype(path).expect("the agenda's bounds are no wider than the space's")
    }

    /// Makes sure that the sums of a series up to a column are those of the network at hand.
    fn sum(&mut self, column: usize, series: usize) -> Option<()> {
        let row = &mut self.rows[column];
        if row.sums.len() <= series {
            row.sums.resize_with(series + 1, Sums::default);
        }
        if row.sums[series].stamp == row.stamp {
            return Some(());
        }
        if column > 0 {
            self.sum(column - 1, series)?;
        }
        let branch = self.branch(column, self.rows[column].state, self.branches[column]);
        let (before, rest) = self.rows.split_at_mut(column);
        let (before, row) = (before.last(), &mut rest[0]);
        let of = self.estimator.rounds.series(series);
        let level = of.levels - before.map_or(Some(Depths::NONE), |row| row.depths)?.levels(of.fuse);
        let (stamp, sums) = (row.stamp, &mut row.sums[series]);
        sums.stamp = 0;
        sums.strands.clear();
        let mut add = |node, sum| {
            let (node, [sum]) = self.estimator.follow(of, (node, level), &branch.pieces, [sum], f64::INFINITY)?;
            match sums.strands.iter_mut().find(|strand| strand.0 == node) {
                Some((_, known)) => known.iter_mut().zip(sum).for_each(|(known, new)| *known = known.min(new)),
                None => sums.strands.push((node, sum)),
            }
            Some(())
        };
        match before {
            Some(row) => row.sums[series].strands.iter().try_for_each(|&(node, sum)| add(node, sum))?,
            None => of
                .inputs
                .iter()
                .try_for_each(|&input| add(self.estimator.rounds.frames[of.frame].image(input)?, of.start))?,
        }
        sums.stamp = stamp;
        Some(())
    }
}

impl SpaceEstimator<'_> {
    /// Adds what some pieces behind a node and a level take to sums, step by step, until all exceed `limit`; returns the node
    /// behind them.
    pub(super) fn follow<const N: usize>(
        &self,
        series: &Series,
        (mut node, mut level): (u32, usize),
        pieces: &[u32],
        mut sums: [Lanes; N],
        limit: f64,
    ) -> Option<(u32, [Lanes; N])> {
        let (frame, prices) = (&self.rounds.frames[series.frame], &self.rounds.prices[series.prices]);
        for &piece in pieces {
            let met = frame.met(node, piece)?;
            for at in frame.steps(met) {
                let price = prices.get(at.step, level - at.depth as usize, series.lanes)?;
                for sum in &mut sums {
                    sum.iter_mut().zip(price.seconds).for_each(|(sum, seconds)| *sum += seconds);
                }
            }
            level -= self.pieces.levels(piece, series.fuse);
            node = met.next;
            if sums.iter().flatten().all(|seconds| *seconds > limit) {
                break;
            }
        }
        Some((node, sums))
    }
}
