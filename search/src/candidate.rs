//! Genotypes of a space as trials of a study.

use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use striae_spaces::space::{Choice, Genotype, ParamError as SpaceParamError, StriaSpace};

use crate::{Param, ParamError, Trial, sampler::GenotypeOps};

impl GenotypeOps for StriaSpace {
    type Genotype = Genotype;

    fn sample(&self, rng: &mut ChaCha8Rng) -> Genotype {
        Self::sample(self, rng)
    }

    fn mutate(&self, parent: &Genotype, rng: &mut ChaCha8Rng) -> Genotype {
        Self::mutate(self, parent, rng)
    }

    fn crossover(&self, a: &Genotype, b: &Genotype, rng: &mut ChaCha8Rng) -> Genotype {
        Self::crossover(self, a, b, rng)
    }
}

/// The parameters of a trial that tries `genotype`.
pub fn to_params(space: &StriaSpace, genotype: &Genotype) -> Result<Vec<Param>, ParamError> {
    let parameters = space.parameters().iter().zip(genotype.indices());
    let param = |(p, &index): (&striae_spaces::space::Parameter, &u16)| {
        Param::new(&p.name, p.choices.iter().cloned().map(Value::from).collect(), index as usize)
    };
    parameters.map(param).collect()
}

/// The genotype a trial tries.
pub fn from_trial(space: &StriaSpace, trial: &Trial) -> Result<Genotype, SpaceParamError> {
    let choice = |p: &Param| (p.name().to_owned(), to_choice(p.value()));
    space.from_params(&trial.params.iter().map(choice).collect::<Vec<_>>())
}

/// A value no choice can have stays recognisable in the error of the space.
fn to_choice(value: &Value) -> Choice {
    Choice::try_from(value.clone()).unwrap_or_else(|_| Choice::Word(value.to_string()))
}
