//! An independent library as referee: SEAL evaluates the same circuit on the same values, with the same ring degree and the
//! same chain, and the errors of both against plain arithmetic are compared, stage by stage.
//!
//! Needs a Python that has TenSEAL, which brings SEAL: its name in `STRIAE_TEST_PYTHON`. Where there is none the test says
//! so and passes, unless `STRIAE_REQUIRE_REFEREE` is set, as `.ci/run` does.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::{Command, Stdio};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use striae_cost_model::{CkksParams, CkksParamsLiteral, KeyPlan, LinearPlan, RingType, Term};
use striae_he_eval::{HeBackend, HeClient, RnsBackend, Seed};

const LOG_N: u32 = 13;
const LOG_SCALE: u32 = 35;
const LOG_Q: [u32; 4] = [45, 35, 35, 35];
const LOG_P: u32 = 46;
/// Rotations of the two layers, and of the last sum.
const LAYERS: [[u32; 8]; 2] = [[0, 1, 2, 3, 28, 29, 30, 31], [0, 64, 128, 192, 256, 320, 384, 448]];
const LAST: u32 = 512;
const STAGES: [&str; 4] = ["fresh", "first layer", "square", "second layer, rotated and summed"];
/// Our errors, largest and root mean square, may be this many times the referee's: two samples of like noise. Measured: 1.0
/// and 1.0 fresh, 0.1 and 0.5 at the end, for SEAL's rescaling leaves some slots further off than the others.
const FACTOR: f64 = 2.0;
/// No slot of ours may be off by more: twenty times what this seed gives.
const BOUND: f64 = 1.0 / 65_536.0;
/// No slot of the referee's may be off by more, or it did not compute this circuit. It draws its randomness anew in every run
/// and its errors have a long tail: 0.2e-5 to 2.6e-5 at the end, over 60 runs.
const REFEREE_BOUND: f64 = 1.0 / 2048.0;

/// What both libraries compute on.
struct Values {
    x: Vec<f64>,
    /// Of both layers.
    diagonals: [Vec<Vec<f64>>; 2],
}

impl Values {
    fn new() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(2021);
        let mut vector = |size: f64| (0..1 << (LOG_N - 1)).map(|_| rng.random_range(-size..size)).collect::<Vec<f64>>();
        let x = vector(1.0);
        Self { x, diagonals: LAYERS.map(|layer| layer.map(|_| vector(0.5)).to_vec()) }
    }

    /// The slots after every stage, in plain arithmetic.
    fn expected(&self) -> Vec<Vec<f64>> {
        let first = linear(&self.x, 0, &self.diagonals[0]);
        let square: Vec<f64> = first.iter().map(|v| v * v).collect();
        let second = linear(&square, 1, &self.diagonals[1]);
        let sum = second.iter().zip(rotated(&second, LAST)).map(|(a, b)| a + b).collect();
        vec![self.x.clone(), first, square, sum]
    }
}

fn rotated(x: &[f64], r: u32) -> Vec<f64> {
    let mut x = x.to_vec();
    x.rotate_left(r as usize);
    x
}

fn linear(x: &[f64], layer: usize, diagonals: &[Vec<f64>]) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    for (&rotation, diagonal) in LAYERS[layer].iter().zip(diagonals) {
        let turned = rotated(x, rotation);
        out.iter_mut().zip(turned.iter().zip(diagonal)).for_each(|(o, (t, d))| *o += t * d);
    }
    out
}

