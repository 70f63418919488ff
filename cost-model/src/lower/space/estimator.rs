//! Estimates of networks of one space.

use striae_spaces::{
    Shape,
    space::{Genotype, Trellis},
};

use crate::{
    Calibration, CkksParams, CostError, LowerOptions, Lowerer, MAX_SPECIAL, OpCounts, PlanOptions, Seconds,
    planner::{Attempt, VariantDepth},
};

use super::{
    SpaceCost,
    frame::Frame,
    pieces::{Depths, Pieces},
    prices::{Lanes, Prices, lanes_of},
};

/// Why a genotype must be built: the space hands out no others.
pub(super) const WELL_TYPED: &str = "the genotypes of a space are well-typed";

/// Estimates networks of one space as the planner would; see the module's documentation. Threads take a clone each.
#[derive(Clone)]
pub struct SpaceEstimator<'a> {
    trellis: &'a Trellis,
    options: PlanOptions,
    lowerer: Lowerer<'a>,
    pieces: Pieces,
    frames: Vec<Frame>,
    prices: Vec<Prices>,
    /// What the planner compares for networks of some depths.
    rounds: Vec<(Depths, Vec<Entrant>)>,
    /// The pieces of the network at hand.
    path: Vec<u32>,
}

/// An attempt of the planner.
#[derive(Clone)]
struct Entrant {
    frame: usize,
    prices: usize,
    levels: usize,
    /// Which numbers of special primes its chains have.
    lanes: u8,
    chains: std::sync::Arc<[CkksParams]>,
}

/// The cheapest entrant of a round, the number of special primes less one, and the seconds.
#[derive(Clone, Copy)]
struct Winner {
    round: usize,
    entrant: usize,
    lane: usize,
    seconds: f64,
}

impl<'a> SpaceEstimator<'a> {
    /// Estimates networks of the space that `trellis` unrolls, with what the planner may choose from.
    pub fn new(trellis: &'a Trellis, calibration: &'a Calibration, options: PlanOptions) -> Self {
        let pieces = Pieces::new(trellis.pieces().len());
        let (frames, prices, rounds, path) = Default::default();
        Self { trellis, options, lowerer: Lowerer::new(calibration), pieces, frames, prices, rounds, path }
    }

