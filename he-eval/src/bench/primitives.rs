//! Measurement of the primitives, for calibration.

use std::ops::ControlFlow;

use striae_cost_model::CkksParams;
use striae_cost_model::calibration::{Primitive, Ring, Sample};

use crate::HeError;
use crate::rns::Probe;

use super::rounds::{MeasureEvent, Spread, interleave};

/// Whether a primitive exists at a level: nothing is rescaled at level 0.
const fn exists_at(primitive: Primitive, level: usize) -> bool {
    level > 0 || !matches!(primitive, Primitive::ModDownRescale | Primitive::Rescale | Primitive::Square)
}

/// Measures primitives at one level, on the threads of the rayon pool in scope. Those that do not exist at the level are
/// left out. The observer may end it early.
pub fn measure(
    params: &CkksParams,
    level: usize,
    primitives: &[Primitive],
    rounds: u32,
    observer: &mut dyn FnMut(MeasureEvent) -> ControlFlow<()>,
) -> Result<Vec<Sample>, HeError> {
    let ring = Ring::of(params, level);
    let mut probe = Probe::new(params, level)?;
    let items: Vec<Primitive> = primitives.iter().copied().filter(|&p| exists_at(p, level)).collect();
    let measured = interleave(&items, rounds, &mut |primitive| probe.time(primitive), observer)?;
    let sample = |(primitive, Spread { median, p10, p90, rounds })| Sample {
        primitive,
        ring,
        seconds: median,
        p10,
        p90,
        rounds,
    };
    Ok(measured.into_iter().map(sample).collect())
}

#[cfg(test)]
mod tests {
    use striae_cost_model::{CkksParamsLiteral, RingType};

    use super::*;

    #[test]
    fn every_primitive_is_measured_where_it_exists() {
        let literal = CkksParamsLiteral {
            log_n: 11,
            log_q: vec![30, 25],
            log_p: vec![31],
            log_scale: 25,
            ring: RingType::Standard,
            insecure: true,
        };
        let params = literal.try_into().unwrap();
        for level in [0, 1] {
            let mut events = Vec::new();
            let mut observer = |e| {
                events.push(e);
                ControlFlow::Continue(())
            };
            let samples = measure(&params, level, &Primitive::ALL, 3, &mut observer).unwrap();
            assert_eq!(events.len(), 4);
            assert_eq!(samples.len(), Primitive::ALL.len() - if level == 0 { 3 } else { 0 });
            for s in &samples {
                assert!(0.0 < s.p10 && s.p10 <= s.seconds && s.seconds <= s.p90 && s.rounds == 3, "{s:?}");
                assert_eq!(s.ring, Ring::of(&params, level));
            }
        }
    }
}
