//! The networks of which none is both faster and more capable.

/// A network of a front.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontPoint {
    /// Seconds.
    pub latency: f64,
    /// What it is worth.
    pub capacity: u64,
    /// Its branches, one of each column of the trellis.
    pub branches: Box<[u32]>,
}

/// A Pareto front of latency (less is better) and capacity (more is better), by ascending latency and capacity. Of
/// networks equal in both it keeps the one whose branches come first, so that the order of insertion does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Front(Vec<FrontPoint>);

impl Front {
    /// Adds a network unless another is at least as good in both.
    pub fn add(&mut self, latency: f64, capacity: u64, branches: &[u32]) {
        let after = self.0.partition_point(|p| p.latency <= latency);
        if let Some(before) = after.checked_sub(1).map(|i| &mut self.0[i])
            && before.capacity >= capacity
        {
            if (before.latency, before.capacity) == (latency, capacity) && *branches < *before.branches {
                before.branches = branches.into();
            }
            return;
        }
        // The last of those as fast is less capable, and so are all before it.
        let first = self.0.partition_point(|p| p.latency < latency);
        let beaten = self.0[first..].partition_point(|p| p.capacity <= capacity);
        let new = FrontPoint { latency, capacity, branches: branches.into() };
        self.0.splice(first..first + beaten, [new]);
    }

    /// Adds the networks of another front.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|p| self.add(p.latency, p.capacity, &p.branches));
    }

    /// Its networks.
    pub fn points(&self) -> &[FrontPoint] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pareto::front;

    proptest! {
        #[test]
        fn it_is_the_front_of_all_added(points in prop::collection::vec((1..9_u32, 1..9_u64), 1..40)) {
            let mut both = [Front::default(), Front::default()];
            for (i, &(latency, capacity)) in points.iter().enumerate() {
                both[i % 2].add(latency.into(), capacity, &[i as u32]);
            }
            let [mut merged, other] = both;
            merged.merge(&other);
            let rows: Vec<Vec<f64>> = points.iter().map(|&(l, c)| vec![l.into(), -(c as f64)]).collect();
            // Of equal points the first.
            let on = front(&rows);
            let mut expected: Vec<u32> =
                on.iter().filter(|&&i| !on.iter().any(|&j| j < i && rows[j] == rows[i])).map(|&i| i as u32).collect();
            let mut found: Vec<u32> = merged.points().iter().map(|p| p.branches[0]).collect();
            found.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
            prop_assert!(merged.points().is_sorted_by(|a, b| a.latency < b.latency && a.capacity < b.capacity));
        }
    }
}
