//! A set of small integers that gives them back sorted.

/// One bit for each integer below a bound.
pub(crate) struct BitSet(Vec<u64>);

impl BitSet {
    /// The empty set of integers below `bound`.
    pub(crate) fn new(bound: usize) -> Self {
        Self(vec![0; bound.div_ceil(64)])
    }

    /// Adds an integer below the bound.
    pub(crate) fn insert(&mut self, value: usize) {
        self.0[value / 64] |= 1 << (value % 64);
    }

    /// Hands out all integers, ascending, and leaves the set empty.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(usize)) {
        for (i, word) in self.0.iter_mut().enumerate() {
            let mut rest = std::mem::take(word);
            while rest != 0 {
                take(i * 64 + rest.trailing_zeros() as usize);
                rest &= rest - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_come_back_sorted_once() {
        let mut set = BitSet::new(200);
        [199, 0, 63, 64, 0, 130].into_iter().for_each(|v| set.insert(v));
        let mut values = Vec::new();
        set.drain(|v| values.push(v));
        assert_eq!(values, [0, 63, 64, 130, 199]);
        set.drain(|_| panic!("the set is empty"));
    }
}
