//! Blocks of weights.

use std::collections::{BTreeMap, BTreeSet};

use striae_spaces::{WeightError, WeightMask, WeightStore};

/// The weights of a network in blocks that are pruned as wholes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Blocks {
    /// For each weight of a parameter its block, or [`Blocks::NONE`].
    parameters: BTreeMap<String, Vec<u32>>,
    count: usize,
}

impl Blocks {
    /// The block of weights that are never pruned.
    pub const NONE: u32 = u32::MAX;

    /// Blocks `0..count`, of weights that [`Self::set`] gives them.
    pub fn new(count: usize) -> Self {
        Self { parameters: BTreeMap::new(), count }
    }

    /// Says of each weight of a parameter to which block it belongs.
    pub fn set(&mut self, parameter: impl Into<String>, blocks: Vec<u32>) {
        self.parameters.insert(parameter.into(), blocks);
    }

    /// Number of blocks.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Root mean square of the weights of each block, in units of that of its parameter's weights that are not zero: its L2 norm,
    /// made comparable between blocks of different sizes and between layers whose weights are of different sizes.
    ///
    /// # Errors
    ///
    /// [`WeightError`] where a parameter is missing or of another size.
    pub fn scores(&self, weights: &WeightStore) -> Result<Vec<f64>, WeightError> {
        let mut sums = vec![(0.0, 0usize); self.count];
        for (name, blocks) in &self.parameters {
            let tensor = weights.get(name)?;
            if tensor.data.len() != blocks.len() {
                let (name, got, expected) = (name.clone(), tensor.shape.clone(), vec![blocks.len()]);
                return Err(WeightError::Shape { name, got, expected });
            }
            let kept = tensor.data.iter().filter(|w| **w != 0.0);
            let (square, number) = kept.fold((0.0, 0usize), |(s, n), w| (s + f64::from(*w).powi(2), n + 1));
            let unit = if number > 0 { square / number as f64 } else { 1.0 };
            for (w, &block) in tensor.data.iter().zip(blocks).filter(|(_, block)| **block != Self::NONE) {
                let (sum, count) = &mut sums[block as usize];
                *sum += f64::from(*w).powi(2) / unit;
                *count += 1;
            }
        }
        Ok(sums.into_iter().map(|(sum, count)| (sum / count.max(1) as f64).sqrt()).collect())
    }

    /// For each block the parameters it has weights of, by number.
    pub(super) fn parameters(&self) -> Vec<BTreeSet<usize>> {
        let mut parameters = vec![BTreeSet::new(); self.count];
        for (number, blocks) in self.parameters.values().enumerate() {
            blocks.iter().filter(|block| **block != Self::NONE).for_each(|block| {
                parameters[*block as usize].insert(number);
            });
        }
        parameters
    }

    /// Keeps all weights but those of the blocks that are removed.
    pub(super) fn mask(&self, removed: &BTreeSet<u32>) -> WeightMask {
        let mut mask = WeightMask::default();
        for (name, blocks) in &self.parameters {
            mask.insert(name.clone(), blocks.iter().map(|block| !removed.contains(block)).collect());
        }
        mask
    }

    /// Tells these blocks from others.
    pub(super) fn fingerprint(&self) -> String {
        let mut hash = blake3::Hasher::new();
        for (name, blocks) in &self.parameters {
            hash.update(name.as_bytes()).update(&(blocks.len() as u64).to_le_bytes());
            blocks.iter().for_each(|block| {
                hash.update(&block.to_le_bytes());
            });
        }
        hash.finalize().to_hex()[..16].to_owned()
    }
}
