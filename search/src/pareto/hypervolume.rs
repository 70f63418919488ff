//! Hypervolume: how much of the plane a set of rows dominates.

use super::dominance::compare_rows;

/// Area that `rows` dominate inside the box below `reference`, for two losses. Rows that are not better than the
/// reference in both columns add nothing, nor do rows with a NaN. A reference with a NaN gives 0; a row at -inf gives an
/// infinite area.
pub fn hypervolume_2d(rows: &[[f64; 2]], reference: [f64; 2]) -> f64 {
    let mut inside: Vec<[f64; 2]> =
        rows.iter().copied().filter(|row| row[0] < reference[0] && row[1] < reference[1]).collect();
    inside.sort_by(|a, b| compare_rows(a, b));
    let mut area = 0.0;
    let mut ceiling = reference[1];
    for [x, y] in inside {
        // Ascending in x: a row adds the strip between its y and the lowest y so far.
        if y < ceiling {
            area += (reference[0] - x) * (ceiling - y);
            ceiling = y;
        }
    }
    area
}
