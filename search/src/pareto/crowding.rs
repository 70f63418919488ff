//! Crowding distance: how far a row's neighbours on its front are.

use super::dominance::{compare_losses, compare_rows};

/// Crowding distance of each row among all of `rows`, which should be of one rank: infinite at the ends of a column,
/// else the sum over the columns of (next - previous) / (last - first). Equal rows count as one.
pub fn crowding(rows: &[Vec<f64>]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| compare_rows(&rows[a], &rows[b]));
    // `unique[i]` is the first of a run of equal rows, `class[i]` says which run row `i` is in.
    let mut unique: Vec<usize> = Vec::new();
    let mut class = vec![0; rows.len()];
    for &i in &order {
        if unique.last().is_none_or(|&last| compare_rows(&rows[last], &rows[i]).is_ne()) {
            unique.push(i);
        }
        class[i] = unique.len() - 1;
    }
    let mut distance = vec![0.0; unique.len()];
    for column in 0..rows.first().map_or(0, Vec::len) {
        let values: Vec<f64> = unique.iter().map(|&i| rows[i][column]).collect();
        add_column(&values, &mut distance);
    }
    class.into_iter().map(|c| distance[c]).collect()
}

fn add_column(values: &[f64], distance: &mut [f64]) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    // Stable: equal values stay in the order of their rows.
    order.sort_by(|&a, &b| compare_losses(values[a], values[b]));
    let (first, last) = (order[0], order[order.len() - 1]);
    distance[first] = f64::INFINITY;
    distance[last] = f64::INFINITY;
    let span = values[last] - values[first];
    for window in order.windows(3) {
        let gap = (values[window[2]] - values[window[0]]) / span;
        // NaN comes of a column with a NaN, with one value only, or with infinite ends: it tells rows apart no further.
        distance[window[1]] += if gap.is_nan() { 0.0 } else { gap };
    }
}
