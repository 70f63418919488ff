//! The `striae` command line.
//!
//! Arguments are read by [`cli::Cli`], each command has a file of its own in `cli/`, and every way to end is an
//! [`cli::exit::Exit`] code. Results go to stdout, progress and messages to stderr.

mod cli;

/// Training allocates and frees big tensors at every step; the system's allocator gives such pages back each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main(std::env::args_os())
}
