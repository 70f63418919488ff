//! What the cost of a space's networks is sensitive to.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use striae_cost_model::{Calibration, PlanOptions, SpaceEstimator};
use striae_spaces::space::{Bounds, Choice, Genotype, Piece, SpaceError, StriaSpace, StriaSpaceLiteral, Trellis};

/// Bounds that nothing reaches, so that factors can be switched beyond those of the space.
const FREE: Bounds =
    Bounds { max_taps: 1 << 20, max_external_rotations: 1 << 20, max_ciphertexts: 1 << 20, max_levels: 1 << 20 };

/// How the latency of a network changes when one factor of it alone is switched, over random networks within the bounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitivity {
    /// The factor, for example `bottleneck`.
    pub factor: String,
    /// Switches that were compared.
    pub switches: u64,
    /// Mean of `|ln(latency' / latency)|`: what any switch does.
    pub effect: Measured,
    /// Mean of `ln(latency' / latency) / ln(x' / x)`, for factors that are numbers `x`.
    pub elasticity: Option<Measured>,
    /// Cheapest and dearest choice, and how many times as long the dearer network takes; for factors that are words.
    pub extremes: Option<(String, String, f64)>,
}

/// A mean with its standard error. Switches of one network count as one observation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
}

/// Switches every factor of `samples` random networks of `space` to each of its other choices, beyond the bounds too, and
/// compares latencies. Sorted by effect, the largest first. Networks that no ring holds are left out.
///
/// # Errors
///
/// [`SpaceError::Field`] where the space is too large to unroll.
pub fn sensitivities(
    space: &StriaSpace,
    calibration: &Calibration,
    samples: u32,
    seed: u64,
) -> Result<Vec<Sensitivity>, SpaceError> {
    let free = StriaSpace::new(StriaSpaceLiteral { bounds: FREE, ..space.literal().clone() })?;
    let trellis = Trellis::new(&free)?;
    let mut estimator = SpaceEstimator::new(&trellis, calibration, PlanOptions::default());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut factors: BTreeMap<String, Factor> = BTreeMap::new();
    for _ in 0..samples {
        let genotype = space.sample(&mut rng);
        let Ok(cost) = estimator.estimate(&genotype) else { continue };
        let mut network = Network { trellis: &trellis, estimator: &mut estimator, genotype, latency: cost.latency.0 };
        for gene in 0..space.parameters().len() {
            network.switch(gene, &mut factors);
        }
        factors.values_mut().for_each(Factor::end_network);
    }
    let mut found: Vec<Sensitivity> = factors.into_iter().filter_map(|(name, factor)| factor.finish(name)).collect();
    found.sort_by(|a, b| b.effect.mean.total_cmp(&a.effect.mean));
    Ok(found)
}

/// A random network whose factors are switched.
struct Network<'n, 'a> {
    trellis: &'n Trellis,
    estimator: &'n mut SpaceEstimator<'a>,
    genotype: Genotype,
    latency: f64,
}

impl Network<'_, '_> {
    /// Gives a gene each of its other choices in turn and notes what that does.
    fn switch(&mut self, gene: usize, factors: &mut BTreeMap<String, Factor>) {
        let parameter = &self.trellis.space().parameters()[gene];
        let own = self.genotype.indices()[gene];
        let mut choices = vec![(own, 0.0)];
        for choice in (0..parameter.choices.len() as u16).filter(|&choice| choice != own) {
            let Some(other) = self.trellis.switched(&self.genotype, gene, choice) else { continue };
            let Ok(cost) = self.estimator.estimate(&other) else { continue };
            let change = (cost.latency.0 / self.latency).ln();
            choices.push((choice, change));
            for (name, x) in self.factors_of(gene, &other) {
                factors.entry(name).or_default().note(change, x);
            }
        }
        let named = matches!(parameter.choices[0], Choice::Word(_) | Choice::Flag(_));
        if named && choices.len() == parameter.choices.len() {
            let factor = factors.entry(name_of(&parameter.name)).or_default();
            let mean = choices.iter().map(|c| c.1).sum::<f64>() / choices.len() as f64;
            for (choice, change) in choices {
                let word = parameter.choices[usize::from(choice)].to_string();
                let (sum, count) = factor.choices.entry(word).or_default();
                *sum += change - mean;
                *count += 1;
            }
        }
    }

