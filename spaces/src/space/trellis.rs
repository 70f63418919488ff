//! A space unrolled: every choice of every part, once for each kind of maps it may stand behind.
//!
//! What follows in a network depends on what precedes it only by the maps between them ([`Maps`]), so a space of billions
//! of networks is a layered graph of some ten thousand branches, and each network a path through it:
//!
//! ```text
//! column 0 (stem)      column 1 (stage 1)      ...      column n (head)
//! image ── branch ──>  maps ── branch ──> maps  ...  maps ── branch
//! ```

use std::collections::HashMap;
use std::ops::Range;

use super::piece::{Maps, Piece};
use super::plan::{Plan, parts, plan_part};
use crate::{GraphBuilder, Shape, TypedGraph};

use super::{BoundViolation, Genotype, HeSize, Parameter, SpaceError, StriaSpace};

/// Most combinations of choices of one part, over all maps it may stand behind.
const MAX_BRANCHES: usize = 1 << 22;

/// A space as a layered graph; see the module's documentation.
#[derive(Clone, Debug)]
pub struct Trellis {
    space: StriaSpace,
    columns: Vec<Column>,
    pieces: Vec<Piece>,
    /// The pieces of all branches, as indices; those of equal branches once.
    lists: Vec<u32>,
}

/// All that one part may be.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its genes among those of a genotype.
    pub genes: Range<usize>,
    /// The maps it may stand behind.
    pub states: Vec<State>,
    /// Number of choices of each of its genes.
    radices: Vec<u16>,
}

/// All that one part may be behind some maps.
#[derive(Clone, Debug)]
pub struct State {
    /// The maps.
    pub maps: Maps,
    /// The distinct choices.
    pub branches: Vec<Branch>,
    /// For each combination of genes, which of the branches it is.
    by_code: Vec<u32>,
    /// For each combination of genes, what its branch says of the pieces alone.
    hops: Vec<Hop>,
}

/// The pieces of a branch, as a part of [`Trellis::lists`], and the state behind it: small, as estimates of many networks read
/// it at random.
#[derive(Clone, Copy, Debug)]
struct Hop {
    start: u32,
    len: u16,
    next: u16,
}

/// One choice for all genes of a part, with what it means behind some maps.
#[derive(Clone, Debug)]
pub struct Branch {
    /// The genes; those without effect hold their first choice.
    pub genes: Vec<u16>,
    /// Its pieces in order, as indices into [`Trellis::pieces`].
    pub pieces: Vec<u32>,
    /// What it adds to the size of a network; see [`HeSize::then`].
    pub size: HeSize,
    /// Index of the maps behind it among the states of the next column; 0 behind the head.
    pub next: u32,
}

impl Trellis {
    /// Unrolls `space`.
    ///
    /// # Errors
    ///
    /// [`SpaceError::Field`] if one part has more than some millions of choices.
    pub fn new(space: &StriaSpace) -> Result<Self, SpaceError> {
        let literal = space.literal();
        let columns = Vec::with_capacity(parts(literal));
        let mut trellis = Self { space: space.clone(), columns, pieces: Vec::new(), lists: Vec::new() };
        let (mut ids, mut starts) = (HashMap::new(), HashMap::new());
        let mut maps = vec![Maps::of_image(literal)];
        for (part, genes) in gene_ranges(space.parameters()).into_iter().enumerate() {
            let radices: Vec<u16> = space.parameters()[genes.clone()].iter().map(|p| p.choices.len() as u16).collect();
            let codes = radices.iter().try_fold(1usize, |n, &r| n.checked_mul(r.into()));
            let Some(codes) = codes.filter(|codes| codes.saturating_mul(maps.len()) <= MAX_BRANCHES) else {
                let field = if part == 0 { "stem".to_owned() } else { format!("stages[{}]", part - 1) };
                let why = format!("has more than {MAX_BRANCHES} combinations of choices, too many to list");
                return Err(SpaceError::Field { space: space.name().escape_debug().to_string(), field, why });
            };
            let mut next = Next::default();
            let mut plan = |maps, genes: &mut [u16]| {
                let Plan { pieces, size, maps } = plan_part(literal, part, maps, genes);
                let pieces = pieces.into_iter().map(|piece| trellis.intern(piece, &mut ids)).collect();
                let next = if part + 1 == parts(literal) { 0 } else { next.index(maps) };
                Branch { genes: genes.to_vec(), pieces, size, next }
            };
            let states = maps.iter().map(|&maps| State::new(maps, codes, &radices, |genes| plan(maps, genes)));
            let mut states: Vec<State> = states.collect();
            states.iter_mut().for_each(|state| state.note_hops(&mut trellis.lists, &mut starts));
            trellis.columns.push(Column { genes, states, radices });
            maps = next.list;
        }
        Ok(trellis)
    }

    /// The space.
    pub fn space(&self) -> &StriaSpace {
        &self.space
    }

    /// The parts in order: stem, stages, head.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// All distinct pieces.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The branches of a genotype, one of each column.
    pub fn path<'t>(&'t self, genotype: &'t Genotype) -> impl Iterator<Item = &'t Branch> {
        self.columns.iter().scan(0, |state, column| {
            let state_here = &column.states[*state];
            let branch = &state_here.branches[state_here.by_code[column.code(genotype)] as usize];
            *state = branch.next as usize;
            Some(branch)
        })
    }

