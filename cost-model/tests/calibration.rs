//! Calibration: files that are read back, files that are refused, fits that find what made the samples.

use std::{fs, path::PathBuf};

use proptest::prelude::*;
use striae_cost_model::{
    Calibration, Feature, RingType,
    calibration::{
        CalibrationError, Place, Primitive, Probe, Provenance, Ring, Sample, UNITS, Unit, Units, WordBytes, step_units,
    },
};

fn provenance() -> Provenance {
    Provenance {
        cpu: "test".to_owned(),
        simd: "portable".to_owned(),
        threads: 1,
        cache: 32 << 20,
        version: "0.1.0".to_owned(),
        date: "2026-11-21".to_owned(),
        generic: false,
    }
}

/// Places of one degree: levels and special primes in all proportions, words of two sizes.
fn places(log_n: u32) -> Vec<Place> {
    let words = [WordBytes::default(), WordBytes { base: 5, scale: 4, special: 5 }];
    let at =
        |level, special, bytes| Place { ring: Ring { ring_type: RingType::Standard, log_n, level, special }, bytes };
    (1..7).flat_map(|level| (1..4).map(move |special| at(level, special, words[(level + special) % 2]))).collect()
}

/// What a probe takes at a place by a law: seconds of each unit.
fn seconds(probe: Probe, place: Place, threads: usize, cold: bool, law: &Units) -> f64 {
    let (at, behind) = probe.work();
    let (mut units, more) = (step_units(&at, place, threads), step_units(&behind, place.lower(), threads));
    units.iter_mut().zip(more).for_each(|(u, m)| *u += m);
    if !cold {
        units[Unit::KeyBytes as usize] = 0.0;
        units[Unit::DiagonalBytes as usize] = 0.0;
    }
    units.iter().zip(law).map(|(u, s)| u * s).sum()
}

/// Samples of all probes in rings of these degrees by one law.
fn samples(degrees: &[u32], threads: usize, law: &Units) -> Vec<Sample> {
    let places = degrees.iter().flat_map(|&log_n| places(log_n));
    let items = places.flat_map(|place| Probe::ALL.into_iter().map(move |probe| (place, probe)));
    let both = items.flat_map(|(place, probe)| [true, false].map(|cold| (place, probe, cold)));
    let sample = |(place, probe, cold)| {
        let seconds = seconds(probe, place, threads, cold, law);
        Sample { probe, place, threads, cold, seconds, p10: seconds, p90: 1.01 * seconds, rounds: 9 }
    };
    both.map(sample).collect()
}

fn law(scale: f64) -> Units {
    std::array::from_fn(|unit| scale * 1e-6 * (1 + unit * 7 % 11) as f64)
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
    let calibration = Calibration::new(provenance(), samples(&[12, 13], 1, &law(1.0))).unwrap();
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
    let good = Calibration::new(provenance(), samples(&[12], 1, &law(1.0))).unwrap().to_toml().unwrap();
    for (version, reads) in [(1, "an old"), (3, "a newer")] {
        let other = good.replace("version = 2\n", &format!("version = {version}\nother_field = true\n"));
        let expected = format!("format version {version} is not supported, this Striae reads 2");
        assert_eq!(refusal("version", &other), expected, "{reads} file");
    }
    assert!(refusal("truncated", &good[..good.len() / 2]).starts_with("not a calibration file: "));
    assert!(refusal("empty", "").contains("missing field"), "{}", refusal("empty", ""));
    assert!(refusal("binary", "\u{1}\u{2}\nversion").starts_with("not a calibration file: "));
    assert!(refusal("unknown", &format!("surprise = 1\n{good}")).contains("surprise"));
    let line = |name: &str| good.lines().find(|l| l.starts_with(name)).expect(name).to_owned();
    for bad in ["nan", "inf", "-1.0"] {
        let text = good.replacen(&line("forward = "), &format!("forward = {bad}"), 1);
        let expected = "not a calibration file: fits[0].seconds.forward is negative, not finite, or of no unit";
        assert_eq!(refusal("coefficient", &text), expected, "{bad}");
        let text = good.replacen("\"squares 4\", true, ", &format!("\"squares 4\", true, {bad}, "), 1);
        let text = text.replacen(", 9]", "]", 0);
        assert!(refusal("sample", &text).starts_with("not a calibration file: "), "{bad}");
    }
    let text = good.replacen(&line("forward = "), "", 1);
    assert_eq!(refusal("unit", &text), "not a calibration file: fits[0].seconds.forward is missing");
    let text = good.replacen("squares 4", "squares 5", 1);
    assert_eq!(refusal("probe", &text), "not a calibration file: measured[0] unknown probe `squares 5`");
    let missing = Calibration::load(&file("missing")).unwrap_err();
    assert!(matches!(missing, CalibrationError::Io { .. }));
}

