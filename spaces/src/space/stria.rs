//! The checked space: genotypes to networks and to trial parameters, and back.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::check::{check, parameters};
use super::piece::Piece;
use super::plan::{Plan, plan};
use super::{BoundViolation, Choice, Genotype, HeSize, ParamError, Parameter, SpaceError, StriaSpaceLiteral};
use crate::{GraphBuilder, GraphError, NodeId, Shape, TypedGraph};

/// Random genotypes among which a first valid one is sought.
const ANCHOR_SAMPLES: usize = 4096;
/// Spaces up to this size are searched completely before they are called empty.
const ANCHOR_EXHAUSTIVE: u128 = 1 << 18;

/// A checked space of StriaNets. Every [`Genotype`] it hands out lies within its bounds.
#[derive(Clone, Debug)]
pub struct StriaSpace {
    literal: StriaSpaceLiteral,
    parameters: Vec<Parameter>,
    /// A valid genotype: what repairs move towards.
    pub(super) anchor: Genotype,
}

impl StriaSpace {
    /// Checks a literal. Fails also if no network of the space lies within its bounds.
    pub fn new(literal: StriaSpaceLiteral) -> Result<Self, SpaceError> {
        check(&literal)?;
        let parameters = parameters(&literal);
        let mut space = Self { literal, parameters, anchor: Genotype { genes: Vec::new() } };
        space.anchor = space.find_anchor()?;
        Ok(space)
    }

    /// Reads a space file.
    pub fn from_toml(text: &str) -> Result<Self, SpaceError> {
        let literal = toml::from_str(text).map_err(|e| {
            let start = e.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
            SpaceError::Toml { line, message: e.message().replace('\n', " ") }
        })?;
        Self::new(literal)
    }

    /// The literal it was made from.
    pub fn literal(&self) -> &StriaSpaceLiteral {
        &self.literal
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.literal.name
    }

    /// Its categorical parameters, in the order of a genotype's genes.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Number of combinations of choices; an upper limit on the number of its networks.
    pub fn size(&self) -> u128 {
        self.parameters.iter().fold(1, |size, p| size.saturating_mul(p.choices.len() as u128))
    }

    /// What the network of `genotype` asks of HE.
    ///
    /// # Panics
    /// If `genotype` is of another space, as all that take one: a bug of the caller.
    pub fn he_size(&self, genotype: &Genotype) -> HeSize {
        self.plan(genotype).size
    }

    /// Whether the network of `genotype` lies within the bounds.
    pub fn check(&self, genotype: &Genotype) -> Result<(), BoundViolation> {
        self.he_size(genotype).check(&self.literal.bounds)
    }

    /// The network of `genotype`.
    pub fn build(&self, genotype: &Genotype) -> Result<TypedGraph, GraphError> {
        self.build_pieces(genotype).map(|(graph, _)| graph)
    }

    /// The network of `genotype`, and its pieces in order, each with its last node.
    pub fn build_pieces(&self, genotype: &Genotype) -> Result<(TypedGraph, Vec<(Piece, NodeId)>), GraphError> {
        let [channels, height, width] = self.literal.input;
        let mut builder = GraphBuilder::new(Shape::map(channels, height, width))?;
        let mut pieces = Vec::new();
        for piece in self.plan(genotype).pieces {
            let last = piece.push(&mut builder, self.literal.classes)?;
            pieces.push((piece, last));
        }
        Ok((builder.build()?, pieces))
    }

    /// The name and value of each parameter.
    pub fn to_params(&self, genotype: &Genotype) -> Vec<(String, Choice)> {
        let pairs = self.parameters.iter().zip(&genotype.genes);
        pairs.map(|(p, &gene)| (p.name.clone(), p.choices[gene as usize].clone())).collect()
    }

