//! Calibration: files that are read back, files that are refused, fits that find what made the samples.

use std::{fs, path::PathBuf};

use proptest::prelude::*;
use striae_cost_model::{
    Calibration, CkksParams, RingType,
    calibration::{CalibrationError, Fit, Primitive, Provenance, Ring, Sample, Work},
};

fn provenance() -> Provenance {
    Provenance {
        cpu: "test".to_owned(),
        simd: "portable".to_owned(),
        threads: 1,
        version: "0.1.0".to_owned(),
        date: "2026-11-21".to_owned(),
        generic: false,
    }
}

fn rings() -> Vec<Ring> {
    let levels = |log_n| (0..6).map(move |level| (log_n, level));
    let of = |(log_n, level): (u32, usize)| {
        [1, 2].map(|special| Ring { ring_type: RingType::Standard, log_n, level, special })
    };
    (12..16).flat_map(levels).flat_map(of).collect()
}

fn sample(primitive: Primitive, ring: Ring, seconds: f64) -> Sample {
    Sample { primitive, ring, seconds, p10: seconds * 0.99, p90: seconds * 1.01, rounds: 9 }
}

/// Samples of all primitives from one law: seconds per call, per million butterflies, per million pointwise operations.
fn samples(call: f64, butterfly: f64, point: f64) -> Vec<Sample> {
    let seconds = |primitive, ring| {
        let work = Work::of(primitive, ring);
        call + butterfly * work.butterflies + point * work.pointwise
    };
    let of = |primitive| rings().into_iter().map(move |ring| sample(primitive, ring, seconds(primitive, ring)));
    Primitive::ALL.into_iter().flat_map(of).collect()
}

