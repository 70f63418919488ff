//! What runs on every backend: operations, linear plans, circuits.

use super::*;

/// Encryption, additions and changes of level.
pub(super) struct Additions;

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
pub(super) struct Rotations;

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
pub(super) struct RandomLinear {
    pub(super) seed: u64,
    /// Whether inputs are rotated at all.
    pub(super) babies: bool,
    pub(super) giants: bool,
    pub(super) folds: bool,
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
pub(super) struct Deep;

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
