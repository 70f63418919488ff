//! How values of several orders of magnitude are distributed, in little memory.

/// Bins in each doubling: a bin is at most 1.6 % wide.
const PER_DOUBLING: u32 = 64;
/// log2 of the smallest value told apart, about a nanosecond.
const LEAST: i64 = -30;
/// Doublings covered: up to some hours.
const DOUBLINGS: i64 = 44;

/// Counts of positive values in bins of equal ratio.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    bins: Vec<u64>,
    count: u64,
    least: f64,
    most: f64,
}

impl Default for Distribution {
    fn default() -> Self {
        let bins = vec![0; DOUBLINGS as usize * PER_DOUBLING as usize];
        Self { bins, count: 0, least: f64::INFINITY, most: 0.0 }
    }
}

impl Distribution {
    /// Counts a positive, finite value.
    pub fn add(&mut self, value: f64) {
        // The exponent and the first six bits of the mantissa of a double are the bin.
        let bin = (value.to_bits() >> 46) as i64 - (1023 + LEAST) * i64::from(PER_DOUBLING);
        self.bins[bin.clamp(0, DOUBLINGS * i64::from(PER_DOUBLING) - 1) as usize] += 1;
        self.count += 1;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    /// Counts what another has counted.
    pub fn merge(&mut self, other: &Self) {
        self.bins.iter_mut().zip(&other.bins).for_each(|(a, b)| *a += b);
        self.count += other.count;
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Smallest and largest value; `None` without any.
    pub fn range(&self) -> Option<(f64, f64)> {
        (self.count > 0).then_some((self.least, self.most))
    }

    /// The value below which a share `q` of the values lies, within 1.6 %; `None` without any.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let (least, most) = self.range()?;
        let wanted = (q * self.count as f64).max(1.0);
        let mut seen = 0;
        let bin = self.bins.iter().position(|&count| {
            seen += count;
            seen as f64 >= wanted
        });
        Some(bin.map_or(most, |bin| middle(bin).clamp(least, most)))
    }

    /// `count` bars of equal ratio from the smallest to the largest value: lower end, upper end, values.
    pub fn bars(&self, count: usize) -> Vec<(f64, f64, u64)> {
        let Some((least, most)) = self.range() else { return Vec::new() };
        let ratio = (most / least).max(1.0 + 1e-9);
        let edge = |i: usize| least * ratio.powf(i as f64 / count as f64);
        let mut bars: Vec<(f64, f64, u64)> = (0..count).map(|i| (edge(i), edge(i + 1), 0)).collect();
        for (bin, &values) in self.bins.iter().enumerate().filter(|(_, values)| **values > 0) {
            let place = (middle(bin) / least).ln() / ratio.ln() * count as f64;
            bars[(place.max(0.0) as usize).min(count - 1)].2 += values;
        }
        bars
    }
}

/// Middle of a bin.
fn middle(bin: usize) -> f64 {
    let bits = (bin as i64 + (1023 + LEAST) * i64::from(PER_DOUBLING)) as u64;
    f64::midpoint(f64::from_bits(bits << 46), f64::from_bits((bits + 1) << 46))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_bars_of_known_values() {
        let mut all = Distribution::default();
        assert_eq!((all.quantile(0.5), all.bars(3).len()), (None, 0));
        let mut odd = Distribution::default();
        (1..=1000).for_each(|i| if i % 2 == 0 { all.add(f64::from(i) * 1e-3) } else { odd.add(f64::from(i) * 1e-3) });
        all.merge(&odd);
        assert_eq!((all.count(), all.range()), (1000, Some((1e-3, 1.0))));
        for q in [0.1, 0.5, 0.9] {
            let found = all.quantile(q).unwrap();
            assert!((found / q - 1.0).abs() < 0.02, "{q}: {found}");
        }
        let bars = all.bars(3);
        assert_eq!(bars.iter().map(|b| b.2).sum::<u64>(), 1000);
        // 1 to 10, 10 to 100, 100 to 1000 milliseconds.
        let expected = [9.0, 90.0, 901.0];
        assert!(bars.iter().zip(expected).all(|(bar, n)| (bar.2 as f64 - n).abs() <= 1.0 + 0.02 * n), "{bars:?}");
    }
}
