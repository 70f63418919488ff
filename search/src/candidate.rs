//! What a study proposes: genotypes of a space, each with a packing, as trials.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use striae_cost_model::Packing;
use striae_spaces::space::{Choice, Genotype, ParamError as SpaceParamError, StriaSpace};
use thiserror::Error;

use crate::{Param, ParamError, Trial, sampler::GenotypeOps};

/// Name of the parameter that holds the packing of a trial, where a study has a choice of them.
pub const PACKING_PARAM: &str = "packing";

/// What candidates are made of.
#[derive(Clone, Debug)]
pub struct Candidates {
    space: StriaSpace,
    packings: Vec<Packing>,
}

/// A network of the space with the packing it is lowered in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The network.
    pub genotype: Genotype,
    /// Its packing.
    pub packing: Packing,
}

/// A trial that tries no candidate of the study.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CandidateError {
    /// A parameter of the space.
    #[error(transparent)]
    Space(#[from] SpaceParamError),
    /// The packing is none of the study's.
    #[error("parameter {PACKING_PARAM} is {value}, the study has {}", packings.join(", "))]
    Packing {
        /// What stands there.
        value: String,
        /// The study's.
        packings: Vec<String>,
    },
}

impl Candidates {
    /// Networks of `space`, each in one of `packings`; the default packing where that is empty.
    pub fn new(space: StriaSpace, packings: &[Packing]) -> Self {
        let packings = if packings.is_empty() { vec![Packing::default()] } else { packings.to_vec() };
        Self { space, packings }
    }

    /// Where the networks are from.
    pub fn space(&self) -> &StriaSpace {
        &self.space
    }

    /// The parameters of a trial that tries `candidate`.
    pub fn to_params(&self, candidate: &Candidate) -> Result<Vec<Param>, ParamError> {
        let parameters = self.space.parameters().iter().zip(candidate.genotype.indices());
        let param = |(p, &index): (&striae_spaces::space::Parameter, &u16)| {
            Param::new(&p.name, p.choices.iter().cloned().map(Value::from).collect(), index as usize)
        };
        let mut params: Vec<Param> = parameters.map(param).collect::<Result<_, _>>()?;
        if self.packings.len() > 1 {
            let choices = self.packings.iter().map(|p| p.to_string().into()).collect();
            let index = self.packings.iter().position(|p| *p == candidate.packing).unwrap_or(self.packings.len());
            params.push(Param::new(PACKING_PARAM, choices, index)?);
        }
        Ok(params)
    }

    /// The candidate a trial tries.
    pub fn from_trial(&self, trial: &Trial) -> Result<Candidate, CandidateError> {
        let choice = |p: &Param| (p.name().to_owned(), to_choice(p.value()));
        let of_space = trial.params.iter().filter(|p| p.name() != PACKING_PARAM);
        let genotype = self.space.from_params(&of_space.map(choice).collect::<Vec<_>>())?;
        Ok(Candidate { genotype, packing: self.packing_of(trial)? })
    }

    /// The packing of a trial.
    pub fn packing_of(&self, trial: &Trial) -> Result<Packing, CandidateError> {
        let value = trial.params.iter().find(|p| p.name() == PACKING_PARAM).map(Param::value);
        let known = match value {
            Some(value) => self.packings.iter().find(|p| value.as_str() == Some(p.to_string().as_str())),
            None => self.packings.first().filter(|_| self.packings.len() == 1),
        };
        let packings = || self.packings.iter().map(Packing::to_string).collect();
        let value = || value.map_or("absent".to_owned(), Value::to_string);
        known.copied().ok_or_else(|| CandidateError::Packing { value: value(), packings: packings() })
    }

    fn any_packing(&self, rng: &mut ChaCha8Rng) -> Packing {
        // A study without a choice draws nothing, so that its proposals are those of its space.
        if self.packings.len() == 1 {
            self.packings[0]
        } else {
            self.packings[rng.random_range(0..self.packings.len())]
        }
    }
}

impl GenotypeOps for Candidates {
    type Genotype = Candidate;

    fn sample(&self, rng: &mut ChaCha8Rng) -> Candidate {
        let genotype = self.space.sample(rng);
        Candidate { genotype, packing: self.any_packing(rng) }
    }

    /// Changes the packing as often as any one of the other parameters.
    fn mutate(&self, parent: &Candidate, rng: &mut ChaCha8Rng) -> Candidate {
        let parameters = self.space.parameters().len() as u32;
        if self.packings.len() > 1 && rng.random_ratio(1, parameters + 1) {
            let others: Vec<Packing> = self.packings.iter().copied().filter(|p| *p != parent.packing).collect();
            return Candidate { packing: others[rng.random_range(0..others.len())], ..parent.clone() };
        }
        Candidate { genotype: self.space.mutate(&parent.genotype, rng), packing: parent.packing }
    }

    fn crossover(&self, a: &Candidate, b: &Candidate, rng: &mut ChaCha8Rng) -> Candidate {
        let genotype = self.space.crossover(&a.genotype, &b.genotype, rng);
        let packing = if a.packing == b.packing || rng.random_bool(0.5) { a.packing } else { b.packing };
        Candidate { genotype, packing }
    }
}

/// A value no choice can have stays recognisable in the error of the space.
fn to_choice(value: &Value) -> Choice {
    Choice::try_from(value.clone()).unwrap_or_else(|_| Choice::Word(value.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use striae_spaces::space::builtin;

    use super::*;

    fn candidates(packings: &[Packing]) -> Candidates {
        Candidates::new(builtin("strianet-mnist").unwrap(), packings)
    }

    #[test]
    fn packings_are_parameters_where_there_are_several() {
        let several = candidates(&[Packing::Multiplexed, Packing::RowMajor, Packing::Block(2)]);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut candidate = several.sample(&mut rng);
        let mut seen = BTreeSet::new();
        for _ in 0..400 {
            let params = several.to_params(&candidate).unwrap();
            assert_eq!(
                params.last().map(|p| (p.name(), p.value().clone())),
                Some((PACKING_PARAM, candidate.packing.to_string().into(),))
            );
            seen.insert(candidate.packing);
            candidate = several.crossover(&several.mutate(&candidate, &mut rng), &several.sample(&mut rng), &mut rng);
        }
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn one_packing_changes_no_proposal() {
        let (plain, one) = (candidates(&[]), candidates(&[Packing::MultiplexedBsgs]));
        let [a, b] = [&plain, &one].map(|c| c.sample(&mut ChaCha8Rng::seed_from_u64(2)));
        assert_eq!(a.genotype, b.genotype);
        assert_eq!((a.packing, b.packing), (Packing::Multiplexed, Packing::MultiplexedBsgs));
        assert_eq!(plain.to_params(&a).unwrap(), one.to_params(&b).unwrap());
    }
}