/// The slots after every stage, as we decrypt them.
fn ours(values: &Values) -> Vec<Vec<f64>> {
    let literal = CkksParamsLiteral {
        log_n: LOG_N,
        log_q: LOG_Q.to_vec(),
        log_p: vec![LOG_P],
        log_scale: LOG_SCALE,
        ring: RingType::Standard,
        insecure: false,
    };
    let params: CkksParams = literal.try_into().unwrap();
    let rotations: Vec<u32> = LAYERS.as_flattened().iter().copied().chain([LAST]).collect();
    let (client, backend) =
        RnsBackend::keygen(&params, &KeyPlan::up_to(params.max_level(), rotations), Seed::Fixed(1)).unwrap();
    let scale = f64::from(LOG_SCALE).exp2();
    let layer = |ct: &_, layer: usize| {
        let level = backend.level(ct);
        let plan = LinearPlan {
            inputs: 1,
            outputs: 1,
            babies: vec![LAYERS[layer].to_vec()],
            giants: vec![0],
            terms: (0..8).map(|baby| Term { output: 0, giant: 0, input: 0, baby }).collect(),
            folds: Vec::new(),
        };
        let plain_scale = scale * backend.modulus(level) / backend.scale(ct);
        let fill = |i: usize, slots: &mut [f64]| slots.copy_from_slice(&values.diagonals[layer][i]);
        let weights = backend.encode_linear(&plan, level, plain_scale, &fill).unwrap();
        backend.linear(&plan, &weights, std::slice::from_ref(ct)).unwrap().remove(0)
    };
    let fresh = client.encrypt(&values.x, LOG_Q.len() - 1, scale).unwrap();
    let first = layer(&fresh, 0);
    let square = backend.square(&first).unwrap();
    let sum = backend.rotate_add(&layer(&square, 1), LAST).unwrap();
    [fresh, first, square, sum].iter().map(|ct| client.decrypt(ct).unwrap()).collect()
}

/// The slots after every stage, as SEAL decrypts them.
fn theirs(python: &OsString, values: &Values) -> Vec<Vec<f64>> {
    let bits: Vec<u32> = LOG_Q.into_iter().chain([LOG_P]).collect();
    let mut child = Command::new(python)
        .args(["-W", "ignore", "-c", include_str!("seal.py")])
        .args([LOG_N.to_string(), LOG_SCALE.to_string(), format!("{bits:?}"), format!("{LAYERS:?}"), LAST.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let vectors = std::iter::once(&values.x).chain(values.diagonals.iter().flatten());
    let input: Vec<u8> = vectors.flatten().flat_map(|v| v.to_le_bytes()).collect();
    let mut stdin = child.stdin.take().expect("piped");
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("python ends");
    let fed = feed.join().expect("no panic");
    assert!(output.status.success() && fed.is_ok(), "the referee's script failed");
    let numbers: Vec<f64> = output.stdout.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
    assert_eq!(numbers.len(), STAGES.len() * values.x.len());
    numbers.chunks_exact(values.x.len()).map(<[f64]>::to_vec).collect()
}

/// Largest and root mean square error.
fn errors(got: &[f64], expected: &[f64]) -> (f64, f64) {
    let errors = got.iter().zip(expected).map(|(g, e)| (g - e).abs());
    let square: f64 = errors.clone().map(|e| e * e).sum();
    (errors.fold(0.0, f64::max), (square / expected.len() as f64).sqrt())
}

/// A Python with the referee, or none after a note.
fn python() -> Option<OsString> {
    let python = std::env::var_os("STRIAE_TEST_PYTHON").filter(|p| !p.is_empty());
    let has_referee =
        |p: &OsString| Command::new(p).args(["-c", "import tenseal"]).output().is_ok_and(|o| o.status.success());
    let found = python.filter(has_referee);
    if found.is_none() {
        let reason = "STRIAE_TEST_PYTHON names no Python that has TenSEAL";
        assert!(std::env::var_os("STRIAE_REQUIRE_REFEREE").is_none(), "{reason}");
        say(&format!("skipped: {reason}"));
    }
    found
}

#[expect(clippy::print_stderr, reason = "the errors are the record; and a skipped test has to say so")]
fn say(line: &str) {
    eprintln!("{line}");
}

#[test]
fn errors_are_those_of_seal() {
    let Some(python) = python() else { return };
    let values = Values::new();
    let (expected, ours, theirs) = (values.expected(), ours(&values), theirs(&python, &values));
    say("largest (root mean square) error of a slot       striae                 SEAL");
    for (((stage, expected), ours), theirs) in STAGES.iter().zip(&expected).zip(&ours).zip(&theirs) {
        let ((ours, our_rms), (theirs, their_rms)) = (errors(ours, expected), errors(theirs, expected));
        say(&format!("{stage:40} {ours:.2e} ({our_rms:.2e})    {theirs:.2e} ({their_rms:.2e})"));
        assert!(ours < BOUND && theirs < REFEREE_BOUND, "{stage}: {ours:e} and {theirs:e}");
        assert!(ours < FACTOR * theirs, "{stage}: {ours:e}, the referee's is {theirs:e}");
        assert!(our_rms < FACTOR * their_rms, "{stage}: {our_rms:e} on average, the referee's is {their_rms:e}");
    }
}
