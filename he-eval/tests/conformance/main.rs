//! One suite for every backend: results against plain arithmetic, refusals, and operation counts.

mod cases;
mod refusals;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use striae_cost_model::{CkksParams, CkksParamsLiteral, KeyPlan, LinearPlan, OpCounts, RingType, Term};
use striae_he_eval::{ClearBackend, HeBackend, HeClient, HeError, RnsBackend, Seed, Simd};

use cases::{Additions, Deep, RandomLinear, Rotations};
use refusals::Refusals;

/// Largest error of a slot of size about 1.
const TOLERANCE: f64 = 1.0 / 65_536.0;

/// Both roles of a backend, and randomness for the case.
struct Rig<B: HeBackend> {
    client: B::Client,
    backend: B,
    rng: ChaCha8Rng,
}

/// What a case computed and what it should have.
type Outcome = Vec<(Vec<f64>, Vec<f64>)>;

impl<B: HeBackend> Rig<B> {
    fn slots(&self) -> usize {
        self.backend.params().slots()
    }

    fn scale(&self) -> f64 {
        2f64.powi(self.backend.params().log_scale() as i32)
    }

    fn vector(&mut self) -> Vec<f64> {
        (0..self.slots()).map(|_| self.rng.random_range(-1.0..1.0)).collect()
    }

    fn encrypt(&self, x: &[f64], level: usize) -> B::Ciphertext {
        self.client.encrypt(x, level, self.scale()).unwrap()
    }

    fn top(&self) -> usize {
        self.backend.params().max_level()
    }

    fn check(&self, outcome: &mut Outcome, ct: &B::Ciphertext, expected: Vec<f64>) {
        outcome.push((self.client.decrypt(ct).unwrap(), expected));
    }
}

/// A case that runs on any backend.
trait Case {
    fn rotations(&self, slots: usize) -> Vec<u32>;
    fn run<B: HeBackend>(&self, rig: &mut Rig<B>) -> Outcome;
}

/// Small rings are far from secure with these chains; the arithmetic does not care.
fn params(log_n: u32, log_q: &[u32], log_p: &[u32], log_scale: u32) -> CkksParams {
    params_in(RingType::Standard, log_n, log_q, log_p, log_scale)
}

fn params_in(ring: RingType, log_n: u32, log_q: &[u32], log_p: &[u32], log_scale: u32) -> CkksParams {
    let (log_q, log_p) = (log_q.to_vec(), log_p.to_vec());
    CkksParamsLiteral { log_n, log_q, log_p, log_scale, ring, insecure: true }.try_into().unwrap()
}

/// The same chain with N real slots.
fn real(params: &CkksParams) -> CkksParams {
    params_in(RingType::ConjugateInvariant, params.log_n(), params.log_q(), params.log_p(), params.log_scale())
}

fn shallow(log_n: u32) -> CkksParams {
    params(log_n, &[50, 40, 40], &[50], 40)
}

fn run_on<B: HeBackend>(keys: (B::Client, B), case: &impl Case) -> (Outcome, OpCounts) {
    let mut rig = Rig { client: keys.0, backend: keys.1, rng: ChaCha8Rng::seed_from_u64(7) };
    let outcome = case.run(&mut rig);
    (outcome, rig.backend.counts())
}

fn assert_close(backend: &str, outcome: &Outcome, tolerance: f64) {
    for (k, (got, expected)) in outcome.iter().enumerate() {
        assert_eq!(got.len(), expected.len());
        let worst = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < tolerance, "{backend}, result {k}: error {worst:e}");
    }
}

fn all_levels(params: &CkksParams, rotations: &[u32]) -> KeyPlan {
    KeyPlan::up_to(params.max_level(), rotations.iter().copied())
}

/// Runs a case on the simulator and on RNS-CKKS with all kinds of kernels.
fn conform(params: &CkksParams, case: &impl Case) {
    conform_within(TOLERANCE, params, case);
}

/// The same with another bound on errors.
fn conform_within(tolerance: f64, params: &CkksParams, case: &impl Case) {
    let keys = all_levels(params, &case.rotations(params.slots()));
    let (outcome, counts) = run_on(ClearBackend::keygen(params, &keys, Seed::Fixed(1)).unwrap(), case);
    assert_close("clear", &outcome, tolerance);
    for simd in Simd::available() {
        let keys = RnsBackend::keygen_with(params, &keys, Seed::Fixed(1), simd).unwrap();
        let (outcome, executed) = run_on(keys, case);
        assert_close(simd.name(), &outcome, tolerance);
        assert_eq!(executed, counts, "operation counts of {} and of the simulator", simd.name());
    }
}

