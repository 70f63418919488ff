//! One suite for every backend: results against plain arithmetic, refusals, and operation counts.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use striae_cost_model::{CkksParams, CkksParamsLiteral, KeyPlan, LinearPlan, OpCounts, RingType, Term};
use striae_he_eval::{ClearBackend, HeBackend, HeClient, HeError, RnsBackend, Seed, Simd};

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

/// Encryption, additions and changes of level.
struct Additions;

impl Case for Additions {
    fn rotations(&self, _slots: usize) -> Vec<u32> {
        Vec::new()
    }

    fn run<B: HeBackend>(&self, rig: &mut Rig<B>) -> Outcome {
        let mut outcome = Outcome::new();
        let (x, y) = (rig.vector(), rig.vector());
        for level in 0..=rig.top() {
            let (cx, cy) = (rig.encrypt(&x, level), rig.encrypt(&y, level));
            rig.check(&mut outcome, &cx, x.clone());
            let sum = rig.backend.add(&cx, &cy).unwrap();
            assert_eq!((rig.backend.level(&sum), rig.backend.scale(&sum)), (level, rig.scale()));
            rig.check(&mut outcome, &sum, zip(&x, &y, |a, b| a + b));
            let plain = rig.backend.encode(&y, level, rig.scale()).unwrap();
            let sum = rig.backend.add_plain(&cx, &plain).unwrap();
            rig.check(&mut outcome, &sum, zip(&x, &y, |a, b| a + b));
            let lower = rig.backend.drop_to_level(&cx, level / 2).unwrap();
            assert_eq!(rig.backend.level(&lower), level / 2);
            rig.check(&mut outcome, &lower, x.clone());
            let half = rig.backend.with_scale(&cx, 2.0 * rig.scale()).unwrap();
            rig.check(&mut outcome, &half, x.iter().map(|v| v / 2.0).collect());
        }
        let large = vec![-3e6; rig.slots()];
        let top = rig.encrypt(&large, rig.top());
        assert!(zip(&rig.client.decrypt(&top).unwrap(), &large, |a, b| (a - b).abs()).iter().all(|e| *e < 1e-2));
        outcome
    }
}

/// Every kind of rotation, at every level.
struct Rotations;

impl Case for Rotations {
    fn rotations(&self, slots: usize) -> Vec<u32> {
        let s = slots as u32;
        vec![1, 2, 3, 5, 31, 64, 100, s / 2 - 1, s / 2, s - 64, s - 3, s - 1]
    }

    fn run<B: HeBackend>(&self, rig: &mut Rig<B>) -> Outcome {
        let mut outcome = Outcome::new();
        let x = rig.vector();
        for level in 0..=rig.top() {
            let ct = rig.encrypt(&x, level);
            for r in self.rotations(rig.slots()).into_iter().chain([0]) {
                let turned = rig.backend.rotate(&ct, r).unwrap();
                rig.check(&mut outcome, &turned, rotated(&x, r));
            }
            let added = rig.backend.rotate_add(&ct, 64).unwrap();
            rig.check(&mut outcome, &added, zip(&x, &rotated(&x, 64), |a, b| a + b));
            let window = rig.backend.rotate_sum(&ct, &[1, 5, 31]).unwrap();
            let expected = [1, 5, 31].iter().fold(x.clone(), |sum, &r| zip(&sum, &rotated(&x, r), |a, b| a + b));
            rig.check(&mut outcome, &window, expected);
        }
        outcome
    }
}

/// A random block-sparse plan.
struct RandomLinear {
    seed: u64,
    /// Whether inputs are rotated at all.
    babies: bool,
    giants: bool,
    folds: bool,
}

const STEPS: [u32; 6] = [1, 2, 33, 64, 700, 2047];

