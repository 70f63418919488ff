//! Estimated errors bound measured ones, at every ring degree, and not by much; scales are equal to the last bit.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use striae_cost_model::{CkksParams, CkksParamsLiteral, KeyPlan, LinearPlan, RingType, Term};
use striae_he_eval::{ClearBackend, ClearCiphertext, HeBackend, HeClient, RnsBackend, Seed};

/// How far the bound, which fails once in a million, may be above the largest error of one run.
const LOOSE: f64 = 30.0;
const ROTATIONS: [u32; 6] = [1, 2, 5, 33, 64, 128];

fn params(log_n: u32, log_q: &[u32], log_p: &[u32], log_scale: u32) -> CkksParams {
    params_in(RingType::Standard, log_n, log_q, log_p, log_scale)
}

fn params_in(ring: RingType, log_n: u32, log_q: &[u32], log_p: &[u32], log_scale: u32) -> CkksParams {
    let (log_q, log_p) = (log_q.to_vec(), log_p.to_vec());
    CkksParamsLiteral { log_n, log_q, log_p, log_scale, ring, insecure: true }.try_into().unwrap()
}

/// Both roles of a backend, and randomness that is the same for every backend.
struct Rig<B: HeBackend> {
    client: B::Client,
    backend: B,
    rng: ChaCha8Rng,
}

impl<B: HeBackend> Rig<B> {
    fn new((client, backend): (B::Client, B)) -> Self {
        Self { client, backend, rng: ChaCha8Rng::seed_from_u64(11) }
    }

    fn vector(&mut self) -> Vec<f64> {
        (0..self.backend.params().slots()).map(|_| self.rng.random_range(-1.0..1.0)).collect()
    }

    fn scale(&self) -> f64 {
        f64::from(self.backend.params().log_scale()).exp2()
    }

    fn encrypt(&mut self, level: usize) -> B::Ciphertext {
        let (x, scale) = (self.vector(), self.scale());
        self.client.encrypt(&x, level, scale).unwrap()
    }

    /// A linear step with weights up to `size`, whose result is at the nominal scale again.
    fn linear(&mut self, plan: &LinearPlan, inputs: &[B::Ciphertext], size: f64) -> Vec<B::Ciphertext> {
        let diagonal = |_| self.vector().iter().map(|v| size * v).collect();
        let diagonals: Vec<Vec<f64>> = plan.terms.iter().map(diagonal).collect();
        let level = self.backend.level(&inputs[0]);
        let scale = self.scale() * self.backend.modulus(level) / self.backend.scale(&inputs[0]);
        let fill = |i: usize, slots: &mut [f64]| slots.copy_from_slice(&diagonals[i]);
        let weights = self.backend.encode_linear(plan, level, scale, &fill).unwrap();
        self.backend.linear(plan, &weights, inputs).unwrap()
    }
}

type Values<B> = Vec<(String, <B as HeBackend>::Ciphertext)>;

/// What runs on both backends.
trait Program {
    fn run<B: HeBackend>(&self, rig: &mut Rig<B>) -> Values<B>;
}

/// Runs a program encrypted and in the clear and compares values, scales and levels.
fn check(params: &CkksParams, program: &impl Program) {
    let keys = KeyPlan::up_to(params.max_level(), ROTATIONS);
    let mut clear = Rig::new(ClearBackend::with_errors(params, &keys).unwrap());
    let expected = program.run(&mut clear);
    let mut rns = Rig::new(RnsBackend::keygen(params, &keys, Seed::Fixed(3)).unwrap());
    let got = program.run(&mut rns);
    assert_eq!(got.len(), expected.len());
    for ((name, ct), (_, twin)) in got.iter().zip(&expected) {
        let (scale, level) = (rns.backend.scale(ct), rns.backend.level(ct));
        assert_eq!(scale.to_bits(), clear.backend.scale(twin).to_bits(), "{params}, {name}: scale");
        assert_eq!(level, clear.backend.level(twin), "{params}, {name}: level");
        let measured = difference(&rns.client.decrypt(ct).unwrap(), twin);
        let bound = twin.error().unwrap().bound();
        assert!(measured <= bound, "{params}, {name}: error {measured:e} above the bound {bound:e}");
        assert!(bound < LOOSE * measured, "{params}, {name}: bound {bound:e}, error only {measured:e}");
    }
}