fn rotated(x: &[f64], r: u32) -> Vec<f64> {
    let mut x = x.to_vec();
    x.rotate_left(r as usize);
    x
}

fn zip(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}

#[test]
fn additions() {
    conform(&shallow(12), &Additions);
    conform(&params(13, &[50, 35, 35, 35], &[50], 35), &Additions);
    conform(&real(&shallow(12)), &Additions);
}

#[test]
fn rotations() {
    conform(&shallow(12), &Rotations);
    conform(&params(12, &[50, 40, 40, 40], &[50, 50], 40), &Rotations);
    conform(&shallow(13), &Rotations);
    conform(&real(&shallow(11)), &Rotations);
    conform(&real(&params(12, &[50, 40, 40, 40], &[50, 50], 40)), &Rotations);
}

#[test]
fn linear_plans() {
    // Two special primes on a chain of five, so that the last digit is shorter than the others.
    let grouped = params(12, &[50, 40, 40, 40, 40], &[50, 50], 40);
    let small = shallow(12);
    for seed in 0..12 {
        let case = RandomLinear { seed, babies: seed % 4 != 3, giants: seed % 2 == 1, folds: seed % 3 == 2 };
        let params = if seed % 2 == 0 { &grouped } else { &small };
        conform(params, &case);
        conform(&real(params), &case);
    }
    conform(&shallow(13), &RandomLinear { seed: 99, babies: true, giants: true, folds: true });
}

#[test]
fn deep_circuits() {
    conform(&params(12, &[50, 40, 40, 40, 40, 40, 40], &[50, 50], 40), &Deep);
    conform(&params(13, &[50, 40, 40, 40, 40], &[50], 40), &Deep);
    conform(&real(&params(12, &[50, 40, 40, 40, 40, 40, 40], &[50, 50], 40)), &Deep);
}

#[test]
fn wide_and_mixed_chains() {
    let wide = params(12, &[60, 60, 60], &[61], 55);
    // Digits of two limbs, one of them wide, and a division by wide primes and a narrow one together.
    let mixed = params(12, &[60, 50, 50, 50], &[60, 60], 50);
    for chain in [&wide, &mixed] {
        conform(chain, &Additions);
        conform(chain, &Rotations);
        conform(chain, &Deep);
        conform(chain, &Refusals);
        for seed in 0..4 {
            conform(chain, &RandomLinear { seed, babies: true, giants: seed % 2 == 1, folds: seed > 1 });
        }
    }
}

#[test]
fn wide_special_primes_keep_the_precision_of_a_50_bit_scale() {
    for special in [60, 61] {
        conform_within(1e-11, &params(12, &[60, 50, 50, 50, 50], &[special], 50), &Deep);
    }
}

#[test]
fn refusals() {
    conform(&shallow(12), &Refusals);
    conform(&real(&shallow(12)), &Refusals);
}

#[test]
fn large_rings() {
    conform(&params(14, &[50, 40, 40, 40, 40], &[50, 50], 40), &Deep);
    conform(&real(&params(15, &[50, 40, 40], &[50, 50], 40)), &Deep);
    conform(
        &params(15, &[50, 40, 40], &[50, 50, 50], 40),
        &RandomLinear { seed: 5, babies: true, giants: true, folds: true },
    );
}

#[test]
fn the_simulator_refuses_what_overflows() {
    let params = shallow(12);
    let (client, backend) = ClearBackend::keygen(&params, &all_levels(&params, &[]), Seed::Entropy).unwrap();
    let scale = 2f64.powi(40);
    let ct = client.encrypt(&vec![100.0; params.slots()], 1, scale).unwrap();
    let squared = backend.square(&ct);
    assert!(matches!(squared, Err(HeError::TooLarge { op: "square", level: 0, .. })), "{squared:?}");
}

#[test]
fn decryption_refuses_what_overflowed_and_what_another_key_encrypted() {
    let params = shallow(12);
    let (client, backend) = RnsBackend::keygen(&params, &all_levels(&params, &[]), Seed::Fixed(1)).unwrap();
    let (other, _) = RnsBackend::keygen(&params, &all_levels(&params, &[]), Seed::Fixed(2)).unwrap();
    let scale = 2f64.powi(40);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let x: Vec<f64> = (0..params.slots()).map(|_| rng.random_range(-3e3..3e3)).collect();
    let ct = client.encrypt(&x, 1, scale).unwrap();
    assert!(client.decrypt(&ct).is_ok());
    assert!(matches!(other.decrypt(&ct), Err(HeError::Overflow { level: 1, .. })));
    let squared = client.decrypt(&backend.square(&ct).unwrap());
    assert!(matches!(squared, Err(HeError::Overflow { level: 0, log_value, log_q }) if log_value > log_q - 1.1));
}

