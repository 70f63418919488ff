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
    let elsewhere = Ring { level: 9, ..ring };
    let fit = calibration.fit(Primitive::Square).unwrap();
    assert_eq!(calibration.seconds(Primitive::Square, elsewhere), fit.seconds(Primitive::Square, elsewhere));
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