    /// The genotype with these parameters, in any order. Parameters without effect may hold any of their choices.
    pub fn from_params(&self, params: &[(String, Choice)]) -> Result<Genotype, ParamError> {
        let mut genes = vec![None; self.parameters.len()];
        for (name, value) in params {
            let Some(index) = self.parameters.iter().position(|p| p.name == *name) else {
                return Err(ParamError::Unknown { name: name.clone(), space: self.name().to_owned() });
            };
            let choices = &self.parameters[index].choices;
            let Some(gene) = choices.iter().position(|c| c == value) else {
                let choices = choices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                return Err(ParamError::Choice { name: name.clone(), value: value.to_string(), choices });
            };
            if genes[index].replace(gene as u16).is_some() {
                return Err(ParamError::Twice { name: name.clone() });
            }
        }
        if let Some(index) = genes.iter().position(Option::is_none) {
            return Err(ParamError::Missing { name: self.parameters[index].name.clone() });
        }
        let (genotype, size) = self.canonical(genes.into_iter().flatten().collect());
        size.check(&self.literal.bounds)?;
        Ok(genotype)
    }

    /// The genotype of `genes` with those without effect at their first choice.
    pub(super) fn canonical(&self, mut genes: Vec<u16>) -> (Genotype, HeSize) {
        let size = plan(&self.literal, &mut genes).size;
        (Genotype { genes }, size)
    }

    pub(super) fn bounds_hold(&self, size: &HeSize) -> bool {
        size.check(&self.literal.bounds).is_ok()
    }

    fn plan(&self, genotype: &Genotype) -> Plan {
        assert_eq!(genotype.genes.len(), self.parameters.len(), "the genotype is of this space");
        plan(&self.literal, &mut genotype.genes.clone())
    }

    /// A genotype within the bounds: the first of a fixed random sequence, else the end of a descent from the nearest of
    /// them, else, in a small space, any.
    fn find_anchor(&self) -> Result<Genotype, SpaceError> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let excess = |size: &HeSize| size.excess(&self.literal.bounds);
        let mut nearest = self.canonical(vec![0; self.parameters.len()]);
        for _ in 0..ANCHOR_SAMPLES {
            if self.bounds_hold(&nearest.1) {
                return Ok(nearest.0);
            }
            let other = self.canonical(self.random_genes(&mut rng));
            if excess(&other.1) < excess(&nearest.1) {
                nearest = other;
            }
        }
        nearest = self.descend(nearest);
        if !self.bounds_hold(&nearest.1)
            && self.size() <= ANCHOR_EXHAUSTIVE
            && let Some(found) = self.enumerate().map(|genes| self.canonical(genes)).find(|g| self.bounds_hold(&g.1))
        {
            nearest = found;
        }
        match nearest.1.check(&self.literal.bounds) {
            Ok(()) => Ok(nearest.0),
            Err(nearest) => Err(SpaceError::Empty { space: self.name().escape_debug().to_string(), nearest }),
        }
    }

    /// Changes one gene at a time while that brings the network nearer to the bounds.
    fn descend(&self, mut nearest: (Genotype, HeSize)) -> (Genotype, HeSize) {
        let excess = |size: &HeSize| size.excess(&self.literal.bounds);
        loop {
            let neighbours = self.neighbours(&nearest.0).map(|genes| self.canonical(genes));
            match neighbours.min_by(|a, b| excess(&a.1).total_cmp(&excess(&b.1))) {
                Some(best) if excess(&best.1) < excess(&nearest.1) => nearest = best,
                _ => return nearest,
            }
        }
    }

    /// Every combination of choices.
    fn enumerate(&self) -> impl Iterator<Item = Vec<u16>> {
        let first = vec![0; self.parameters.len()];
        std::iter::successors(Some(first), |genes| {
            let mut next = genes.clone();
            for (gene, parameter) in next.iter_mut().zip(&self.parameters) {
                *gene += 1;
                if usize::from(*gene) < parameter.choices.len() {
                    return Some(next);
                }
                *gene = 0;
            }
            None
        })
    }
}