impl RandomLinear {
    fn plan(&self, slots: usize) -> LinearPlan {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let (inputs, outputs) = (rng.random_range(1..4usize), rng.random_range(1..4usize));
        let mut pick = |wanted: bool, least: usize| {
            let mut picked: Vec<u32> =
                STEPS.iter().map(|&r| r % slots as u32).filter(|_| wanted && rng.random_bool(0.5)).collect();
            if picked.len() < least || rng.random_bool(0.7) {
                picked.push(0);
            }
            picked.sort_unstable();
            picked
        };
        let mut babies: Vec<Vec<u32>> = (0..inputs).map(|_| pick(self.babies, 1)).collect();
        let giants = pick(self.giants, 1);
        let folds = if self.folds { vec![64, 1] } else { Vec::new() };
        let mut terms = Vec::new();
        for output in 0..outputs as u16 {
            let before = terms.len();
            for giant in 0..giants.len() as u16 {
                for (input, babies) in babies.iter().enumerate() {
                    let of_input = (0..babies.len() as u16).filter(|_| rng.random_bool(0.6));
                    terms.extend(of_input.map(|baby| Term { output, giant, input: input as u16, baby }));
                }
            }
            if terms.len() == before {
                terms.push(Term { output, giant: 0, input: 0, baby: 0 });
            }
        }
        // A plan lists only the rotations that its terms need.
        let used = |terms: &[Term], i: usize, b: usize| terms.iter().any(|t| (t.input, t.baby) == (i as u16, b as u16));
        for (i, babies) in babies.iter_mut().enumerate() {
            for b in (0..babies.len()).rev().filter(|&b| b > 0 || babies.len() > 1).collect::<Vec<_>>() {
                if !used(&terms, i, b) {
                    babies.remove(b);
                    terms.iter_mut().filter(|t| t.input == i as u16 && t.baby > b as u16).for_each(|t| t.baby -= 1);
                }
            }
        }
        LinearPlan { inputs, outputs, babies, giants, terms, folds }
    }

    /// The definition in `LinearPlan`'s docs, word by word.
    fn expected(plan: &LinearPlan, diagonals: &[Vec<f64>], x: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut out = vec![vec![0.0; x[0].len()]; plan.outputs];
        for (t, diagonal) in plan.terms.iter().zip(diagonals) {
            let baby = plan.babies[t.input as usize][t.baby as usize];
            let product = zip(&rotated(&x[t.input as usize], baby), diagonal, |a, b| a * b);
            let turned = rotated(&product, plan.giants[t.giant as usize]);
            out[t.output as usize] = zip(&out[t.output as usize], &turned, |a, b| a + b);
        }
        for fold in &plan.folds {
            for o in &mut out {
                *o = zip(o, &rotated(o, *fold), |a, b| a + b);
            }
        }
        out
    }
}

impl Case for RandomLinear {
    fn rotations(&self, slots: usize) -> Vec<u32> {
        self.plan(slots).rotations().collect()
    }

    fn run<B: HeBackend>(&self, rig: &mut Rig<B>) -> Outcome {
        let plan = self.plan(rig.slots());
        let diagonals: Vec<Vec<f64>> = plan.terms.iter().map(|_| rig.vector()).collect();
        let x: Vec<Vec<f64>> = (0..plan.inputs).map(|_| rig.vector()).collect();
        let expected = Self::expected(&plan, &diagonals, &x);
        let mut outcome = Outcome::new();
        let fill = |i: usize, slots: &mut [f64]| slots.copy_from_slice(&diagonals[i]);
        for level in [1, rig.top()] {
            let plain_scale = rig.scale() / 4.0;
            let weights = rig.backend.encode_linear(&plan, level, plain_scale, &fill).unwrap();
            let inputs: Vec<B::Ciphertext> = x.iter().map(|x| rig.encrypt(x, level)).collect();
            rig.backend.reset_counts();
            let out = rig.backend.linear(&plan, &weights, &inputs).unwrap();
            assert_eq!(rig.backend.counts(), plan.counts(), "executed and planned");
            let scale = rig.scale() * plain_scale / rig.backend.modulus(level);
            for (ct, expected) in out.iter().zip(&expected) {
                assert_eq!(rig.backend.level(ct), level - 1);
                assert!((rig.backend.scale(ct) / scale - 1.0).abs() < 1e-12);
                rig.check(&mut outcome, ct, expected.clone());
            }
        }
        outcome
    }
}

/// Squares and convolutions in turn down to level 0, with a residual addition.
struct Deep;

impl Deep {
    fn plan() -> LinearPlan {
        let term = |baby| Term { output: 0, giant: 0, input: 0, baby };
        LinearPlan {
            inputs: 1,
            outputs: 1,
            babies: vec![vec![0, 1, 64]],
            giants: vec![0],
            terms: vec![term(0), term(1), term(2)],
            folds: vec![],
        }
    }
}

