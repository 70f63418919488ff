//! What the planner compares for networks of some depths.

use std::sync::Arc;

use striae_spaces::{Shape, space::Trellis};

use crate::{
    CkksParams, InputPacking, LowerOptions, Lowerer, MAX_SPECIAL, PlanOptions,
    calibration::WordBytes,
    planner::{Attempt, VariantDepth},
};

use super::{
    super::hash::HashMap,
    frame::Frame,
    pieces::Depths,
    prices::{Lanes, Prices, lane_of},
};

/// Networks of one depth, fused or not, in one ring: attempts of the planner that differ in the packing of the image.
#[derive(Clone)]
pub(super) struct Series {
    pub(super) frame: usize,
    pub(super) prices: usize,
    pub(super) levels: usize,
    pub(super) fuse: bool,
    /// One bit for each lane that has a chain.
    pub(super) lanes: u8,
    /// Where the sums of seconds start: 0, and infinity in lanes without a chain.
    pub(super) start: Lanes,
    pub(super) chains: Arc<[CkksParams]>,
    pub(super) inputs: Vec<InputPacking>,
}

/// The series met so far, and which of them the planner compares.
#[derive(Clone, Default)]
pub(super) struct Rounds {
    series: Vec<Series>,
    ids: HashMap<Depths, usize>,
    /// By round, the series.
    compared: Vec<Vec<usize>>,
    /// By round, the place of the series that won last.
    favourites: Vec<usize>,
    pub(super) frames: Vec<Frame>,
    pub(super) prices: Vec<Prices>,
}

impl Rounds {
    /// A series.
    pub(super) fn series(&self, index: usize) -> &Series {
        &self.series[index]
    }

    /// The series of a round, in the planner's order.
    pub(super) fn of(&self, round: usize) -> &[usize] {
        &self.compared[round]
    }

    /// The place of the series of a round that won last.
    pub(super) fn favourite(&self, round: usize) -> usize {
        self.favourites[round]
    }

    /// Notes which series of a round won.
    pub(super) fn note_winner(&mut self, round: usize, place: usize) {
        self.favourites[round] = place;
    }

    /// The round of networks of these depths, if it is known.
    pub(super) fn known(&self, depths: Depths) -> Option<usize> {
        self.ids.get(&depths).copied()
    }

    /// The round of networks of these depths: the attempts at the first ring degrees that have any.
    pub(super) fn round(
        &mut self,
        depths: Depths,
        trellis: &Trellis,
        lowerer: &mut Lowerer<'_>,
        options: &PlanOptions,
    ) -> usize {
        if let Some(known) = self.known(depths) {
            return known;
        }
        let [channels, height, width] = trellis.space().literal().input;
        let variants: Vec<VariantDepth> = depths.variants(options.fuse).collect();
        let image = Shape::map(channels, height, width);
        let attempts = options.rounds().map(|degrees| lowerer.attempts(image, &variants, degrees, options));
        let attempts = attempts.into_iter().find(|attempts| !attempts.is_empty()).unwrap_or_default();
        let mut round = Vec::new();
        for Attempt { lowering, chains } in attempts {
            let levels = variants.iter().find(|v| v.fuse == lowering.fuse).map_or(0, |v| v.levels);
            let series = self.add(&lowering, chains, levels, trellis.pieces().len());
            if round.last() != Some(&series) {
                round.push(series);
            }
        }
        self.compared.push(round);
        self.favourites.push(0);
        self.ids.insert(depths, self.compared.len() - 1);
        self.compared.len() - 1
    }

    /// The series of an attempt.
    fn add(&mut self, lowering: &LowerOptions, chains: Arc<[CkksParams]>, levels: usize, pieces: usize) -> usize {
        let (ring, log_n, slots) = (chains[0].ring(), chains[0].log_n(), chains[0].slots());
        let (input, fuse) = (lowering.input, lowering.fuse);
        let lowering = LowerOptions { input: InputPacking::default(), ..lowering.clone() };
        let frame = self.frames.iter().position(|f| f.slots == slots && f.lowering == lowering).unwrap_or_else(|| {
            self.frames.push(Frame::new(slots, lowering, pieces));
            self.frames.len() - 1
        });
        let bytes: Vec<WordBytes> = chains.iter().map(WordBytes::of).collect();
        let priced = |p: &Prices| (p.ring, p.log_n, &p.bytes) == (ring, log_n, &bytes);
        let prices = self.prices.iter().position(priced).unwrap_or_else(|| {
            self.prices.push(Prices::new(ring, log_n, bytes.clone()));
            self.prices.len() - 1
        });
        let same = |s: &Series| (s.frame, s.prices, s.levels) == (frame, prices, levels);
        let series = self.series.iter().position(same).unwrap_or_else(|| {
            let lanes = chains.iter().fold(0, |set, params| set | 1 << lane_of(params));
            let start = std::array::from_fn(|lane: usize| if lanes >> lane & 1 == 1 { 0.0 } else { f64::INFINITY });
            debug_assert!(chains.len() <= MAX_SPECIAL, "each chain has its lane");
            self.series.push(Series { frame, prices, levels, fuse, lanes, start, chains, inputs: Vec::new() });
            self.series.len() - 1
        });
        if !self.series[series].inputs.contains(&input) {
            self.series[series].inputs.push(input);
        }
        series
    }
}
