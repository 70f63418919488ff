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

/// The cheapest of what the planner compares: a series, the packing of the image, the lane of its chain, the seconds.
#[derive(Clone, Copy)]
struct Winner {
    series: usize,
    input: InputPacking,
    lane: usize,
    seconds: f64,
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
        self.walk(series, input, &self.path, |step, level| {
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

    fn cost(&self, Winner { series, input, lane, seconds }: Winner) -> SpaceCost {
        let Series { prices, levels, fuse, chains, .. } = self.rounds.series(series);
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
            input,
        }
    }

    /// The planner's choice; `None` where it must be asked itself: nothing fits, or a piece cannot be lowered.
    fn winner(&mut self, genotype: &Genotype) -> Option<Winner> {
        let mut path = std::mem::take(&mut self.path);
        path.clear();
        self.trellis.path(genotype).for_each(|branch| path.extend_from_slice(&branch.pieces));
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
        let mut best: Option<Winner> = None;
        for i in 0..self.rounds.of(round).len() {
            let series = self.rounds.of(round)[i];
            for k in 0..self.rounds.series(series).inputs.len() {
                let input = self.rounds.series(series).inputs[k];
                let sum = if let Some(sum) = self.sum(series, input, path) {
                    sum
                } else {
                    self.learn(genotype, path, series, input).ok()?;
                    self.sum(series, input, path)?
                };
                for (lane, seconds) in sum.into_iter().enumerate() {
                    if seconds < best.map_or(f64::INFINITY, |b| b.seconds) {
                        best = Some(Winner { series, input, lane, seconds });
                    }
                }
            }
        }
        best
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

    /// What a path takes for each number of special primes; `None` where something of it was not met yet. The sum is made
    /// as that of an estimate, from the first step to the last.
    fn sum(&self, series: usize, input: InputPacking, path: &[u32]) -> Option<Lanes> {
        let series = self.rounds.series(series);
        let image = self.rounds.frames[series.frame].image(input)?;
        self.follow(series, (image, series.levels), path, series.start).map(|(_, sum)| sum)
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
    pub(super) fn learn(
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