impl Case for Deep {
    fn rotations(&self, _slots: usize) -> Vec<u32> {
        vec![1, 64]
    }

    fn run<B: HeBackend>(&self, rig: &mut Rig<B>) -> Outcome {
        let plan = Self::plan();
        let mut x = rig.vector();
        let mut ct = rig.encrypt(&x, rig.top());
        let taps = [0.5, -0.25, 0.25];
        let mut outcome = Outcome::new();
        while rig.backend.level(&ct) > 0 {
            let level = rig.backend.level(&ct);
            if level.is_multiple_of(2) {
                ct = rig.backend.square(&ct).unwrap();
                x = zip(&x, &x, |a, b| a * b);
                continue;
            }
            // The plain scale brings the result back to the nominal scale whatever the input's has become.
            let plain_scale = rig.scale() * rig.backend.modulus(level) / rig.backend.scale(&ct);
            let fill = |i: usize, slots: &mut [f64]| slots.fill(taps[i]);
            let weights = rig.backend.encode_linear(&plan, level, plain_scale, &fill).unwrap();
            let out = rig.backend.linear(&plan, &weights, std::slice::from_ref(&ct)).unwrap().remove(0);
            let moved = [x.clone(), rotated(&x, 1), rotated(&x, 64)];
            let y = (0..x.len()).map(|j| (0..3).map(|k| taps[k] * moved[k][j]).sum()).collect::<Vec<f64>>();
            let shortcut = rig.encrypt(&x, level - 1);
            ct = rig.backend.add(&out, &shortcut).unwrap();
            x = zip(&x, &y, |a, b| a + b);
            rig.check(&mut outcome, &ct, x.clone());
        }
        rig.check(&mut outcome, &ct, x);
        outcome
    }
}

/// Everything a backend has to refuse.
struct Refusals;

impl Case for Refusals {
    fn rotations(&self, _slots: usize) -> Vec<u32> {
        vec![1]
    }

    fn run<B: HeBackend>(&self, rig: &mut Rig<B>) -> Outcome {
        let (b, scale, slots) = (&rig.backend, rig.scale(), rig.slots());
        let x = vec![0.5; slots];
        let top = rig.top();
        let ct = rig.encrypt(&x, top);
        let low = rig.encrypt(&x, 0);
        let other = rig.client.encrypt(&x, top, scale * 1.001).unwrap();
        let close = rig.client.encrypt(&x, top, scale * (1.0 + 1e-8)).unwrap();
        assert!(b.add(&ct, &close).is_ok());
        assert!(matches!(b.add(&ct, &low), Err(HeError::LevelMismatch { op: "add", .. })));
        assert!(matches!(b.add(&ct, &other), Err(HeError::ScaleMismatch { op: "add", .. })));
        let plain = b.encode(&x, 0, scale).unwrap();
        assert!(matches!(b.add_plain(&ct, &plain), Err(HeError::LevelMismatch { op: "add_plain", .. })));
        let plain = b.encode(&x, top, scale * 2.0).unwrap();
        assert!(matches!(b.add_plain(&ct, &plain), Err(HeError::ScaleMismatch { op: "add_plain", .. })));
        assert!(matches!(b.square(&low), Err(HeError::LevelExhausted { op: "square" })));
        assert!(matches!(b.rotate(&ct, 2), Err(HeError::MissingRotationKey { rotation: 2 })));
        assert!(matches!(b.rotate_add(&ct, 2), Err(HeError::MissingRotationKey { rotation: 2 })));
        assert!(matches!(b.rotate_sum(&ct, &[1, 2]), Err(HeError::MissingRotationKey { rotation: 2 })));
        assert!(matches!(b.rotate(&ct, slots as u32), Err(HeError::RotationRange { .. })));
        assert!(matches!(b.drop_to_level(&low, 1), Err(HeError::LevelTooHigh { .. })));
        assert!(matches!(b.with_scale(&ct, 0.0), Err(HeError::BadScale { .. })));
        refuse_vectors(rig);
        refuse_plans(rig, &ct, &low, &other);
        Outcome::new()
    }
}

type Refusal<'a> = &'a dyn Fn(&[f64], usize, f64) -> Option<HeError>;

