//! Estimates of networks of one space.

use striae_spaces::space::{Genotype, Trellis};

use crate::{Calibration, CkksParams, CostError, InputPacking, Lowerer, OpCounts, Plan, PlanOptions, Seconds};

use super::{
    SpaceCost,
    pieces::{Depths, Pieces},
    prices::{Lanes, lane_of},
    rounds::{Rounds, Series},
};

/// Why a genotype must be built: the space hands out no others.
pub(super) const WELL_TYPED: &str = "the genotypes of a space are well-typed";

/// Estimates networks of one space as the planner would; see the module's documentation. Threads take a clone each.
#[derive(Clone)]
pub struct SpaceEstimator<'a> {
    pub(super) trellis: &'a Trellis,
    options: PlanOptions,
    lowerer: Lowerer<'a>,
    pub(super) pieces: Pieces,
    pub(super) rounds: Rounds,
    /// The pieces of the network at hand.
    path: Vec<u32>,
}

/// The cheapest of what the planner compares.
#[derive(Clone, Copy)]
struct Winner {
    seconds: f64,
    /// The place of its series in the round, of its packing of the image in the series, and the lane of its chain. Of equals
    /// the planner takes the first.
    place: usize,
    input: usize,
    lane: usize,
    /// The series.
    series: usize,
}

impl Winner {
    /// Nothing beats less.
    const NONE: Self = Self { seconds: f64::INFINITY, place: 0, input: 0, lane: 0, series: 0 };

    /// The better of this and of what a series takes.
    fn or<const N: usize>(mut self, series: usize, place: usize, sums: [Lanes; N]) -> Self {
        if sums.iter().flatten().fold(f64::INFINITY, |least, s| least.min(*s)) > self.seconds {
            return self;
        }
        for (input, sum) in sums.into_iter().enumerate() {
            for (lane, seconds) in sum.into_iter().enumerate() {
                let first = (place, input, lane) < (self.place, self.input, self.lane);
                if seconds < self.seconds || seconds == self.seconds && first {
                    self = Self { seconds, place, input, lane, series };
                }
            }
        }
        self
    }
}

impl<'a> SpaceEstimator<'a> {
    /// Estimates networks of the space that `trellis` unrolls, with what the planner may choose from.
    pub fn new(trellis: &'a Trellis, calibration: &'a Calibration, options: PlanOptions) -> Self {
        let pieces = Pieces::new(trellis.pieces().len());
        let (rounds, path) = Default::default();
        Self { trellis, options, lowerer: Lowerer::new(calibration), pieces, rounds, path }
    }

