//! The arithmetic and the memory traffic that each feature of a step amounts to.
//!
//! Everything is counted in operations on one limb of N words, as the evaluator performs them: with `L = level + 1` limbs of
//! Q, K special primes, `w = L + K` and `d = ceil(L / K)` digits, a decomposition takes L inverse transforms and
//! `d w - L` conversions with forward transforms, a product with a rotation key `d w` multiply-adds, and so on.

use crate::RingType;
use crate::step_work::{FEATURES, Feature, StepWork};

use super::primitive::Place;

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Unit {
    /// Calls.
    Call,
    /// Tables of transforms that a step reads, in limbs. They come from memory in large rings, where the step before has read
    /// more than caches hold since it used them.
    Table,
    /// Operands and terms that are looked up.
    Item,
    /// Inverse transforms.
    Inverse,
    /// Forward transforms.
    Forward,
    /// Multiply-adds of basis conversions.
    Convert,
    /// Multiply-adds of a digit and a key, both polynomials.
    Key,
    /// Key bytes read from memory, in words of N.
    KeyBytes,
    /// Permutations into place.
    Permute,
    /// Multiply-adds of a diagonal and an operand, both polynomials.
    Dot,
    /// Diagonal bytes read from memory, in words of N.
    DiagonalBytes,
    /// Sums of products that are put in order, both polynomials.
    Sum,
    /// Other operations that stream through memory.
    Point,
    /// Squares before relinearisation.
    Square,
    /// Rotated operands of linear steps that are put in order, both polynomials.
    Operand,
    /// Operands beyond those that caches hold well.
    Spill,
    /// Limbs of encoded diagonals, of encryptions and of decryptions.
    Encode,
    /// As above.
    Encrypt,
    /// As above.
    Decrypt,
}

impl Unit {
    /// Names in files, in order.
    pub const NAMES: [&'static str; UNITS] = [
        "call",
        "table",
        "item",
        "inverse",
        "forward",
        "convert",
        "key",
        "key_bytes",
        "permute",
        "dot",
        "diagonal_bytes",
        "sum",
        "point",
        "square",
        "operand",
        "spill",
        "encode",
        "encrypt",
        "decrypt",
    ];
}

/// Number of units.
pub const UNITS: usize = Unit::Decrypt as usize + 1;

/// How often each kind of work is done.
pub type Units = [f64; UNITS];