    /// What a switch of `gene` to `other` changes: the parameter itself, and the taps, levels or external rotations behind
    /// it; each with the ratio of its new value to its old one if both are positive numbers.
    fn factors_of(&self, gene: usize, other: &Genotype) -> Vec<(String, Option<f64>)> {
        let parameter = &self.trellis.space().parameters()[gene];
        let ratio = |new: f64, old: f64| (new > 0.0 && old > 0.0 && new != old).then(|| new / old);
        let value = |genotype: &Genotype| match parameter.choices[usize::from(genotype.indices()[gene])] {
            Choice::Int(value) => value as f64,
            Choice::Word(_) | Choice::Flag(_) => 0.0,
        };
        let mut factors = vec![(name_of(&parameter.name), ratio(value(other), value(&self.genotype)))];
        let space = self.trellis.space();
        let (old, new) = (space.he_size(&self.genotype), space.he_size(other));
        if let (Some(old), Some(new)) = (self.taps(gene, &self.genotype), self.taps(gene, other))
            && old != new
            && !parameter.name.ends_with("depth")
        {
            factors.push(("taps".to_owned(), ratio(new, old)));
        }
        if old.levels != new.levels {
            factors.push(("levels".to_owned(), ratio(new.levels as f64, old.levels as f64)));
        }
        if old.external_rotations != new.external_rotations && parameter.name.ends_with("mixing") {
            let x = ratio(new.external_rotations as f64, old.external_rotations as f64);
            factors.push(("external rotations".to_owned(), x));
        }
        factors
    }

    /// Taps of the blocks of the stage that a gene belongs to.
    fn taps(&self, gene: usize, genotype: &Genotype) -> Option<f64> {
        let columns = self.trellis.columns().iter().zip(self.trellis.path(genotype));
        let (_, branch) = columns.into_iter().find(|(column, _)| column.genes.contains(&gene))?;
        branch.pieces.iter().find_map(|&piece| match &self.trellis.pieces()[piece as usize] {
            Piece::Block(block) => Some(block.kernel.tap_count() as f64),
            Piece::Conv(_) | Piece::Pool(_) | Piece::Head(_) => None,
        })
    }
}

/// The factor that a parameter is: what its stages share, for example `kernel` for `stage2.kernel`.
fn name_of(parameter: &str) -> String {
    match parameter.split_once('.') {
        Some(("stem", what)) => format!("stem {}", common(what)),
        Some((_, what)) => common(what).to_owned(),
        None => parameter.to_owned(),
    }
}

/// Widths in ciphertexts and in channels are one factor.
fn common(what: &str) -> &str {
    match what {
        "ciphertexts" => "width",
        "bottleneck_width" => "bottleneck",
        other => other,
    }
}

/// What is known of a factor so far.
#[derive(Default)]
struct Factor {
    switches: u64,
    effect: Running,
    elasticity: Running,
    /// Of the network at hand: sums and counts of effects and elasticities.
    here: [(f64, u32); 2],
    /// For each choice the sum of its `ln(latency)` relative to the mean of all, and how many.
    choices: BTreeMap<String, (f64, u64)>,
}

impl Factor {
    fn note(&mut self, change: f64, ratio: Option<f64>) {
        self.switches += 1;
        let [effect, elasticity] = &mut self.here;
        *effect = (effect.0 + change.abs(), effect.1 + 1);
        if let Some(ratio) = ratio {
            *elasticity = (elasticity.0 + change / ratio.ln(), elasticity.1 + 1);
        }
    }

    fn end_network(&mut self) {
        for ((sum, count), running) in self.here.into_iter().zip([&mut self.effect, &mut self.elasticity]) {
            if count > 0 {
                running.add(sum / f64::from(count));
            }
        }
        self.here = Default::default();
    }

    fn finish(self, factor: String) -> Option<Sensitivity> {
        let effect = self.effect.measured()?;
        let means = self.choices.into_iter().map(|(word, (sum, count))| (word, sum / count as f64));
        let mut means: Vec<(String, f64)> = means.collect();
        means.sort_by(|a, b| a.1.total_cmp(&b.1));
        let extremes = match (means.first(), means.last()) {
            (Some(least), Some(most)) => Some((least.0.clone(), most.0.clone(), (most.1 - least.1).exp())),
            _ => None,
        };
        Some(Sensitivity { factor, switches: self.switches, effect, elasticity: self.elasticity.measured(), extremes })
    }
}

/// Mean and spread of observations as they come (Welford).
#[derive(Default)]
struct Running {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Running {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// `None` with fewer than two observations.
    fn measured(&self) -> Option<Measured> {
        (self.count > 1).then(|| {
            let variance = self.squares / (self.count - 1) as f64;
            Measured { mean: self.mean, error: (variance / self.count as f64).sqrt() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_have_their_standard_errors() {
        let mut running = Running::default();
        assert_eq!(running.measured(), None);
        [1.0, 2.0, 3.0, 4.0].into_iter().for_each(|v| running.add(v));
        let Measured { mean, error } = running.measured().unwrap();
        // Variance 5/3, over four observations.
        assert!((mean - 2.5).abs() < 1e-12 && (error - (5.0f64 / 12.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn parameters_of_all_stages_are_one_factor() {
        let names = ["stem.width", "stage1.ciphertexts", "stage2.width", "stage3.bottleneck_width", "head.pool"];
        assert_eq!(names.map(name_of), ["stem width", "width", "width", "bottleneck", "pool"]);
    }
}