    /// The space, unrolled.
    pub fn trellis(&self) -> &'a Trellis {
        self.trellis
    }

    /// What [`Lowerer::plan`] would choose for the network of `genotype`.
    ///
    /// # Errors
    ///
    /// Those of [`Lowerer::plan`].
    ///
    /// # Panics
    ///
    /// If `genotype` is of another space.
    pub fn estimate(&mut self, genotype: &Genotype) -> Result<SpaceCost, CostError> {
        match self.winner(genotype) {
            Some(winner) => Ok(self.cost(winner)),
            None => self.plan(genotype).map(|plan| SpaceCost::of(&plan)),
        }
    }

    /// The operations of that choice.
    ///
    /// # Errors
    ///
    /// Those of [`Lowerer::plan`].
    pub fn counts(&mut self, genotype: &Genotype) -> Result<OpCounts, CostError> {
        let Some(Winner { series, input, lane, .. }) = self.winner(genotype) else {
            return self.plan(genotype).map(|plan| plan.program.counts());
        };
        let series = self.rounds.series(series);
        let mut counts = OpCounts::default();
        self.walk(series, series.inputs[input], &self.path, |step, level| {
            let chosen = self.rounds.prices[series.prices].get(step, level, series.lanes)?.chosen[lane];
            counts += self.pieces.part(step).counts(chosen.into());
            Some(())
        });
        Ok(counts)
    }

    /// The plan of the network of `genotype`, by the planner itself.
    ///
    /// # Errors
    ///
    /// Those of [`Lowerer::plan`].
    pub fn plan(&mut self, genotype: &Genotype) -> Result<Plan, CostError> {
        #[expect(clippy::expect_used, reason = "the space checked the genotype")]
        let graph = self.trellis.space().build(genotype).expect(WELL_TYPED);
        self.lowerer.plan(&graph, &self.options)
    }

    fn cost(&self, Winner { series, input, lane, seconds, .. }: Winner) -> SpaceCost {
        let Series { prices, levels, fuse, chains, inputs, .. } = self.rounds.series(series);
        let prices = &self.rounds.prices[*prices];
        let chain = chains.iter().find(|params| lane_of(params) == lane);
        SpaceCost {
            latency: Seconds(seconds),
            levels: *levels,
            ring: prices.ring,
            log_n: prices.log_n,
            special: chain.map_or(0, |params| params.log_p().len()),
            log_scale: chain.map_or(0, CkksParams::log_scale),
            fuse: *fuse,
            input: inputs[input],
        }
    }

    /// The planner's choice; `None` where it must be asked itself: nothing fits, or a piece cannot be lowered.
    fn winner(&mut self, genotype: &Genotype) -> Option<Winner> {
        let mut path = std::mem::take(&mut self.path);
        path.clear();
        self.trellis.piece_lists(genotype).for_each(|list| path.extend_from_slice(list));
        let winner = self.cheapest(genotype, &path);
        self.path = path;
        winner
    }

    fn cheapest(&mut self, genotype: &Genotype, path: &[u32]) -> Option<Winner> {
        let depths = match self.pieces.depths(path) {
            Some(depths) => depths,
            None => self.learn_depths(genotype, path).ok()?,
        };
        let round = self.round(depths);
        // The winner of the last network first: most others are told to be slower long before the end.
        let favourite = self.rounds.favourite(round);
        let mut best = self.race(genotype, path, round, favourite, Winner::NONE)?;
        for place in (0..self.rounds.of(round).len()).filter(|place| *place != favourite) {
            best = self.race(genotype, path, round, place, best)?;
        }
        self.rounds.note_winner(round, best.place);
        best.seconds.is_finite().then_some(best)
    }

    /// The better of some winner and of what the series at a place of a round takes for a path; `None` where something of it
    /// cannot be lowered.
    fn race(&mut self, genotype: &Genotype, path: &[u32], round: usize, place: usize, best: Winner) -> Option<Winner> {
        let Some(&index) = self.rounds.of(round).get(place) else { return Some(best) };
        if let Some(better) = self.compare(index, place, path, best) {
            return Some(better);
        }
        self.learn(genotype, path, index).ok()?;
        self.compare(index, place, path, best)
    }

    /// The same; `None` where something of the path was not met yet.
    fn compare(&self, index: usize, place: usize, path: &[u32], best: Winner) -> Option<Winner> {
        let series = self.rounds.series(index);
        let limit = best.seconds;
        Some(match series.inputs[..] {
            [one] => best.or(index, place, self.sums(series, [one], path, limit)?),
            [one, other] => best.or(index, place, self.sums(series, [one, other], path, limit)?),
            _ => unreachable!("there are two packings of the image"),
        })
    }

    /// The round of networks of these depths.
    pub(super) fn round(&mut self, depths: Depths) -> usize {
        match self.rounds.known(depths) {
            Some(round) => round,
            None => self.rounds.round(depths, self.trellis, &mut self.lowerer, &self.options),
        }
    }

    /// Finds the levels of the pieces of the network of `genotype`.
    pub(super) fn learn_depths(&mut self, genotype: &Genotype, path: &[u32]) -> Result<Depths, CostError> {
        self.pieces.learn_depths(self.trellis.space(), genotype, path, &self.options)
    }

    /// What a path takes with each of some packings of the image and each number of special primes, or less of it where all
    /// of that exceeds `limit`; `None` where something was not met yet. Sums are made as those of estimates, from the first
    /// step to the last.
    fn sums<const N: usize>(
        &self,
        series: &Series,
        inputs: [InputPacking; N],
        path: &[u32],
        limit: f64,
    ) -> Option<[Lanes; N]> {
        let (frame, mut rest, mut level) = (&self.rounds.frames[series.frame], path, series.levels);
        let mut nodes = [0; N];
        for (node, input) in nodes.iter_mut().zip(inputs) {
            *node = frame.image(input)?;
        }
        let mut sums = [series.start; N];
        // Packings of the image soon lead to one layout; from there on, the same is added to all sums.
        while nodes.iter().any(|node| *node != nodes[0]) {
            let Some((piece, behind)) = rest.split_first() else { return Some(sums) };
            for (node, sum) in nodes.iter_mut().zip(&mut sums) {
                let (next, [added]) = self.follow(series, (*node, level), &[*piece], [*sum], f64::INFINITY)?;
                (*node, *sum) = (next, added);
            }
            level -= self.pieces.levels(*piece, series.fuse);
            rest = behind;
        }
        self.follow(series, (nodes[0], level), rest, sums, limit).map(|(_, sums)| sums)
    }

    /// Hands out the steps of a path, each with the level of its result.
    fn walk(
        &self,
        series: &Series,
        input: InputPacking,
        path: &[u32],
        mut step: impl FnMut(u32, usize) -> Option<()>,
    ) -> Option<()> {
        let frame = &self.rounds.frames[series.frame];
        let (mut node, mut level) = (frame.image(input)?, series.levels);
        for &piece in path {
            let met = frame.met(node, piece)?;
            for at in frame.steps(met) {
                step(at.step, level - at.depth as usize)?;
            }
            level -= self.pieces.levels(piece, series.fuse);
            node = met.next;
        }
        Some(())
    }

    /// Lowers the network of `genotype` as a series does, and keeps what its pieces become and take.
    fn learn(&mut self, genotype: &Genotype, path: &[u32], series: usize) -> Result<(), CostError> {
        for input in self.rounds.series(series).inputs.clone() {
            self.learn_packed(genotype, path, series, input)?;
        }
        Ok(())
    }

    /// Learns all that the planner compares for a network, also what an estimate may leave out.
    pub(super) fn learn_all(&mut self, genotype: &Genotype) {
        let path: Vec<u32> = self.trellis.piece_lists(genotype).flatten().copied().collect();
        let Some(round) = self.pieces.depths(&path).and_then(|depths| self.rounds.known(depths)) else { return };
        for place in 0..self.rounds.of(round).len() {
            // What cannot be lowered stays unknown, and the planner is asked.
            drop(self.learn(genotype, &path, self.rounds.of(round)[place]));
        }
    }

    /// The same for one packing of the image.
    fn learn_packed(
        &mut self,
        genotype: &Genotype,
        path: &[u32],
        series: usize,
        input: InputPacking,
    ) -> Result<(), CostError> {
        let Series { frame, prices, ref chains, .. } = *self.rounds.series(series);
        let chains = chains.clone();
        if self.walk(self.rounds.series(series), input, path, |_, _| Some(())).is_none() {
            let (space, frame) = (self.trellis.space(), &mut self.rounds.frames[frame]);
            self.pieces.learn_steps(&mut self.lowerer, space, (genotype, path), frame, input)?;
        }
        let mut steps = Vec::new();
        self.walk(self.rounds.series(series), input, path, |step, level| {
            steps.push((step, level));
            Some(())
        });
        for (step, level) in steps {
            for params in &*chains {
                let price = self.lowerer.price(self.pieces.part(step), params, level);
                self.rounds.prices[prices].note(step, level, params, price);
            }
        }
        Ok(())
    }
}
