use proptest::prelude::*;

use super::*;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn rows() -> impl Strategy<Value = Vec<Vec<f64>>> {
    let value = prop_oneof![
        8 => (0..6_i32).prop_map(f64::from),
        1 => Just(NAN), 1 => Just(INF), 1 => Just(-INF), 1 => Just(-0.0)
    ];
    (1..4_usize).prop_flat_map(move |m| prop::collection::vec(prop::collection::vec(value.clone(), m), 0..25))
}

fn permuted() -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<usize>)> {
    rows().prop_flat_map(|rows| {
        let order: Vec<usize> = (0..rows.len()).collect();
        (Just(rows), Just(order).prop_shuffle())
    })
}

fn pick<T: Clone>(values: &[T], order: &[usize]) -> Vec<T> {
    order.iter().map(|&i| values[i].clone()).collect()
}

proptest! {
    #[test]
    fn no_row_of_the_front_is_dominated_and_every_other_clean_row_is(rows in rows()) {
        let on = front(&rows);
        for i in 0..rows.len() {
            let beaten = on.iter().any(|&j| dominates(&rows[j], &rows[i]));
            prop_assert_eq!(on.contains(&i), !beaten && !rows[i].iter().any(|v| v.is_nan()));
        }
    }

    #[test]
    fn dominance_is_a_strict_partial_order(rows in rows()) {
        for a in &rows {
            prop_assert!(!dominates(a, a));
            for b in rows.iter().filter(|b| dominates(a, b)) {
                prop_assert!(!dominates(b, a));
                prop_assert!(rows.iter().filter(|c| dominates(b, c)).all(|c| dominates(a, c)));
            }
        }
    }

    #[test]
    fn a_row_ranks_just_below_the_worst_rank_that_dominates_it(rows in rows()) {
        let rank = ranks(&rows);
        for i in 0..rows.len() {
            let above = (0..rows.len()).filter(|&j| dominates(&rows[j], &rows[i])).map(|j| rank[j] + 1).max();
            prop_assert_eq!(rank[i], above.unwrap_or(0));
        }
    }

    #[test]
    fn order_of_rows_does_not_matter((rows, order) in permuted()) {
        let moved = pick(&rows, &order);
        prop_assert_eq!(ranks(&moved), pick(&ranks(&rows), &order));
        let bits = |v: Vec<f64>| v.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(crowding(&moved)), bits(pick(&crowding(&rows), &order)));
        let mut on: Vec<usize> = front(&moved).into_iter().map(|i| order[i]).collect();
        on.sort_unstable();
        prop_assert_eq!(on, front(&rows));
        let pairs = |rows: &[Vec<f64>]| rows.iter().map(|r| [r[0], r[r.len() - 1]]).collect::<Vec<_>>();
        let area = |rows: &[Vec<f64>]| hypervolume_2d(&pairs(rows), [5.0, 5.0]).to_bits();
        prop_assert_eq!(area(&moved), area(&rows));
    }

    #[test]
    fn distances_are_never_nan_nor_negative(rows in rows()) {
        prop_assert!(crowding(&rows).iter().all(|&d| d >= 0.0));
    }

    #[test]
    fn hypervolume_is_the_number_of_dominated_cells(points in prop::collection::vec([0..8_i32, 0..8_i32], 0..20)) {
        let rows: Vec<[f64; 2]> = points.iter().map(|p| p.map(f64::from)).collect();
        let cell = |x, y| points.iter().any(|p| p[0] <= x && p[1] <= y);
        let cells = (0..6).flat_map(|x| (0..7).map(move |y| (x, y))).filter(|&(x, y)| cell(x, y)).count();
        prop_assert_eq!(hypervolume_2d(&rows, [6.0, 7.0]), cells as f64);
    }
}

#[test]
fn nan_and_infinity_table() {
    // (a, b, a dominates b)
    let table: [([f64; 2], [f64; 2], bool); 9] = [
        ([INF, INF], [0.0, NAN], true),
        ([0.0, NAN], [INF, INF], false),
        ([0.0, NAN], [1.0, NAN], true),
        ([0.0, INF], [NAN, NAN], true),
        ([NAN, NAN], [-NAN, NAN], false),
        ([-INF, 0.0], [0.0, 0.0], true),
        ([-0.0, 0.0], [0.0, 0.0], false),
        ([0.0, 1.0], [1.0, 0.0], false),
        ([1.0, 1.0], [1.0, 1.0], false),
    ];
    for (a, b, expected) in table {
        assert_eq!(dominates(&a, &b), expected, "{a:?} against {b:?}");
    }
    assert_eq!(front(&[vec![0.0, NAN], vec![NAN, 0.0]]), Vec::<usize>::new());
    assert_eq!(front(&[vec![INF, INF], vec![NAN, 0.0]]), [0]);
    assert_eq!(ranks(&[vec![0.0, NAN], vec![9.0, 9.0], vec![8.0, 8.0]]), [2, 1, 0]);
    assert_eq!(hypervolume_2d(&[[NAN, 0.0], [0.0, NAN]], [1.0, 1.0]), 0.0);
    assert_eq!(hypervolume_2d(&[[0.0, 0.0]], [NAN, 1.0]), 0.0);
    assert_eq!(hypervolume_2d(&[], [1.0, 1.0]), 0.0);
}

#[test]
fn crowding_by_hand() {
    let rows = [[0.0, 4.0], [1.0, 2.0], [2.0, 1.0], [4.0, 0.0], [1.0, 2.0]].map(Vec::from);
    // (2 - 0) / 4 + (4 - 1) / 4, and (4 - 1) / 4 + (2 - 0) / 4; the last row repeats the second.
    assert_eq!(crowding(&rows), [INF, 1.25, 1.25, INF, 1.25]);
}
