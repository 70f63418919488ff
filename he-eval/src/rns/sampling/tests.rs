//! Every distribution against its exact probabilities.
//!
//! Seeds are fixed, so a test passes always or never. A statistic is refused where a right sampler would exceed it with a
//! probability below 1e-6: 4.9 standard errors for a moment, and for a chi-square the quantile by Wilson and Hilferty
//! (1931), which is within a hundredth of the exact one from 2 degrees of freedom on.

use super::*;

/// Draws of each distribution.
const DRAWS: usize = 1 << 20;
/// Two-sided quantile of the normal distribution at 1e-6.
const SIGMAS: f64 = 4.9;
/// One-sided quantile at 1e-6.
const ONE_SIDED: f64 = 4.753;

fn drawn(seed: u64, draw: impl FnOnce(&mut ChaCha20Rng, &mut [i64])) -> Vec<i64> {
    let mut x = vec![0; DRAWS];
    draw(&mut Seed::Fixed(seed).rng().unwrap(), &mut x);
    x
}

/// E[x^k] of a distribution given as values with their probabilities.
fn moment(exact: &[(i64, f64)], k: i32) -> f64 {
    exact.iter().map(|&(x, p)| (x as f64).powi(k) * p).sum()
}

/// Checks the first four moments.
fn moments_match(x: &[i64], exact: &[(i64, f64)]) {
    for k in 1..=4 {
        let (mean, variance) = (moment(exact, k), moment(exact, 2 * k) - moment(exact, k).powi(2));
        let found = x.iter().map(|&v| (v as f64).powi(k)).sum::<f64>() / x.len() as f64;
        let error = (found - mean) / (variance / x.len() as f64).sqrt();
        assert!(error.abs() < SIGMAS, "moment {k}: {found} instead of {mean}, {error} standard errors away");
    }
}

/// Checks observed numbers against expected ones, all of which are large enough for the statistic to be one.
fn chi_square_matches(observed: &[u64], expected: &[f64]) {
    assert!(expected.iter().all(|&e| e >= 10.0), "too few draws for these classes");
    let statistic: f64 = observed.iter().zip(expected).map(|(&o, e)| (o as f64 - e).powi(2) / e).sum();
    let degrees = (observed.len() - 1) as f64;
    let spread = 2.0 / (9.0 * degrees);
    let most = degrees * (1.0 - spread + ONE_SIDED * spread.sqrt()).powi(3);
    assert!(statistic < most, "chi-square {statistic} of {degrees} degrees of freedom, at most {most}");
}

fn count(x: &[i64], of: impl Fn(i64) -> bool) -> u64 {
    x.iter().filter(|&&v| of(v)).count() as u64
}

/// Centred binomial: the probability of k is C(42, 21 + k) / 2^42.
fn binomial() -> Vec<(i64, f64)> {
    let mut row = vec![1.0];
    for n in 0..2 * COINS as usize {
        let next = |i: usize| if i == 0 || i == n + 1 { 1.0 } else { row[i - 1] + row[i] };
        row = (0..=n + 1).map(next).collect();
    }
    let all = f64::from(2 * COINS).exp2();
    row.iter().enumerate().map(|(i, ways)| (i as i64 - i64::from(COINS), ways / all)).collect()
}

#[test]
fn errors_are_centred_binomial() {
    let exact = binomial();
    assert!((moment(&exact, 2) - 10.5).abs() < 1e-12, "the standard deviation is sqrt(21 / 2)");
    let x = drawn(1, error);
    moments_match(&x, &exact);
    // One class for each value within 12, and one for each tail: 4 standard deviations and more.
    let (middle, tail) = (-12..=12, |side: i64| move |v: i64| v * side > 12);
    let mut observed: Vec<u64> = middle.clone().map(|k| count(&x, |v| v == k)).collect();
    observed.extend([count(&x, tail(1)), count(&x, tail(-1))]);
    let probability = |of: &dyn Fn(i64) -> bool| exact.iter().filter(|e| of(e.0)).map(|e| e.1).sum::<f64>();
    let mut expected: Vec<f64> = middle.map(|k| DRAWS as f64 * probability(&|v| v == k)).collect();
    expected.extend([1, -1].map(|side| DRAWS as f64 * probability(&tail(side))));
    chi_square_matches(&observed, &expected);
    assert!(x.iter().all(|v| v.abs() <= i64::from(COINS)));
}

#[test]
fn secrets_are_uniform_ternary() {
    let third = 1.0 / 3.0;
    let x = drawn(2, ternary);
    moments_match(&x, &[(-1, third), (0, third), (1, third)]);
    let observed = [-1, 0, 1].map(|k| count(&x, |v| v == k));
    assert_eq!(observed.iter().sum::<u64>(), DRAWS as u64);
    chi_square_matches(&observed, &[DRAWS as f64 * third; 3]);
    // Neighbours are independent: all nine pairs are as frequent.
    let mut pairs = [0; 9];
    x.as_chunks().0.iter().for_each(|&[a, b]: &[i64; 2]| pairs[(3 * (a + 1) + b + 1) as usize] += 1);
    chi_square_matches(&pairs, &[DRAWS as f64 / 18.0; 9]);
}

/// Small primes, where a bias of reduction would be largest, and one of those in use.
#[test]
fn residues_are_uniform() {
    for p in [12_289, 40_961, 786_433, 1_125_899_906_826_241] {
        let mut x = vec![0; DRAWS];
        uniform(&mut Seed::Fixed(p).rng().unwrap(), p, &mut x);
        assert!(x.iter().all(|&v| v < p));
        // Classes of consecutive residues: 512 of almost equal width.
        let class = |v: u64| (u128::from(v) * 512 / u128::from(p)) as usize;
        let first_of = |c: u128| (c * u128::from(p)).div_ceil(512);
        let mut observed = vec![0; 512];
        x.iter().for_each(|&v| observed[class(v)] += 1);
        let width = |c: u128| (first_of(c + 1) - first_of(c)) as f64;
        let expected: Vec<f64> = (0..512).map(|c| DRAWS as f64 * width(c) / p as f64).collect();
        chi_square_matches(&observed, &expected);
        // And by the lowest bits.
        let mut observed = vec![0; 16];
        x.iter().for_each(|&v| observed[(v % 16) as usize] += 1);
        let multiples = |r: u64| (p - r).div_ceil(16) as f64;
        let expected: Vec<f64> = (0..16).map(|r| DRAWS as f64 * multiples(r) / p as f64).collect();
        chi_square_matches(&observed, &expected);
    }
}

/// The tests above refuse what is only slightly wrong.
#[test]
#[should_panic(expected = "chi-square")]
fn a_bias_of_a_hundredth_is_found() {
    let x = drawn(2, ternary);
    let mut observed = [-1, 0, 1].map(|k| count(&x, |v| v == k));
    let moved = observed[0] / 100;
    observed[0] -= moved;
    observed[1] += moved;
    chi_square_matches(&observed, &[DRAWS as f64 / 3.0; 3]);
}

#[test]
fn entropy_differs_and_seeds_repeat() {
    let first = |seed: Seed| seed.rng().unwrap().next_u64();
    assert_ne!(first(Seed::Entropy), first(Seed::Entropy));
    assert_eq!(first(Seed::Fixed(3)), first(Seed::Fixed(3)));
    let mut parent = Seed::Fixed(3).rng().unwrap();
    assert_ne!(child(&mut parent).next_u64(), child(&mut parent).next_u64());
}
