//! Diagonals of linear plans, in little memory.

/// A diagonal. Those of convolutions are constant along map rows, so runs are often much smaller.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Diagonal {
    Dense(Vec<f64>),
    Runs(Vec<(u32, f64)>),
}

impl Diagonal {
    pub(super) fn new(values: Vec<f64>) -> Self {
        let mut runs: Vec<(u32, f64)> = Vec::new();
        for &v in &values {
            if runs.len() * 4 > values.len() {
                return Self::Dense(values);
            }
            match runs.last_mut() {
                Some((length, last)) if *last == v => *length += 1,
                _ => runs.push((1, v)),
            }
        }
        Self::Runs(runs)
    }

    /// Calls `f(j, (j + rotation) mod slots, diagonal[j])` wherever the diagonal is not zero by construction.
    pub(super) fn each(&self, slots: usize, rotation: usize, mut f: impl FnMut(usize, usize, f64)) {
        let from = |j: usize| if j + rotation >= slots { j + rotation - slots } else { j + rotation };
        match self {
            Self::Dense(values) => values.iter().enumerate().for_each(|(j, &v)| f(j, from(j), v)),
            Self::Runs(runs) => {
                let mut start = 0;
                for &(length, value) in runs {
                    let end = start + length as usize;
                    if value != 0.0 {
                        (start..end).for_each(|j| f(j, from(j), value));
                    }
                    start = end;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_dense_vectors_give_back_what_they_were_made_from() {
        let rows: Vec<f64> = (0..64).map(|j| f64::from(j / 16)).collect();
        let mixed: Vec<f64> = (0..64).map(|j| f64::from(j * j % 7)).collect();
        assert!(matches!(Diagonal::new(rows.clone()), Diagonal::Runs(runs) if runs.len() == 4));
        assert!(matches!(Diagonal::new(mixed.clone()), Diagonal::Dense(_)));
        for values in [rows, mixed] {
            let mut out = vec![0.0; 64];
            Diagonal::new(values.clone()).each(64, 60, |j, from, v| {
                assert_eq!(from, (j + 60) % 64);
                out[j] += v;
            });
            assert_eq!(out, values);
        }
    }
}
