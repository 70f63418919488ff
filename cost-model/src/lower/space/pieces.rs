//! What is known of the pieces of a space: their levels, and the steps they become.

use striae_spaces::{
    NodeId,
    space::{Genotype, StriaSpace},
};

use crate::{CostError, InputPacking, LowerOptions, Lowerer, PlanOptions, StepWork, planner::VariantDepth};

use super::{
    super::{draft::Part, hash::HashMap, staged::Staged},
    estimator::WELL_TYPED,
    frame::{Frame, PieceStep},
};

/// Levels of a network, fused and factored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Depths {
    fused: u32,
    factored: u32,
    /// Whether fusing changes nothing.
    same: bool,
}

impl Depths {
    /// Of no piece at all.
    pub(super) const NONE: Self = Self { fused: 0, factored: 0, same: true };

    /// Of a network and what follows it.
    #[must_use]
    pub(super) fn then(self, next: Self) -> Self {
        Self { fused: self.fused + next.fused, factored: self.factored + next.factored, same: self.same && next.same }
    }

    /// Levels of one variant.
    pub(super) fn levels(self, fuse: bool) -> usize {
        if fuse { self.fused as usize } else { self.factored as usize }
    }

    /// The variants that the planner compares where it may fuse or has to, as `fuse` says.
    pub(super) fn variants(self, fuse: Option<bool>) -> impl Iterator<Item = VariantDepth> {
        let fused = VariantDepth { fuse: true, levels: self.fused as usize };
        let factored = VariantDepth { fuse: false, levels: self.factored as usize };
        [fused, factored].into_iter().filter(move |v| fuse.map_or(v.fuse || !self.same, |fuse| v.fuse == fuse))
    }
}

/// What tells steps apart: which linear step it is, or the operations of another.
#[derive(Clone, PartialEq, Eq, Hash)]
enum StepKey {
    Linear(usize),
    Square(StepWork),
    WindowSum(StepWork),
}

/// The pieces of a space, and all steps they become in any frame.
#[derive(Clone)]
pub(super) struct Pieces {
    depths: Vec<Option<Depths>>,
    parts: Vec<Part>,
    ids: HashMap<StepKey, u32>,
}

impl Pieces {
    /// Of `count` pieces, nothing is known.
    pub(super) fn new(count: usize) -> Self {
        Self { depths: vec![None; count], parts: Vec::new(), ids: HashMap::default() }
    }

    /// A step.
    pub(super) fn part(&self, step: u32) -> &Part {
        &self.parts[step as usize]
    }

    /// Levels of a piece that was met.
    pub(super) fn levels(&self, piece: u32, fuse: bool) -> usize {
        self.depths[piece as usize].map_or(0, |d| d.levels(fuse))
    }

    /// Levels of the network of these pieces; `None` if one was not met.
    pub(super) fn depths(&self, path: &[u32]) -> Option<Depths> {
        path.iter().try_fold(Depths::NONE, |sum, &piece| Some(sum.then(self.depths[piece as usize]?)))
    }

    /// Finds the levels of the pieces of a network, and of the whole.
    pub(super) fn learn_depths(
        &mut self,
        space: &StriaSpace,
        genotype: &Genotype,
        path: &[u32],
        options: &PlanOptions,
    ) -> Result<Depths, CostError> {
        #[expect(clippy::expect_used, reason = "the space checked the genotype")]
        let (graph, pieces) = space.build_pieces(genotype).expect(WELL_TYPED);
        let (fused, factored) =
            (Staged::new(&graph, options.staging(true))?, Staged::new(&graph, options.staging(false))?);
        let ends: Vec<NodeId> = pieces.iter().map(|(_, last)| *last).collect();
        let (fused, factored) = (fused.depths_at(&ends), factored.depths_at(&ends));
        let mut before = ((0, 0), (0, 0));
        for (&piece, (fused, factored)) in path.iter().zip(fused.into_iter().zip(factored)) {
            let stages = (fused.1 - before.0.1, factored.1 - before.1.1);
            self.depths[piece as usize] = Some(Depths {
                fused: (fused.0 - before.0.0) as u32,
                factored: (factored.0 - before.1.0) as u32,
                same: stages.0 == stages.1,
            });
            before = (fused, factored);
        }
        Ok(Depths { fused: before.0.0 as u32, factored: before.1.0 as u32, same: before.0.1 == before.1.1 })
    }

    /// Lowers a network as `frame` says and notes there what its pieces become.
    pub(super) fn learn_steps(
        &mut self,
        lowerer: &mut Lowerer<'_>,
        space: &StriaSpace,
        (genotype, path): (&Genotype, &[u32]),
        frame: &mut Frame,
        input: InputPacking,
    ) -> Result<(), CostError> {
        #[expect(clippy::expect_used, reason = "the space checked the genotype")]
        let (graph, pieces) = space.build_pieces(genotype).expect(WELL_TYPED);
        let staged = Staged::new(&graph, frame.lowering.staging())?;
        let lowering = LowerOptions { input, ..frame.lowering.clone() };
        let draft = lowerer.draft(&graph, &staged, frame.slots, &lowering)?;
        let mut steps = draft.steps().peekable();
        let (mut layout, mut depth) = (draft.input(), 0);
        let mut node = frame.note_image(input, layout);
        for (&piece, (_, last)) in path.iter().zip(&pieces) {
            let start = depth;
            let mut of_piece = Vec::new();
            while let Some(step) = steps.next_if(|step| step.node <= *last) {
                of_piece.push(PieceStep { step: self.intern(step.part), depth: (step.depth - start) as u32 });
                (layout, depth) = (step.layout, step.depth);
            }
            let next = frame.node(layout);
            frame.note(node, piece, next, &of_piece);
            node = next;
        }
        Ok(())
    }

    fn intern(&mut self, part: &Part) -> u32 {
        let key = match part {
            Part::Linear { layer, .. } => StepKey::Linear(layer.index()),
            Part::Square { work, .. } => StepKey::Square(*work),
            Part::WindowSum { work, .. } => StepKey::WindowSum(*work),
        };
        *self.ids.entry(key).or_insert_with(|| {
            self.parts.push(part.clone());
            self.parts.len() as u32 - 1
        })
    }
}
