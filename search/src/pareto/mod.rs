//! Pareto dominance, fronts, crowding and hypervolume. Every value is a loss: smaller is better.
//!
//! | function | NaN | ties |
//! |---|---|---|
//! | [`dominates`] | a row with a NaN is dominated by every row without one; among such rows NaN is worse than +inf | equal rows do not dominate each other |
//! | [`front`] | never on the front, even alone | equal rows are all on it |
//! | [`ranks`] | ranks below every clean row | equal rows have equal ranks |
//! | [`crowding`] | a column with a NaN or an infinity counts as unbounded | equal rows have equal distances |
//! | [`hypervolume_2d`] | adds nothing | counted once |
//!
//! Results are the same whatever the order of the rows: indices come sorted, and rows are sorted by all their columns
//! before anything is summed, because the order of additions changes the last bit.
//!
//! Sorting and crowding are those of NSGA-II: Deb, Pratap, Agarwal, Meyarivan, "A fast and elitist multiobjective
//! genetic algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6(2), 2002.

mod crowding;
mod dominance;
mod hypervolume;

#[cfg(test)]
mod tests;

pub use crowding::crowding;
pub use dominance::{compare_rows, dominates, front, ranks, ranks_by};
pub use hypervolume::hypervolume_2d;