/// A path in a folder of this test's own.
fn file(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("calibration-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder.join("calibration.toml")
}

/// Message of the error that reading `text` gives, without the path.
fn refusal(name: &str, text: &str) -> String {
    let path = file(name);
    fs::write(&path, text).unwrap();
    let message = Calibration::load(&path).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    let rest = message.strip_prefix(&format!("{}: ", path.display())).expect("the message starts with the file");
    rest.to_owned()
}

#[test]
fn a_saved_file_reads_back_and_is_never_overwritten() {
    let path = file("round-trip");
    let _ = fs::remove_file(&path);
    let calibration = Calibration::new(provenance(), samples(2e-6, 3e-4, 5e-4)).unwrap();
    calibration.save(&path).unwrap();
    assert_eq!(Calibration::load(&path).unwrap(), calibration);
    let before = fs::read(&path).unwrap();
    let error = Calibration::generic().save(&path).unwrap_err();
    assert!(matches!(error, CalibrationError::Exists { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(fs::read_dir(path.parent().unwrap()).unwrap().count() == 1, "nothing is left beside it");
}

#[test]
fn bad_files_are_refused_in_one_line() {
    let path = file("good");
    let _ = fs::remove_file(&path);
    Calibration::generic().save(&path).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let newer = good.replace("version = 1\n", "version = 2\nnew_field = true\n");
    assert_eq!(refusal("newer", &newer), "format version 2 is not supported, this Striae reads 1");
    assert!(refusal("truncated", &good[..good.len() / 2]).starts_with("not a calibration file: "));
    assert!(refusal("empty", "").contains("missing field"), "{}", refusal("empty", ""));
    assert!(refusal("binary", "\u{1}\u{2}\nversion").starts_with("not a calibration file: "));
    assert!(refusal("unknown", &format!("surprise = 1\n{good}")).contains("surprise"));
    for bad in ["nan", "inf", "-1.0"] {
        let at = good.find("[fits.hoist]").unwrap();
        let (head, fits) = good.split_at(at);
        let line = fits.lines().find(|l| l.starts_with("per_butterfly")).unwrap();
        let text = format!("{head}{}", fits.replacen(line, &format!("per_butterfly = {bad}"), 1));
        let expected = "not a calibration file: fits.hoist has a coefficient that is negative or not finite";
        assert_eq!(refusal("coefficient", &text), expected, "{bad}");
        let mut table: toml::Table = good.parse().unwrap();
        let ring = toml::toml! { log_n = 13 level = 3 special = 1 };
        let sample: toml::Table =
            format!("primitive = \"hoist\"\nseconds = {bad}\np10 = 1.0\np90 = 1.0\nrounds = 3\n").parse().unwrap();
        let sample = sample.into_iter().chain([("ring".to_owned(), ring.into())]).collect::<toml::Table>();
        table.insert("samples".to_owned(), vec![toml::Value::from(sample)].into());
        let text = toml::to_string(&table).unwrap();
        let expected = "not a calibration file: samples[0] (hoist) has a time that is not positive and finite";
        assert_eq!(refusal("sample", &text), expected, "{bad}");
    }
    let missing = Calibration::load(&file("missing")).unwrap_err();
    assert!(matches!(missing, CalibrationError::Io { .. }));
}

#[test]
fn every_primitive_needs_samples() {
    let some: Vec<Sample> =
        samples(1e-6, 1e-4, 1e-4).into_iter().filter(|s| s.primitive != Primitive::Square).collect();
    let error = Calibration::new(provenance(), some).unwrap_err();
    assert_eq!((error.primitive, error.samples), (Primitive::Square, 0));
}

#[test]
fn measured_rings_use_the_measured_time() {
    let ring = Ring { ring_type: RingType::Standard, log_n: 13, level: 2, special: 1 };
    let mut all = samples(1e-6, 1e-4, 1e-4);
    let at = all.iter_mut().find(|s| s.primitive == Primitive::Square && s.ring == ring).unwrap();
    at.seconds = 0.5;
    let calibration = Calibration::new(provenance(), all).unwrap();
    assert_eq!(calibration.seconds(Primitive::Square, ring), 0.5);
    let params: CkksParams = "N=2^13 Q=45,30,30 P=46 scale=2^30".parse().unwrap();
    assert_eq!(calibration.times(&params, 2).square, 0.5);
}

#[test]
fn unmeasured_rings_correct_the_fit_by_what_is_nearest() {
    let at = |level, special, ring_type| Ring { ring_type, log_n: 13, level, special };
    let ring = |level| at(level, 1, RingType::Standard);
    // Hoisting at N = 2^13 takes longer than the law of the other degrees: twice at level 0, three times at level 5.
    let mut all = samples(1e-6, 1e-4, 1e-4);
    all.retain(|s| s.ring.log_n != 13 || [0, 5].contains(&s.ring.level));
    let slow = |s: &&mut Sample| s.primitive == Primitive::Hoist && s.ring.log_n == 13 && s.ring.special == 1;
    all.iter_mut().filter(slow).for_each(|s| s.seconds *= if s.ring.level == 0 { 2.0 } else { 3.0 });
    let measured = |ring| all.iter().find(|s| s.primitive == Primitive::Hoist && s.ring == ring).unwrap().seconds;
    let calibration = Calibration::new(provenance(), all.clone()).unwrap();
    let fit = *calibration.fit(Primitive::Hoist).unwrap();
    let factor = |ring| calibration.seconds(Primitive::Hoist, ring) / fit.seconds(Primitive::Hoist, ring);
    let (low, high) = (factor(ring(0)), factor(ring(5)));
    assert_eq!(calibration.seconds(Primitive::Hoist, ring(0)), measured(ring(0)));
    assert!(high > 1.2 * low, "{low} {high}");
    let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-12;
    // Between levels in proportion, beyond them as at the last.
    assert!(close(factor(ring(2)), 0.6 * low + 0.4 * high));
    assert!(close(factor(ring(9)), high));
    // The other ring type, and numbers of special primes of which none were measured, as their nearest.
    assert!(close(factor(at(5, 1, RingType::ConjugateInvariant)), high));
    assert!(close(factor(at(5, 6, RingType::Standard)), factor(at(5, 2, RingType::Standard))));
    assert!(close(factor(Ring { log_n: 16, ..ring(3) }), 1.0), "a degree of which nothing was measured");
}

#[test]
fn the_shipped_calibration_is_sound() {
    let generic = Calibration::generic();
    assert!(generic.provenance.generic);
    for (primitive, ring) in Primitive::ALL.into_iter().flat_map(|p| rings().into_iter().map(move |r| (p, r))) {
        let seconds = generic.seconds(primitive, ring);
        assert!(seconds.is_finite() && seconds > 0.0, "{primitive:?} {ring:?}: {seconds}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_fit_finds_the_law_of_its_samples(call in 0.0..1e-5, butterfly in 1e-5..1e-3, point in 1e-5..1e-3) {
        let all = samples(call, butterfly, point);
        // A primitive with both kinds of work, whose coefficients can be told apart.
        let square: Vec<&Sample> = all.iter().filter(|s| s.primitive == Primitive::Square).collect();
        let fit = Fit::of(Primitive::Square, &square).unwrap();
        prop_assert!(fit.error < 1e-6, "{fit:?}");
        prop_assert!((fit.per_butterfly / butterfly - 1.0).abs() < 1e-3, "{fit:?}");
        prop_assert!((fit.per_point / point - 1.0).abs() < 1e-3, "{fit:?}");
        prop_assert!((fit.per_call - call).abs() < 1e-7, "{fit:?}");
    }

    #[test]
    fn coefficients_are_never_negative(times in prop::collection::vec(1e-6..1e-1f64, 1..12), which in 0..Primitive::ALL.len()) {
        let primitive = Primitive::ALL[which];
        let all: Vec<Sample> = rings().into_iter().zip(times).map(|(ring, t)| sample(primitive, ring, t)).collect();
        let fit = Fit::of(primitive, &all.iter().collect::<Vec<_>>()).unwrap();
        prop_assert!(fit.per_call >= 0.0 && fit.per_butterfly >= 0.0 && fit.per_point >= 0.0, "{fit:?}");
        prop_assert!(rings().iter().all(|r| fit.seconds(primitive, *r).is_finite()));
    }
}
