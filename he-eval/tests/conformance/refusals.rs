//! What every backend has to refuse.

use super::*;

/// Everything a backend has to refuse.
pub(super) struct Refusals;

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