/// Units of every feature at a place, on some threads.
pub fn units(place: Place, threads: usize) -> [Units; FEATURES] {
    use Unit::{
        Call, Convert, DiagonalBytes, Dot, Forward, Inverse, Item, Key, KeyBytes, Operand, Permute, Point, Spill, Sum,
        Table,
    };
    let (l, k) = (place.ring.level as f64 + 1.0, place.ring.special as f64);
    let w = l + k;
    let d = (l / k).ceil();
    let kept = l - 1.0;
    // Of all limbs that run in parallel, those that the busiest thread has.
    let share = |limbs: f64| (limbs / threads as f64).ceil() / limbs;
    let (sw, sl, sq) = (share(w), share(l), 1.0 / threads as f64);
    let conversions = d * w - l;
    // Of a digit of several limbs, each a multiply-add and one to scale it; of one limb, a reduction.
    let converted = |from: f64, to: f64| to * if from > 1.0 { from + 1.0 } else { 1.0 };
    let full = (l / k).floor();
    let rest = l - full * k;
    let digits = full * converted(k, w - k) + if rest > 0.0 { converted(rest, w - rest) } else { 0.0 };
    let bytes = |limbs_q: f64, extended: bool| {
        let b = place.bytes;
        let q = f64::from(b.base) + (limbs_q - 1.0) * f64::from(b.scale);
        (q + if extended { k * f64::from(b.special) } else { 0.0 }) / 8.0
    };
    let key_bytes = 2.0 * d * bytes(l, true);
    let half = match place.ring.ring_type {
        RingType::Standard => 0.5,
        RingType::ConjugateInvariant => 1.0,
    };
    let mut all = [[0.0; UNITS]; FEATURES];
    let mut put = |feature: Feature, parts: &[(Unit, f64)]| {
        for (unit, amount) in parts {
            all[feature as usize][*unit as usize] += amount;
        }
    };
    put(Feature::Step, &[(Call, 1.0), (Table, w * sw)]);
    put(Feature::Input, &[(Item, 1.0), (Point, 2.0 * l * sl)]);
    let hoist = [(Item, 1.0), (Inverse, l * sl), (Forward, conversions * sw), (Convert, digits * sw)];
    put(Feature::Hoist, &hoist);
    put(
        Feature::Rotation,
        &[(Item, 1.0), (Key, d * w * sw), (Point, l * sw), (Permute, 2.0 * w * sw), (Operand, w * sw)],
    );
    put(Feature::RotationKey, &[(KeyBytes, key_bytes * sw)]);
    put(Feature::Unrotated, &[(Item, 1.0), (Permute, 2.0 * l * sl)]);
    put(Feature::RotatedTerm, &[(Item, 1.0), (Dot, w * sw), (DiagonalBytes, half * bytes(l, true) * sw)]);
    put(Feature::PlainTerm, &[(Item, 1.0), (Dot, l * sl), (DiagonalBytes, half * bytes(l, false) * sl)]);
    put(Feature::ExtendedSum, &[(Item, 1.0), (Sum, w * sw)]);
    put(Feature::PlainSum, &[(Item, 1.0), (Sum, l * sl)]);
    put(Feature::Accumulator, &[(Item, 1.0), (Point, 4.0 * w * sw)]);
    let switch = [(Item, 1.0), (Key, d * w * sw), (Point, w * sw), (Permute, 2.0 * w * sw)];
    for giant in [Feature::ExtendedGiant, Feature::PlainGiant] {
        put(giant, &hoist);
        put(giant, &switch);
    }
    let divided = [(Inverse, k * sq), (Forward, l * sl), (Convert, converted(k, l) * sl), (Point, l * sl)];
    put(Feature::ExtendedGiant, &divided);
    put(Feature::GiantKey, &[(KeyBytes, key_bytes * sw)]);
    let output = |dropped: f64| {
        [
            (Item, 1.0),
            (Inverse, 2.0 * dropped * sq),
            (Forward, 2.0 * kept * sq),
            (Convert, 2.0 * converted(dropped, kept) * sq),
            (Point, 2.0 * kept * sq),
        ]
    };
    put(Feature::ExtendedOutput, &output(k + 1.0));
    put(Feature::PlainOutput, &output(1.0));
    put(Feature::PlainAdd, &[(Item, 1.0), (Point, 3.0 * l * sq)]);
    put(Feature::Square, &[(Unit::Square, l * sl), (Point, 2.0 * l * sw)]);
    put(Feature::Square, &hoist);
    put(Feature::Square, &[(Key, d * w * sw)]);
    put(Feature::Square, &output(k + 1.0));
    put(Feature::SquareKey, &[(KeyBytes, key_bytes * sw)]);
    put(Feature::WindowSum, &hoist);
    let pair = [
        (Inverse, 2.0 * k * sq),
        (Forward, 2.0 * l * sq),
        (Convert, 2.0 * converted(k, l) * sq),
        (Point, 4.0 * l * sq + 2.0 * w * sq),
    ];
    put(Feature::WindowSum, &pair);
    put(
        Feature::WindowRotation,
        &[(Item, 1.0), (Key, d * w * sw), (Point, l * sw), (Permute, 2.0 * w * sw), (KeyBytes, key_bytes * sw)],
    );
    put(Feature::Copy, &[(Item, 1.0), (Point, 2.0 * l * sq)]);
    put(Feature::ManyOperands, &[(Spill, w * sw)]);
    put(Feature::Encode, &[(Unit::Encode, w + 2.0)]);
    put(Feature::Encrypt, &[(Unit::Encrypt, 3.0 * l + 2.0)]);
    put(Feature::Decrypt, &[(Unit::Decrypt, l + 2.0)]);
    all
}

/// Units of a whole step.
pub fn step_units(work: &StepWork, place: Place, threads: usize) -> Units {
    let per_feature = units(place, threads);
    let mut sum = [0.0; UNITS];
    for (count, units) in work.counts().iter().zip(&per_feature) {
        sum.iter_mut().zip(units).for_each(|(s, u)| *s += f64::from(*count) * u);
    }
    sum
}
