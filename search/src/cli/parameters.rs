//! What chosen parameters must keep: security, precision, size.

use clap::Args;
use striae_cost_model::{CkksParams, MAX_LOG_N, PlanOptions, SecurityLevel, max_log_qp};

/// Largest precision that can be asked for.
const MAX_PRECISION: i64 = 36;

/// Bounds of the planner's choice.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ParameterArgs {
    /// Bits of security that chosen parameters have: 128, 192 or 256
    #[arg(long, default_value = "128", value_name = "BITS")]
    pub(crate) security: SecurityLevel,
    /// Smallest log2 of the scale: the precision
    #[arg(long, value_name = "BITS", default_value_t = PlanOptions::default().min_log_scale,
          value_parser = clap::value_parser!(u32).range(20..=MAX_PRECISION))]
    min_precision: u32,
    /// Largest log2 of the ring degree to choose
    #[arg(long, value_name = "LOG_N", default_value_t = MAX_LOG_N, value_parser = clap::value_parser!(u32).range(12..=16))]
    max_log_n: u32,
}

impl ParameterArgs {
    /// As the planner takes them.
    pub(crate) fn options(&self) -> PlanOptions {
        let Self { security, min_precision, max_log_n } = *self;
        PlanOptions { security, min_log_scale: min_precision, max_log_n, ..PlanOptions::default() }
    }

    /// The first that is not at its default, by its flag.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let (default, Self { security, min_precision, max_log_n }) = (PlanOptions::default(), *self);
        let given = [
            ("--security", security != default.security),
            ("--min-precision", min_precision != default.min_log_scale),
            ("--max-log-n", max_log_n != default.max_log_n),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }
}

/// How secure parameters are, in words, with the numbers that say so.
pub(crate) fn security_of(params: &CkksParams) -> String {
    let (log_qp, log_n) = (params.log_qp(), params.log_n());
    if let Some(level) = SecurityLevel::of(params) {
        let bound = level.max_log_qp(log_n).unwrap_or(0);
        return format!("{level} bits: log QP {log_qp} of at most {bound} at N = 2^{log_n}");
    }
    let bound = max_log_qp(log_n).unwrap_or(0);
    format!("INSECURE: log QP {log_qp} where 128 bits of security allow {bound} at N = 2^{log_n}")
}