    /// The pieces of a genotype's branches, as indices into [`Self::pieces`], branch by branch.
    pub fn piece_lists<'t>(&'t self, genotype: &'t Genotype) -> impl Iterator<Item = &'t [u32]> {
        self.columns.iter().scan(0, |state, column| {
            let Hop { start, len, next } = column.states[*state].hops[column.code(genotype)];
            *state = next.into();
            Some(&self.lists[start as usize..][..len.into()])
        })
    }

    /// The genotype with one gene changed, and with it those that depend on it; `None` if that is the same network, or one
    /// outside the bounds.
    pub fn switched(&self, genotype: &Genotype, gene: usize, choice: u16) -> Option<Genotype> {
        let mut other = genotype.clone();
        other.genes[gene] = choice;
        self.genotype(self.path(&other)).ok().filter(|other| other != genotype)
    }

    /// The branches with these indices, one of each column.
    pub fn branches<'t>(&'t self, indices: &'t [u32]) -> impl Iterator<Item = &'t Branch> {
        self.columns.iter().zip(indices).scan(0, |state, (column, &index)| {
            let branch = &column.states[*state].branches[index as usize];
            *state = branch.next as usize;
            Some(branch)
        })
    }

    /// The genotype of a path.
    ///
    /// # Errors
    ///
    /// The first of its space's bounds that it breaks.
    pub fn genotype<'b>(&self, path: impl Iterator<Item = &'b Branch>) -> Result<Genotype, BoundViolation> {
        let (mut genes, mut size) = (Vec::new(), HeSize::default());
        for branch in path {
            genes.extend_from_slice(&branch.genes);
            size = size.then(branch.size);
        }
        size.check(&self.space.literal().bounds)?;
        Ok(Genotype { genes })
    }

    /// The part of a network that a branch is, on an input of the maps it stands behind; `None` for a stage left out.
    pub fn graph_of(&self, state: &State, branch: &Branch) -> Option<TypedGraph> {
        let Maps { side: (height, width), channels } = state.maps;
        let mut builder = GraphBuilder::new(Shape::map(channels, height, width)).ok()?;
        for &piece in &branch.pieces {
            self.pieces[piece as usize].push(&mut builder, self.space.literal().classes).ok()?;
        }
        builder.build().ok()
    }

    fn intern(&mut self, piece: Piece, ids: &mut HashMap<Piece, u32>) -> u32 {
        *ids.entry(piece).or_insert_with_key(|piece| {
            self.pieces.push(piece.clone());
            self.pieces.len() as u32 - 1
        })
    }
}

impl State {
    /// Behind `maps`, with the branches that `plan` makes of each combination of genes; it makes them canonical first.
    fn new(maps: Maps, codes: usize, radices: &[u16], mut plan: impl FnMut(&mut [u16]) -> Branch) -> Self {
        let mut known: HashMap<Vec<u16>, u32> = HashMap::new();
        let mut branches = Vec::new();
        let by_code = (0..codes).map(|code| {
            let branch = plan(&mut decode(code, radices));
            *known.entry(branch.genes.clone()).or_insert_with(|| {
                branches.push(branch);
                branches.len() as u32 - 1
            })
        });
        let by_code = by_code.collect();
        Self { maps, branches, by_code, hops: Vec::new() }
    }

    /// Makes the hops; `starts` are those of the lists so far.
    fn note_hops(&mut self, lists: &mut Vec<u32>, starts: &mut HashMap<Vec<u32>, u32>) {
        let of_branch = self.branches.iter().map(|Branch { pieces, next, .. }| {
            let start = *starts.entry(pieces.clone()).or_insert_with(|| {
                lists.extend_from_slice(pieces);
                (lists.len() - pieces.len()) as u32
            });
            Hop { start, len: pieces.len() as u16, next: *next as u16 }
        });
        let of_branch: Vec<Hop> = of_branch.collect();
        self.hops = self.by_code.iter().map(|&branch| of_branch[branch as usize]).collect();
    }
}

impl Column {
    /// The combination of this part's genes as one number, the first gene counting most.
    fn code(&self, genotype: &Genotype) -> usize {
        let pairs = genotype.genes[self.genes.clone()].iter().zip(&self.radices);
        pairs.fold(0, |code, (&gene, &radix)| code * usize::from(radix) + usize::from(gene))
    }
}

/// The states of the next column, in the order of their first use.
#[derive(Default)]
struct Next {
    ids: HashMap<Maps, u32>,
    list: Vec<Maps>,
}

impl Next {
    fn index(&mut self, maps: Maps) -> u32 {
        *self.ids.entry(maps).or_insert_with(|| {
            self.list.push(maps);
            self.list.len() as u32 - 1
        })
    }
}

/// Inverse of [`Column::code`].
fn decode(mut code: usize, radices: &[u16]) -> Vec<u16> {
    let mut genes = vec![0; radices.len()];
    for (gene, &radix) in genes.iter_mut().zip(radices).rev() {
        *gene = (code % usize::from(radix)) as u16;
        code /= usize::from(radix);
    }
    genes
}

/// The genes of each part: those whose names have the same word before the dot.
fn gene_ranges(parameters: &[Parameter]) -> Vec<Range<usize>> {
    let part = |p: &Parameter| p.name.split('.').next().unwrap_or_default().to_owned();
    let mut start = 0;
    let lengths = parameters.chunk_by(|a, b| part(a) == part(b)).map(<[Parameter]>::len);
    lengths
        .map(|length| {
            start += length;
            start - length..start
        })
        .collect()
}
