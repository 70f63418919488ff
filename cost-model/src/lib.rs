//! Packings, lowering to HE programs, operation counts, parameters and latency estimates.
