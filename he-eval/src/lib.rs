//! CKKS backends, encrypted circuits and their measurement.