#[test]
fn a_chain_beyond_double_precision_decrypts() {
    let log_q: Vec<u32> = std::iter::once(50).chain(std::iter::repeat_n(45, 22)).collect();
    let params = params(11, &log_q, &[50, 50, 50], 45);
    let (client, _) = RnsBackend::keygen(&params, &all_levels(&params, &[]), Seed::Fixed(1)).unwrap();
    let x = vec![0.75; params.slots()];
    let back = client.decrypt(&client.encrypt(&x, 22, 2f64.powi(45)).unwrap()).unwrap();
    assert_close("long chain", &vec![(back, x)], TOLERANCE);
}

#[test]
fn the_public_key_encrypts_for_the_client() {
    for params in [shallow(12), real(&shallow(12))] {
        let (client, backend) = RnsBackend::keygen(&params, &all_levels(&params, &[3]), Seed::Entropy).unwrap();
        let x: Vec<f64> = (0..params.slots()).map(|i| (i as f64).sin()).collect();
        let ct = client.public_key().encrypt(&x, 2, 2f64.powi(40)).unwrap();
        assert_close("public key", &vec![(client.decrypt(&ct).unwrap(), x.clone())], TOLERANCE);
        let turned = backend.rotate(&ct, 3).unwrap();
        assert_close("public key", &vec![(client.decrypt(&turned).unwrap(), rotated(&x, 3))], TOLERANCE);
    }
}

#[test]
fn equal_seeds_give_equal_results_at_any_number_of_threads() {
    let params = params(12, &[50, 40, 40, 40], &[50, 50], 40);
    let case = RandomLinear { seed: 3, babies: true, giants: true, folds: true };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let keys = all_levels(&params, &case.rotations(params.slots()));
            run_on(RnsBackend::keygen(&params, &keys, Seed::Fixed(5)).unwrap(), &case).0
        })
    };
    assert!(run(1) == run(3));
}

#[test]
fn keys_are_exactly_those_planned() {
    let params = params(12, &[50, 40, 40, 40, 40], &[50, 50], 40);
    let plan = KeyPlan::new(Some(3), vec![(5, 2), (0, 4), (1, 4), (5, 1)]);
    let (client, backend) = RnsBackend::keygen(&params, &plan, Seed::Entropy).unwrap();
    let kept = backend.key_plan();
    assert_eq!((kept.square, &*kept.rotations), (Some(3), &[(1, 4), (5, 2)][..]));
    assert_eq!(backend.key_bytes() as u64, plan.levels().map(|level| params.key_bytes(level)).sum::<u64>());
    assert!(params.key_bytes(2) * 20 < params.key_bytes(4) * 11, "two digits of three, five limbs of seven");
    // A trimmed key serves its level and those below, and refuses those above.
    let x: Vec<f64> = (0..params.slots()).map(|i| (i as f64).sin()).collect();
    for level in 0..=params.max_level() {
        let ct = client.encrypt(&x, level, 2f64.powi(40)).unwrap();
        match backend.rotate(&ct, 5) {
            Ok(turned) if level <= 2 => {
                assert_close("trimmed", &vec![(client.decrypt(&turned).unwrap(), rotated(&x, 5))], TOLERANCE);
            }
            other => assert_eq!(other.err(), Some(HeError::KeyLevel { key: "rotation", level, max: 2 })),
        }
        let squared = backend.square(&ct);
        match level {
            0 => assert!(matches!(squared, Err(HeError::LevelExhausted { .. }))),
            4 => assert_eq!(squared.err(), Some(HeError::KeyLevel { key: "relinearisation", level, max: 3 })),
            _ => {
                let expected = x.iter().map(|v| v * v).collect();
                assert_close("trimmed", &vec![(client.decrypt(&squared.unwrap()).unwrap(), expected)], TOLERANCE);
            }
        }
    }
    for (rotation, level, error) in [
        (2048, 1, HeError::RotationRange { rotation: 2048, slots: 2048 }),
        (1, 5, HeError::LevelTooHigh { op: "keygen", level: 5, max: 4 }),
    ] {
        let plan = KeyPlan::new(None, vec![(rotation, level)]);
        assert_eq!(RnsBackend::keygen(&params, &plan, Seed::Entropy).err(), Some(error));
    }
}