fn refuse_vectors<B: HeBackend>(rig: &Rig<B>) {
    let (scale, slots, top) = (rig.scale(), rig.slots(), rig.top());
    let encrypt = |x: &[f64], level, scale| rig.client.encrypt(x, level, scale).err();
    let encode = |x: &[f64], level, scale| rig.backend.encode(x, level, scale).err();
    for refusal in [&encrypt as Refusal<'_>, &encode] {
        let mut x = vec![0.5; slots];
        assert!(matches!(refusal(&x[1..], top, scale), Some(HeError::Length { .. })));
        assert!(matches!(refusal(&x, top + 1, scale), Some(HeError::LevelTooHigh { .. })));
        assert!(matches!(refusal(&x, top, f64::INFINITY), Some(HeError::BadScale { .. })));
        assert!(matches!(refusal(&x, top, -scale), Some(HeError::BadScale { .. })));
        x[3] = 600.0;
        assert!(matches!(refusal(&x, 0, scale), Some(HeError::TooLarge { level: 0, .. })));
        assert!(refusal(&x, 1, scale).is_none());
        x[3] = f64::NAN;
        assert!(matches!(refusal(&x, top, scale), Some(HeError::NotFinite { slot: 3, .. })));
        x[3] = f64::NEG_INFINITY;
        assert!(matches!(refusal(&x, top, scale), Some(HeError::NotFinite { slot: 3, .. })));
    }
}

fn refuse_plans<B: HeBackend>(rig: &Rig<B>, ct: &B::Ciphertext, low: &B::Ciphertext, other: &B::Ciphertext) {
    let (b, scale, top) = (&rig.backend, rig.scale(), rig.top());
    let fill = |_: usize, slots: &mut [f64]| slots.fill(0.5);
    let term = |input, baby| Term { output: 0, giant: 0, input, baby };
    let plan = LinearPlan {
        inputs: 2,
        outputs: 1,
        babies: vec![vec![0, 1], vec![0]],
        giants: vec![0],
        terms: vec![term(0, 1), term(1, 0)],
        folds: vec![],
    };
    let weights = b.encode_linear(&plan, top, scale, &fill).unwrap();
    let linear = |plan: &LinearPlan, inputs: &[&B::Ciphertext]| {
        let inputs: Vec<B::Ciphertext> = inputs.iter().map(|&c| c.clone()).collect();
        b.linear(plan, &weights, &inputs).err()
    };
    assert!(linear(&plan, &[ct, ct]).is_none());
    assert!(matches!(linear(&plan, &[ct]), Some(HeError::Length { got: 1, expected: 2, .. })));
    assert!(matches!(linear(&plan, &[ct, low]), Some(HeError::LevelMismatch { op: "linear", .. })));
    assert!(matches!(linear(&plan, &[ct, other]), Some(HeError::ScaleMismatch { op: "linear", .. })));
    let without_keys = [
        (LinearPlan { babies: vec![vec![0, 2], vec![0]], ..plan.clone() }, 2),
        (LinearPlan { giants: vec![7], ..plan.clone() }, 7),
        (LinearPlan { folds: vec![9], ..plan.clone() }, 9),
    ];
    for (plan, rotation) in without_keys {
        let weights = b.encode_linear(&plan, top, scale, &fill).unwrap();
        let refused = b.linear(&plan, &weights, &[ct.clone(), ct.clone()]).err();
        assert_eq!(refused, Some(HeError::MissingRotationKey { rotation }));
        assert_eq!(linear(&plan, &[ct, ct]), Some(HeError::PlanMismatch));
    }
    let exhausted = b.encode_linear(&plan, 0, 4.0, &fill).unwrap();
    let inputs = [low.clone(), low.clone()];
    assert!(matches!(b.linear(&plan, &exhausted, &inputs), Err(HeError::LevelExhausted { op: "linear" })));
    let nan = |_: usize, slots: &mut [f64]| slots[5] = f64::NAN;
    assert!(matches!(b.encode_linear(&plan, top, scale, &nan), Err(HeError::NotFinite { slot: 5, .. })));
    let broken = LinearPlan { terms: vec![term(2, 0)], ..plan };
    assert!(matches!(b.encode_linear(&broken, top, scale, &fill), Err(HeError::BadPlan { field: "input", .. })));
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
