//! Sampling, mutation and crossover. All yield genotypes within the bounds, by bounded retries first.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::{Genotype, StriaSpace};

/// Unconstrained draws before a sample is repaired instead.
const SAMPLE_TRIES: usize = 256;
/// Draws of a mutation or crossover.
const VARIATION_TRIES: usize = 32;

impl StriaSpace {
    /// A random genotype: uniform over the choices, given that the bounds hold. Where the bounds admit less than about one
    /// in 256, a draw outside them is moved inwards instead, gene by gene.
    pub fn sample(&self, rng: &mut impl Rng) -> Genotype {
        for _ in 0..SAMPLE_TRIES {
            let (genotype, size) = self.canonical(self.random_genes(rng));
            if self.bounds_hold(&size) {
                return genotype;
            }
        }
        let genes = self.random_genes(rng);
        self.repair(genes, rng)
    }

    /// A neighbour of `genotype`: one parameter changed, and with it those that depend on it. The same genotype if it has
    /// no other within the bounds.
    pub fn mutate(&self, genotype: &Genotype, rng: &mut impl Rng) -> Genotype {
        for _ in 0..VARIATION_TRIES {
            let index = rng.random_range(0..genotype.genes.len());
            let choices = self.parameters()[index].choices.len();
            if choices < 2 {
                continue;
            }
            let mut genes = genotype.genes.clone();
            let other = rng.random_range(0..choices as u16 - 1);
            genes[index] = other + u16::from(other >= genes[index]);
            let (mutant, size) = self.canonical(genes);
            if self.bounds_hold(&size) && mutant != *genotype {
                return mutant;
            }
        }
        let neighbours = self.neighbours(genotype).map(|genes| self.canonical(genes));
        let valid: Vec<Genotype> =
            neighbours.filter(|(g, size)| g != genotype && self.bounds_hold(size)).map(|(g, _)| g).collect();
        if valid.is_empty() { genotype.clone() } else { valid[rng.random_range(0..valid.len())].clone() }
    }

    /// A child that has each parameter from one of its parents; one of the parents if no such child is found within the
    /// bounds.
    pub fn crossover(&self, a: &Genotype, b: &Genotype, rng: &mut impl Rng) -> Genotype {
        for _ in 0..VARIATION_TRIES {
            let pairs = a.genes.iter().zip(&b.genes);
            let genes = pairs.map(|(&a, &b)| if rng.random_bool(0.5) { a } else { b }).collect();
            let (child, size) = self.canonical(genes);
            if self.bounds_hold(&size) {
                return child;
            }
        }
        if rng.random_bool(0.5) { a.clone() } else { b.clone() }
    }

    pub(super) fn random_genes(&self, rng: &mut impl Rng) -> Vec<u16> {
        self.parameters().iter().map(|p| rng.random_range(0..p.choices.len() as u16)).collect()
    }

    /// Every change of one gene.
    pub(super) fn neighbours(&self, genotype: &Genotype) -> impl Iterator<Item = Vec<u16>> {
        self.parameters().iter().enumerate().flat_map(move |(index, parameter)| {
            (0..parameter.choices.len() as u16).filter(move |&c| c != genotype.genes[index]).map(move |choice| {
                let mut genes = genotype.genes.clone();
                genes[index] = choice;
                genes
            })
        })
    }

    /// Gives genes the anchor's choice in random order until the bounds hold, which they do at the anchor at the latest.
    fn repair(&self, mut genes: Vec<u16>, rng: &mut impl Rng) -> Genotype {
        let mut order: Vec<usize> = (0..genes.len()).collect();
        order.shuffle(rng);
        for index in order {
            genes[index] = self.anchor.genes[index];
            let (genotype, size) = self.canonical(genes.clone());
            if self.bounds_hold(&size) {
                return genotype;
            }
        }
        self.anchor.clone()
    }
}
