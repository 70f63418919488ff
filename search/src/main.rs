//! The `striae` command line.
//!
//! Arguments are read by [`cli::Cli`], each command has a file of its own in `cli/`, and every way to end is an
//! [`cli::exit::Exit`] code. Results go to stdout, progress and messages to stderr.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main(std::env::args_os())
}
