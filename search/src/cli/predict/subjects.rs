//! Which networks a report runs: a deterministic mixture of families, taken in turn so that a short report has some of each.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use striae_cost_model::{Bytes, Calibration, CkksParams, Lowerer, Plan, PlanOptions};
use striae_search::prediction::Subject;
use striae_spaces::{TypedGraph, space, zoo};

use super::generate;

/// Largest ring of a report.
const MAX_LOG_N: u32 = 15;
/// Networks of a family drawn in vain before it counts as exhausted.
const TRIES: usize = 40;
/// Most memory a network may be predicted to take.
const MOST_MEMORY: Bytes = Bytes(6 << 30);

/// A network before it is planned.
struct Draft {
    label: String,
    graph: TypedGraph,
    /// Smallest ring to try.
    min_log_n: u32,
    /// Parameters that are not the planner's to choose.
    params: Option<CkksParams>,
}

/// Where networks come from.
enum Family {
    Zoo(std::vec::IntoIter<&'static str>),
    Space(&'static str),
    Dense,
    Grouped,
    /// Rings of degree 2^12, mostly deeper than is secure there.
    Small,
}

impl Family {
    fn name(&self) -> &'static str {
        match self {
            Self::Zoo(_) => "zoo",
            Self::Space(name) => name,
            Self::Dense => "dense",
            Self::Grouped => "grouped",
            Self::Small => "small ring",
        }
    }

    /// The next network; `None` where there are no more, or this one is not to be had.
    fn draw(&mut self, count: usize, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let label = format!("{} {count}", self.name());
        match self {
            Self::Zoo(names) => {
                let name = names.next()?;
                Some(Draft { label: name.to_owned(), graph: zoo::build(name).ok()?, min_log_n: 12, params: None })
            }
            Self::Space(name) => {
                let space = space::builtin(name).ok()?;
                let graph = space.build(&space.sample(rng)).ok()?;
                Some(Draft { label, graph, min_log_n: rng.random_range(12..=MAX_LOG_N), params: None })
            }
            Self::Dense | Self::Grouped => {
                let graph = generate::convolutions(matches!(self, Self::Grouped), rng)?;
                Some(Draft { label, graph, min_log_n: rng.random_range(13..=MAX_LOG_N), params: None })
            }
            Self::Small => {
                let (graph, params) = generate::small(rng)?;
                Some(Draft { label, graph, min_log_n: 12, params })
            }
        }
    }
}

/// The first `count` networks of a seed that take at most `longest` seconds and not too much memory, as predicted.
pub(super) fn choose(count: usize, seed: u64, longest: f64, calibration: &Calibration) -> Vec<Subject> {
    let mut lowerer = Lowerer::new(calibration);
    let zoo = if seed == 0 { zoo::names() } else { Vec::new() };
    // Spaces for hybrid protocols hold networks that no ciphertext of ours fits.
    let runs = |name: &&str| space::builtin(name).is_ok_and(|space| !space.literal().repacked);
    let spaces = space::builtin_names().into_iter().filter(runs).map(Family::Space);
    let mut families: Vec<(Family, ChaCha8Rng, usize)> = [Family::Small, Family::Grouped, Family::Dense]
        .into_iter()
        .chain(spaces)
        .chain([Family::Zoo(zoo.into_iter())])
        .enumerate()
        .map(|(i, family)| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(i as u64);
            (family, rng, 0)
        })
        .collect();
    let mut subjects: Vec<Subject> = Vec::new();
    while subjects.len() < count && !families.is_empty() {
        families.retain_mut(|(family, rng, drawn)| {
            if subjects.len() == count {
                return true;
            }
            for _ in 0..TRIES {
                *drawn += 1;
                let Some(draft) = family.draw(*drawn, rng) else { continue };
                let Some(plan) = plan(&mut lowerer, &draft, longest) else { continue };
                let notation = draft.graph.to_string();
                if subjects.iter().any(|s| s.notation == notation) {
                    continue;
                }
                let (label, params) = (draft.label, plan.params.to_string());
                subjects.push(Subject { label, family: family.name().to_owned(), notation, params });
                return true;
            }
            false
        });
    }
    subjects
}

/// The plan of a network that is small enough.
fn plan(lowerer: &mut Lowerer<'_>, draft: &Draft, longest: f64) -> Option<Plan> {
    let options = PlanOptions {
        params: draft.params.clone(),
        min_log_n: draft.min_log_n,
        max_log_n: MAX_LOG_N,
        ..PlanOptions::default()
    };
    let plan = lowerer.plan(&draft.graph, &options).ok()?;
    let fits = plan.estimate.latency.0 <= longest && plan.estimate.memory.total() <= MOST_MEMORY;
    fits.then_some(plan)
}
