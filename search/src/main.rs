//! The `striae` command line.
fn main() {}
