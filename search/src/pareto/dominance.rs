//! Dominance between rows, and the ranks that follow from it.

use std::cmp::Ordering;

/// Orders losses: NaN after +inf whatever its sign, -0 equal to 0.
pub(super) fn compare_losses(a: f64, b: f64) -> Ordering {
    // Adding 0 turns -0 into 0.
    a.is_nan().cmp(&b.is_nan()).then_with(|| if a.is_nan() { Ordering::Equal } else { (a + 0.0).total_cmp(&(b + 0.0)) })
}

/// Orders rows column by column; equal exactly for rows of equal values.
pub fn compare_rows(a: &[f64], b: &[f64]) -> Ordering {
    let columns = a.iter().zip(b).map(|(&a, &b)| compare_losses(a, b));
    columns.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
}

pub(super) fn has_nan(row: &[f64]) -> bool {
    row.iter().any(|v| v.is_nan())
}

/// Whether `a` is nowhere worse than `b` and somewhere better.
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    match (has_nan(a), has_nan(b)) {
        (false, true) => return true,
        (true, false) => return false,
        _ => {}
    }
    let mut better = false;
    for (&a, &b) in a.iter().zip(b) {
        match compare_losses(a, b) {
            Ordering::Less => better = true,
            Ordering::Equal => {}
            Ordering::Greater => return false,
        }
    }
    better
}

/// Indices of the rows that no row dominates, in ascending order.
pub fn front(rows: &[Vec<f64>]) -> Vec<usize> {
    let clean: Vec<usize> = (0..rows.len()).filter(|&i| !has_nan(&rows[i])).collect();
    clean.iter().copied().filter(|&i| !clean.iter().any(|&j| dominates(&rows[j], &rows[i]))).collect()
}

/// Rank of each row: 0 on the front, 1 on the front of the rest, and so on.
pub fn ranks(rows: &[Vec<f64>]) -> Vec<usize> {
    ranks_by(rows.len(), |a, b| dominates(&rows[a], &rows[b]))
}

/// Ranks of `n` things under any strict partial order: `O(n^2)` comparisons.
pub fn ranks_by(n: usize, dominates: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut beaten: Vec<Vec<usize>> = vec![Vec::new(); n];
    let mut dominators = vec![0_usize; n];
    for a in 0..n {
        for b in 0..n {
            if dominates(a, b) {
                beaten[a].push(b);
                dominators[b] += 1;
            }
        }
    }
    let mut ranks = vec![0; n];
    let mut current: Vec<usize> = (0..n).filter(|&i| dominators[i] == 0).collect();
    let mut rank = 0;
    while !current.is_empty() {
        let mut next = Vec::new();
        for &a in &current {
            ranks[a] = rank;
            for &b in &beaten[a] {
                dominators[b] -= 1;
                if dominators[b] == 0 {
                    next.push(b);
                }
            }
        }
        current = next;
        rank += 1;
    }
    ranks
}