#[test]
fn a_fit_needs_samples_of_one_thread() {
    let few: Vec<Sample> = samples(&[12], 1, &law(1.0)).into_iter().take(5).collect();
    let error = Calibration::new(provenance(), few).unwrap_err();
    assert_eq!((error.log_n, error.threads, error.samples), (12, 1, 5));
    let error = Calibration::new(provenance(), samples(&[12], 2, &law(1.0))).unwrap_err();
    assert_eq!((error.threads, error.samples), (1, 0));
}

#[test]
fn threads_have_times_of_their_own() {
    let all = [samples(&[13], 1, &law(1.0)), samples(&[13], 4, &law(1.0))].concat();
    let one = Calibration::new(provenance(), all).unwrap();
    let time = |threads| {
        let on = one.clone().on_threads(threads);
        let ring = Ring { ring_type: RingType::Standard, log_n: 13, level: 5, special: 2 };
        (on.threads(), on.seconds(Primitive::Hoist, ring))
    };
    assert_eq!(time(1), time(3), "as many as were measured below");
    assert_eq!((time(4).0, time(64).0), (4, 4));
    assert!(time(4).1 < time(1).1, "the busiest thread has fewer limbs");
}

#[test]
fn degrees_that_were_not_measured_follow_the_nearest() {
    let calibration = Calibration::new(provenance(), samples(&[12, 13], 1, &law(1.0))).unwrap();
    let at = |log_n, ring_type| Ring { ring_type, log_n, level: 3, special: 2 };
    let hoist = |log_n, ring| calibration.seconds(Primitive::Hoist, at(log_n, ring));
    let ratio = hoist(15, RingType::Standard) / hoist(13, RingType::Standard);
    assert!((4.0..5.0).contains(&ratio), "N log N: {ratio}");
    assert_eq!(hoist(13, RingType::ConjugateInvariant), hoist(13, RingType::Standard), "of the other ring");
}

#[test]
fn small_rings_find_a_part_of_what_they_read_in_caches() {
    let calibration = Calibration::new(provenance(), samples(&[13], 1, &law(1.0))).unwrap();
    let time = |log_n, feature| {
        let ring = Ring { ring_type: RingType::Standard, log_n, level: 2, special: 1 };
        calibration.times_at(Place { ring, bytes: WordBytes::default() }).of(feature)
    };
    let growth = |log_n, feature| time(log_n + 1, feature) / time(log_n, feature);
    assert!((growth(13, Feature::RotationKey) - 2.0).abs() < 1e-9, "as many bytes more");
    assert!(growth(12, Feature::RotationKey) > 3.0, "of half as many bytes, a part only comes from memory");
    assert!((growth(12, Feature::Encode) - 2.0).abs() < 1e-9, "arithmetic does not care");
}

#[test]
fn the_shipped_calibrations_are_sound() {
    for (simd, shipped) in [("avx512ifma", "avx512ifma"), ("avx2", "portable"), ("portable", "portable")] {
        let generic = Calibration::generic_for(simd);
        assert!(generic.provenance.generic);
        assert_eq!(generic.provenance.simd, shipped);
        for log_n in 11..=16 {
            for (primitive, ring_type) in Primitive::ALL.into_iter().flat_map(|p| RingType::ALL.map(|r| (p, r))) {
                let seconds = generic.seconds(primitive, Ring { ring_type, log_n, level: 3, special: 2 });
                // An addition may be lost in the noise of what it is part of.
                let least = if primitive.name().ends_with("add") { 0.0 } else { 1e-9 };
                assert!(seconds.is_finite() && seconds >= least, "{primitive:?} 2^{log_n} {ring_type:?}: {seconds}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_fit_finds_the_law_of_its_samples(times in prop::collection::vec(1e-6..1e-4f64, UNITS)) {
        let law: Units = std::array::from_fn(|unit| times[unit]);
        let all = samples(&[13], 1, &law);
        let calibration = Calibration::new(provenance(), all.clone()).unwrap();
        let fit = &calibration.fits()[0];
        prop_assert!(fit.error < 1e-6 && fit.spread < 1e-6, "{fit:?}");
        for sample in &all {
            prop_assert!((calibration.probe_seconds(sample) / sample.undisturbed() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn coefficients_are_never_negative(times in prop::collection::vec(1e-6..1e-1f64, 40)) {
        let mut all: Vec<Sample> = samples(&[13], 1, &law(1.0)).into_iter().step_by(7).take(40).collect();
        all.iter_mut().zip(times).for_each(|(s, t)| s.p10 = t);
        let calibration = Calibration::new(provenance(), all).unwrap();
        prop_assert!(calibration.fits()[0].seconds.values().all(|s| s.is_finite() && *s >= 0.0));
    }
}
