//! Whether the values of a trained network fit the modulus that encrypts them.
//!
//! A value `v` at level `l` is an integer near `2^scale v` modulo `Q_l = q_0 .. q_l`: beyond `|v| < Q_l / 2^(scale + 1)` it wraps
//! around and decrypts to nonsense. At level 0 that is half the message ratio, `q_0 / 2^(scale + 1)`. A quadratic
//! activation `a x^2 + b x + c` runs as `(x + b / 2a)^2`, which is the largest value on its way; the last are the logits.

use striae_cost_model::{CkksParams, HeProgram, StepKind};
use striae_spaces::{Activation, NodeId, Op, TypedGraph, WeightError, WeightStore};
use striae_train::ActivationRange;
use thiserror::Error;

/// A network whose values do not fit.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HeadroomError {
    /// A value is too large for its level.
    #[error(
        "{what}: values up to 2^{log_value:.1} on training images do not fit level {level}, which carries 2^{log_room:.1}: \
         its modulus has {log_q} bits (q0: {log_q0}) and the scale {log_scale}"
    )]
    TooLarge {
        /// Which values.
        what: String,
        /// log2 of the largest magnitude.
        log_value: f64,
        /// Level at which they stand.
        level: usize,
        /// log2 of the largest magnitude that fits.
        log_room: f64,
        /// Bits of the level's modulus.
        log_q: u32,
        /// Bits of the last modulus.
        log_q0: u32,
        /// Bits of the scale.
        log_scale: u32,
    },
    /// A coefficient is missing.
    #[error(transparent)]
    Weights(#[from] WeightError),
}

/// Checks a folded network, lowered to `program`, against the ranges that its training recorded: of its activations in the
/// network's order, then of the logits.
///
/// # Errors
///
/// The first value that does not fit.
pub fn check(
    params: &CkksParams,
    program: &HeProgram,
    (graph, weights): (&TypedGraph, &WeightStore),
    ranges: &[ActivationRange],
) -> Result<(), HeadroomError> {
    // Folding renumbers the nodes but keeps their order.
    let activations = graph.ids().filter(|&id| matches!(graph.node(id).op, Op::Activation(_)));
    let places: Vec<NodeId> = activations.chain([graph.output()]).collect();
    for (&node, range) in places.iter().zip(ranges) {
        let last = program.steps.iter().rposition(|step| step.node == node);
        let Some(step) = last else { continue };
        let level = program.values[step + 1].level;
        if graph.node(node).op == Op::Activation(Activation::Quadratic) {
            let root = largest_operand(node, weights, range)?;
            if matches!(program.steps[step].kind, StepKind::Square { .. }) {
                fits(params, level, &format!("squares of activation {node}"), 2.0 * root.log2())?;
            }
        } else if node == graph.output() {
            fits(params, level, "logits", f64::from(range.max.max(-range.min)).log2())?;
        }
    }
    Ok(())
}

/// The largest `|x + b / 2a|` of any channel.
fn largest_operand(node: NodeId, weights: &WeightStore, range: &ActivationRange) -> Result<f64, WeightError> {
    let get = |name: &str| weights.get(&format!("{node}.{name}"));
    let shifts = get("a")?.data.iter().zip(&get("b")?.data).map(|(a, b)| f64::from(*b) / (2.0 * f64::from(*a)));
    let ends = [f64::from(range.min), f64::from(range.max)];
    Ok(shifts.flat_map(|shift| ends.map(|end| (end + shift).abs())).fold(0.0, f64::max))
}

fn fits(params: &CkksParams, level: usize, what: &str, log_value: f64) -> Result<(), HeadroomError> {
    let (log_q0, log_scale) = (params.log_q()[0], params.log_scale());
    let log_q: u32 = params.log_q()[..=level].iter().sum();
    let log_room = f64::from(log_q) - f64::from(log_scale) - 1.0;
    if log_value < log_room {
        return Ok(());
    }
    Err(HeadroomError::TooLarge { what: what.to_owned(), log_value, level, log_room, log_q, log_q0, log_scale })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use striae_cost_model::{Calibration, Lowerer, PlanOptions};

    use super::*;

    #[test]
    fn values_beyond_the_modulus_are_refused_with_numbers() {
        let graph: TypedGraph =
            "1x28x28: conv(4,k5,s2,bias) quad conv(4,k3,s2,bias) quad flatten linear(10,bias)".parse().unwrap();
        let mut weights = WeightStore::random(&graph, &mut ChaCha8Rng::seed_from_u64(1));
        for (name, value) in [("n2.a", 0.25), ("n2.b", 1.0)] {
            weights.insert(name, striae_spaces::Tensor { shape: vec![4], data: vec![value; 4] });
        }
        let params: CkksParams = "N=2^14 Q=46,30,30,30,30,30 P=48 scale=2^30".parse().unwrap();
        let options = PlanOptions { params: Some(params), ..PlanOptions::default() };
        let plan = Lowerer::new(&Calibration::generic()).plan(&graph, &options).unwrap();
        let range =
            |node: u32, most: f32| ActivationRange { node: NodeId(node), min: -most, max: most, quantile: most };
        let check = |first: f32, second: f32, logits: f32| {
            let ranges = [range(3, first), range(6, second), range(9, logits)];
            check(&plan.params, &plan.program, (&graph, &weights), &ranges).map_err(|e| e.to_string())
        };
        assert_eq!(check(10.0, 10.0, 30.0), Ok(()));
        // q0 and the scale leave 46 - 30 - 1 bits.
        assert_eq!(
            check(10.0, 10.0, 40_000.0),
            Err("logits: values up to 2^15.3 on training images do not fit level 0, which carries 2^15.0: its modulus has \
                 46 bits (q0: 46) and the scale 30"
                .to_owned())
        );
        // x + b / 2a = 2^60 + 2 at level 3, whose modulus has 136 bits.
        let message = check(2f32.powi(60), 10.0, 30.0).unwrap_err();
        assert!(message.starts_with("squares of activation n2: values up to 2^120.0 "), "{message}");
    }
}