fn difference(slots: &[f64], twin: &ClearCiphertext) -> f64 {
    slots.iter().zip(twin.slots()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Every operation alone.
struct Primitives;

impl Program for Primitives {
    fn run<B: HeBackend>(&self, rig: &mut Rig<B>) -> Values<B> {
        let top = rig.backend.params().max_level();
        let mut values = Vec::new();
        for level in [top, top / 2] {
            let (x, y, plain) = (rig.encrypt(level), rig.encrypt(level), rig.vector());
            let b = &rig.backend;
            let plain = b.encode(&plain, level, b.scale(&x)).unwrap();
            let mut push = |name: &str, ct| values.push((format!("{name} at level {level}"), ct));
            push("sum", b.add(&x, &y).unwrap());
            push("doubled", b.add(&x, &x).unwrap());
            push("sum with a vector", b.add_plain(&x, &plain).unwrap());
            push("lowered", b.drop_to_level(&x, level / 2).unwrap());
            push("read at another scale", b.with_scale(&x, 1.5 * b.scale(&x)).unwrap());
            push("rotated", b.rotate(&x, 33).unwrap());
            push("window", b.rotate_sum(&x, &[1, 2, 64]).unwrap());
            // Copies of a value have equal errors, which add up as the values do.
            let folded = b.rotate_add(&b.add(&x, &x).unwrap(), 5).unwrap();
            push("folded", b.add(&folded, &x).unwrap());
            if level > 0 {
                push("squared", b.square(&x).unwrap());
            }
            for (name, plan) in plans() {
                if level > 0 {
                    let outputs = rig.linear(&plan, &[x.clone(), y.clone()], 1.0);
                    values.extend(outputs.into_iter().map(|ct| (format!("{name} at level {level}"), ct)));
                }
            }
            values.push((format!("encrypted at level {level}"), x));
        }
        values
    }
}

/// Linear plans with two inputs and outputs: without rotations, hoisted ones, giant steps on both kinds of sums, folds.
fn plans() -> Vec<(&'static str, LinearPlan)> {
    let plan = |babies: [&[u32]; 2], giants: &[u32], folds: &[u32]| {
        let mut terms = Vec::new();
        for (output, giant) in (0..2).flat_map(|o| (0..giants.len() as u16).map(move |g| (o, g))) {
            for input in 0..2 {
                let of_input = 0..babies[input as usize].len() as u16;
                terms.extend(of_input.map(|baby| Term { output, giant, input, baby }));
            }
        }
        let babies = babies.iter().map(|b| b.to_vec()).collect();
        LinearPlan { inputs: 2, outputs: 2, babies, giants: giants.to_vec(), terms, folds: folds.to_vec() }
    };
    vec![
        ("products", plan([&[0], &[0]], &[0], &[])),
        ("hoisted", plan([&[0, 1, 2, 64], &[2, 33]], &[0], &[])),
        ("giant steps", plan([&[0], &[0]], &[0, 64, 128], &[])),
        ("baby and giant steps with folds", plan([&[0, 1, 2], &[0, 1]], &[0, 33], &[64, 1])),
    ]
}

/// Convolutions, squares and a pooling, whose errors are all correlated with each other.
struct SmallCircuit;

impl Program for SmallCircuit {
    fn run<B: HeBackend>(&self, rig: &mut Rig<B>) -> Values<B> {
        let plan = &plans()[1].1;
        let top = rig.backend.params().max_level();
        let mut x = vec![rig.encrypt(top), rig.encrypt(top)];
        let mut values = Vec::new();
        while rig.backend.level(&x[0]) >= 2 {
            let level = rig.backend.level(&x[0]);
            let mixed = rig.linear(plan, &x, 0.2);
            values.push((format!("linear at level {level}"), mixed[0].clone()));
            x = mixed.iter().map(|ct| rig.backend.square(ct).unwrap()).collect();
            values.push((format!("square at level {}", level - 1), x[1].clone()));
            x = x.iter().map(|ct| rig.backend.rotate_sum(ct, &[1, 2]).unwrap()).collect();
            values.push((format!("window at level {}", level - 2), x[0].clone()));
            // Residual: the sum of a value and a function of it.
            let sum = rig.backend.add(&x[0], &x[1]).unwrap();
            x[0] = rig.backend.rotate_add(&sum, 64).unwrap();
            values.push((format!("residual at level {}", level - 2), x[0].clone()));
        }
        values
    }
}

#[test]
fn every_operation_at_every_ring_degree() {
    for log_n in 11..=16 {
        check(&params(log_n, &[50, 40, 40], &[50], 40), &Primitives);
    }
}

#[test]
fn several_special_primes_and_small_scales() {
    // Digits of two and three primes, the last one shorter; scales down to 30 bits.
    check(&params(12, &[50, 35, 35, 35, 35], &[50, 50], 35), &Primitives);
    check(&params(13, &[45, 30, 30, 30], &[46], 30), &Primitives);
    check(&params(12, &[50, 45, 45, 45], &[50, 50, 50], 45), &Primitives);
}

#[test]
fn the_conjugate_invariant_ring() {
    let real = |log_n, log_p: &[u32]| params_in(RingType::ConjugateInvariant, log_n, &[50, 40, 40, 40, 40], log_p, 40);
    for log_n in [11, 14] {
        check(&real(log_n, &[50]), &Primitives);
        check(&real(log_n, &[50, 50]), &SmallCircuit);
    }
}

#[test]
fn circuits_at_every_ring_degree() {
    for log_n in 11..=16 {
        check(&params(log_n, &[50, 40, 40, 40, 40], &[50, 50], 40), &SmallCircuit);
    }
    check(&params(13, &[45, 32, 32, 32, 32, 32, 32], &[46], 32), &SmallCircuit);
}