    /// The planner, for whole plans.
    pub fn lowerer(&mut self) -> &mut Lowerer<'a> {
        &mut self.lowerer
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
        let Some(Winner { round, entrant, lane, .. }) = self.winner(genotype) else {
            return self.plan(genotype).map(|plan| plan.program.counts());
        };
        let entrant = &self.rounds[round].1[entrant];
        let mut counts = OpCounts::default();
        self.walk(entrant, &self.path, |step, level| {
            let chosen = self.prices[entrant.prices].get(step, level, entrant.lanes)?.chosen[lane];
            counts += self.pieces.part(step).counts(chosen.into());
            Some(())
        });
        Ok(counts)
    }

    fn plan(&mut self, genotype: &Genotype) -> Result<crate::Plan, CostError> {
        #[expect(clippy::expect_used, reason = "the space checked the genotype")]
        let graph = self.trellis.space().build(genotype).expect(WELL_TYPED);
        self.lowerer.plan(&graph, &self.options)
    }

    fn cost(&self, Winner { round, entrant, lane, seconds }: Winner) -> SpaceCost {
        let Entrant { frame, prices, levels, chains, .. } = &self.rounds[round].1[entrant];
        let (lowering, prices) = (&self.frames[*frame].lowering, &self.prices[*prices]);
        let params = chains.iter().find(|params| params.log_p().len() == lane + 1);
        SpaceCost {
            latency: Seconds(seconds),
            levels: *levels,
            ring: prices.ring,
            log_n: prices.log_n,
            special: lane + 1,
            log_scale: params.map_or(0, CkksParams::log_scale),
            fuse: lowering.fuse,
            input: lowering.input,
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
            None => self.pieces.learn_depths(self.trellis.space(), genotype, path, &self.options).ok()?,
        };
        let round = self.round(depths);
        let mut best: Option<Winner> = None;
        for entrant in 0..self.rounds[round].1.len() {
            let lanes = if let Some(lanes) = self.seconds(&self.rounds[round].1[entrant], path) {
                lanes
            } else {
                self.learn(genotype, path, round, entrant).ok()?;
                self.seconds(&self.rounds[round].1[entrant], path)?
            };
            let known = self.rounds[round].1[entrant].lanes;
            for (lane, &seconds) in lanes.iter().enumerate().filter(|(lane, _)| known >> lane & 1 == 1) {
                if best.is_none_or(|b| seconds < b.seconds) {
                    best = Some(Winner { round, entrant, lane, seconds });
                }
            }
        }
        best
    }

    /// Seconds of a path for each number of special primes; `None` where something of it was not met yet. The sum is made
    /// as that of an estimate, from the first step to the last.
    fn seconds(&self, entrant: &Entrant, path: &[u32]) -> Option<Lanes> {
        let prices = &self.prices[entrant.prices];
        let mut sum = [0.0; MAX_SPECIAL];
        self.walk(entrant, path, |step, level| {
            let price = prices.get(step, level, entrant.lanes)?;
            sum.iter_mut().zip(&price.seconds).for_each(|(sum, seconds)| *sum += seconds);
            Some(())
        })?;
        Some(sum)
    }

    /// Hands out the steps of a path, each with the level of its result.
    fn walk(&self, entrant: &Entrant, path: &[u32], mut step: impl FnMut(u32, usize) -> Option<()>) -> Option<()> {
        let frame = &self.frames[entrant.frame];
        let (mut node, mut level) = (Frame::IMAGE, entrant.levels);
        for &piece in path {
            let met = frame.met(node, piece)?;
            for at in frame.steps(met) {
                step(at.step, level - at.depth as usize)?;
            }
            level -= self.pieces.levels(piece, frame.lowering.fuse);
            node = met.next;
        }
        Some(())
    }

    /// Lowers the network of `genotype` as an entrant does, and keeps what its pieces become and take.
    fn learn(&mut self, genotype: &Genotype, path: &[u32], round: usize, entrant: usize) -> Result<(), CostError> {
        let Entrant { frame, prices, chains, .. } = self.rounds[round].1[entrant].clone();
        if self.walk(&self.rounds[round].1[entrant], path, |_, _| Some(())).is_none() {
            let frame = &mut self.frames[frame];
            self.pieces.learn_steps(&mut self.lowerer, self.trellis.space(), genotype, path, frame)?;
        }
        let mut steps = Vec::new();
        self.walk(&self.rounds[round].1[entrant], path, |step, level| {
            steps.push((step, level));
            Some(())
        });
        for (step, level) in steps {
            for params in &*chains {
                let price = self.lowerer.price(self.pieces.part(step), params, level);
                self.prices[prices].note(step, level, params, price);
            }
        }
        Ok(())
    }

    /// What the planner compares for networks of these depths: the attempts at the first ring degree that has any.
    fn round(&mut self, depths: Depths) -> usize {
        if let Some(known) = self.rounds.iter().position(|(d, _)| *d == depths) {
            return known;
        }
        let [channels, height, width] = self.trellis.space().literal().input;
        let variants: Vec<VariantDepth> = depths.variants(self.options.fuse).collect();
        let attempts = self
            .options
            .ring_degrees()
            .map(|log_n| self.lowerer.attempts(Shape::map(channels, height, width), &variants, log_n, &self.options));
        let attempts = attempts.into_iter().find(|attempts| !attempts.is_empty()).unwrap_or_default();
        let fits = |a: &Attempt| a.chains.iter().all(|params| params.log_p().len() <= MAX_SPECIAL);
        // The planner itself answers for given parameters with more special primes than it would choose.
        let attempts = if attempts.iter().all(fits) { attempts } else { Vec::new() };
        let entrants = attempts.into_iter().map(|attempt| self.entrant(attempt, &variants)).collect();
        self.rounds.push((depths, entrants));
        self.rounds.len() - 1
    }

    fn entrant(&mut self, Attempt { lowering, chains }: Attempt, variants: &[VariantDepth]) -> Entrant {
        let levels = variants.iter().find(|v| v.fuse == lowering.fuse).map_or(0, |v| v.levels);
        let params = &chains[0];
        let (ring, log_n, lanes) = (params.ring(), params.log_n(), lanes_of(&chains));
        let frame = self.frame(params.slots(), lowering);
        let prices = self.prices.iter().position(|p| (p.ring, p.log_n) == (ring, log_n)).unwrap_or_else(|| {
            self.prices.push(Prices::new(ring, log_n));
            self.prices.len() - 1
        });
        Entrant { frame, prices, levels, lanes, chains }
    }

    fn frame(&mut self, slots: usize, lowering: LowerOptions) -> usize {
        let same = |frame: &Frame| frame.slots == slots && frame.lowering == lowering;
        self.frames.iter().position(same).unwrap_or_else(|| {
            self.frames.push(Frame::new(slots, lowering, self.trellis.pieces().len()));
            self.frames.len() - 1
        })
    }
}
