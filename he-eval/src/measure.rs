//! Measurement of the primitives, for calibration.
//!
//! Each round times every primitive once, in random order, so that a machine that slows down or speeds up touches all of
//! them alike; the figures are medians over rounds with their 10th and 90th percentiles.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use striae_cost_model::CkksParams;
use striae_cost_model::calibration::{Primitive, Ring, Sample};

use crate::HeError;
use crate::rns::Probe;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrimitiveOp {
    /// Digit decomposition of a ciphertext, every limb of QP.
    Hoist,
    /// Multiplication of a decomposition by a rotation key and the permutation, in QP.
    RotationHoisted,
    /// Rotation of a partial sum: division of one polynomial by P, decomposition, key, permutation.
    GiantStep,
    /// Rotation of a ciphertext on its own.
    RotationFull,
    /// Multiply-accumulate of a diagonal in Q that is in cache.
    PlainMultWarm,
    /// The same with diagonals streamed from memory.
    PlainMult,
    /// Multiply-accumulate of a diagonal in QP that is in cache.
    PlainMultExtendedWarm,
    /// The same with diagonals streamed from memory.
    PlainMultExtended,
    /// Division of a polynomial pair by P.
    ModDown,
    /// Division of a polynomial pair by P and the last ciphertext prime in one step.
    ModDownRescale,
    /// Division of a polynomial pair by the last ciphertext prime.
    Rescale,
    /// Square, relinearisation, rescaling.
    Square,
    /// Addition of two ciphertexts.
    Add,
    /// Addition of an encoded vector.
    PlainAdd,
    /// Encoding of a diagonal in QP.
    Encode,
    /// Encryption, encoding included.
    Encrypt,
    /// Decryption, decoding included.
    Decrypt,
}

impl PrimitiveOp {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Hoist,
        Self::RotationHoisted,
        Self::GiantStep,
        Self::RotationFull,
        Self::PlainMultWarm,
        Self::PlainMult,
        Self::PlainMultExtendedWarm,
        Self::PlainMultExtended,
        Self::ModDown,
        Self::ModDownRescale,
        Self::Rescale,
        Self::Square,
        Self::Add,
        Self::PlainAdd,
        Self::Encode,
        Self::Encrypt,
        Self::Decrypt,
    ];

    /// The primitive of the cost model that this calibrates, if there is one.
    pub const fn calibrates(self) -> Option<Primitive> {
        match self {
            Self::Hoist => Some(Primitive::Hoist),
            Self::RotationHoisted => Some(Primitive::RotationHoisted),
            Self::PlainMult => Some(Primitive::PlainMult),
            Self::PlainMultExtended => Some(Primitive::PlainMultExtended),
            Self::GiantStep => Some(Primitive::GiantStep),
            Self::RotationFull => Some(Primitive::RotationFull),
            Self::ModDown => Some(Primitive::ModDown),
            Self::ModDownRescale => Some(Primitive::ModDownRescale),
            Self::Rescale => Some(Primitive::Rescale),
            Self::Square => Some(Primitive::Square),
            Self::Add => Some(Primitive::Add),
            Self::PlainAdd => Some(Primitive::PlainAdd),
            Self::Encode => Some(Primitive::Encode),
            Self::Encrypt => Some(Primitive::Encrypt),
            Self::Decrypt => Some(Primitive::Decrypt),
            Self::PlainMultWarm | Self::PlainMultExtendedWarm => None,
        }
    }

    /// Whether it exists at a level: nothing is rescaled at level 0.
    pub const fn exists_at(self, level: usize) -> bool {
        level > 0 || !matches!(self, Self::ModDownRescale | Self::Rescale | Self::Square)
    }
}

/// Times of one primitive at one level, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// What.
    pub op: PrimitiveOp,
    /// Where.
    pub ring: Ring,
    /// Median.
    pub seconds: f64,
    /// 10th percentile.
    pub p10: f64,
    /// 90th percentile.
    pub p90: f64,
    /// Rounds.
    pub rounds: u32,
}

impl Measurement {
    /// The sample of the cost model's calibration that this is.
    pub fn sample(&self) -> Option<Sample> {
        let Self { ring, seconds, p10, p90, rounds, .. } = *self;
        Some(Sample { primitive: self.op.calibrates()?, ring, seconds, p10, p90, rounds })
    }
}

/// How far a measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasureEvent {
    /// Keys and operands are there.
    Ready,
    /// A round is over.
    Round {
        /// Rounds done.
        done: u32,
        /// Of how many.
        total: u32,
    },
}

/// Measures primitives at one level, on the threads of the rayon pool in scope. Those that do not exist at the level are
/// left out. One more round than asked for runs first and is dropped: it fills caches and buffers.
pub fn measure(
    params: &CkksParams,
    level: usize,
    ops: &[PrimitiveOp],
    rounds: u32,
    on_event: &mut dyn FnMut(MeasureEvent),
) -> Result<Vec<Measurement>, HeError> {
    let ring = Ring { log_n: params.log_n(), level, special: params.log_p().len() };
    let mut probe = Probe::new(params, level)?;
    on_event(MeasureEvent::Ready);
    let mut order: Vec<PrimitiveOp> = ops.iter().copied().filter(|op| op.exists_at(level)).collect();
    let mut times: Vec<(PrimitiveOp, Vec<f64>)> = order.iter().map(|&op| (op, Vec::new())).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for round in 0..=rounds {
        order.shuffle(&mut rng);
        for &op in &order {
            let seconds = probe.time(op)?;
            if round > 0 {
                times.iter_mut().filter(|(other, _)| *other == op).for_each(|(_, times)| times.push(seconds));
            }
        }
        if round > 0 {
            on_event(MeasureEvent::Round { done: round, total: rounds });
        }
    }
    let measured = times.into_iter().filter(|(_, times)| !times.is_empty());
    Ok(measured.map(|(op, times)| summary(op, ring, times)).collect())
}

fn summary(op: PrimitiveOp, ring: Ring, mut times: Vec<f64>) -> Measurement {
    times.sort_by(f64::total_cmp);
    let rounds = times.len() as u32;
    Measurement {
        op,
        ring,
        seconds: quantile(&times, 0.5),
        p10: quantile(&times, 0.1),
        p90: quantile(&times, 0.9),
        rounds,
    }
}

/// Quantile of sorted values, by linear interpolation.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = place.ceil() as usize;
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use striae_cost_model::CkksParamsLiteral;

    use super::*;

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[7.0], 0.9), 7.0);
    }

    #[test]
    fn every_primitive_is_measured_where_it_exists() {
        let literal =
            CkksParamsLiteral { log_n: 11, log_q: vec![30, 25], log_p: vec![31], log_scale: 25, insecure: true };
        let params = literal.try_into().unwrap();
        for level in [0, 1] {
            let mut events = Vec::new();
            let readings = measure(&params, level, &PrimitiveOp::ALL, 3, &mut |e| events.push(e)).unwrap();
            assert_eq!(events.len(), 4);
            assert_eq!(readings.len(), PrimitiveOp::ALL.len() - if level == 0 { 3 } else { 0 });
            for r in &readings {
                assert!(0.0 < r.p10 && r.p10 <= r.seconds && r.seconds <= r.p90 && r.rounds == 3, "{r:?}");
                assert_eq!(r.ring, Ring { log_n: 11, level, special: 1 });
            }
        }
        let calibrated: Vec<Primitive> = PrimitiveOp::ALL.iter().filter_map(|op| op.calibrates()).collect();
        assert!(Primitive::ALL.iter().all(|p| calibrated.contains(p)));
    }
}
